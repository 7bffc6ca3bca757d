//! Seals secrets that must be read back (AES-256-GCM). A sealed text names its key, and is bound to what it is for
//! (associated data), so that a ciphertext moved to another row does not open.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sluice_contract::part::Sha256Hash;

use crate::random;

const VERSION: &str = "v1";
const NONCE: usize = 12;

/// The key that seals: 256 bits, and older ones that still open.
#[derive(Clone)]
pub struct MasterKey {
    current: [u8; 32],
    older: Vec<[u8; 32]>,
}

/// Never shows the key.
impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({}, {} older)", key_id(&self.current), self.older.len())
    }
}

/// Why a key or a sealed text cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("a master key is 32 bytes in base64, one on each line, the current one first")]
    NotAKey,
    #[error("the operating system has no random numbers: {0}")]
    Random(#[from] getrandom::Error),
    #[error("sealed with the key {0}, which is not among the master keys")]
    UnknownKey(String),
    #[error("the sealed text was changed, or belongs elsewhere")]
    Broken,
    #[error(
        "{0} holds no master key: that is 32 bytes in base64, one key on each line, the current one first"
    )]
    NoKeyIn(String),
    #[error("cannot use the master key {path}: {cause}")]
    File { path: String, cause: std::io::Error },
    #[error("{0}: others may read the master key; chmod 600 it")]
    Open(String),
}

impl SealError {
    fn file(file: &Path, cause: std::io::Error) -> Self {
        Self::File { path: file.display().to_string(), cause }
    }
}

impl MasterKey {
    /// A new random key.
    ///
    /// # Errors
    /// When the operating system has no random numbers.
    pub fn generate() -> Result<Self, SealError> {
        Ok(Self { current: random::bytes()?, older: Vec::new() })
    }

    /// Reads the keys from a file of our own, which only its owner may read; makes it with a new key when it is absent.
    ///
    /// # Errors
    /// When the file cannot be read or made, others may read it, or it holds no key.
    pub fn load_or_create(file: &Path) -> Result<Self, SealError> {
        let failed = |cause| SealError::file(file, cause);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
            Ok(mut new) => {
                let key = Self::generate()?;
                new.write_all(key.encode().as_bytes()).and_then(|()| new.sync_all()).map_err(failed)?;
                Ok(key)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if std::fs::metadata(file).map_err(failed)?.permissions().mode() & 0o077 != 0 {
                    return Err(SealError::Open(file.display().to_string()));
                }
                Self::read(file)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Reads the keys from a file that somebody else provides. Whoever mounts secrets decides who may read them:
    /// containers see theirs as readable by all.
    ///
    /// # Errors
    /// When the file cannot be read or holds no key.
    pub fn read(file: &Path) -> Result<Self, SealError> {
        let text = std::fs::read_to_string(file).map_err(|cause| SealError::file(file, cause))?;
        Self::decode(&text).map_err(|_| SealError::NoKeyIn(file.display().to_string()))
    }

    /// Reads keys as [`MasterKey::encode`] writes them: base64, one on each line, the current one first.
    ///
    /// # Errors
    /// When a line is no key.
    pub fn decode(text: &str) -> Result<Self, SealError> {
        let key = |line: &str| {
            let bytes = STANDARD.decode(line.trim()).map_err(|_| SealError::NotAKey)?;
            <[u8; 32]>::try_from(bytes).map_err(|_| SealError::NotAKey)
        };
        let mut keys = text.lines().filter(|line| !line.trim().is_empty()).map(key);
        let current = keys.next().ok_or(SealError::NotAKey)??;
        Ok(Self { current, older: keys.collect::<Result<_, _>>()? })
    }

    /// The keys as text, for a file that only its owner may read.
    pub fn encode(&self) -> String {
        let keys = std::iter::once(&self.current).chain(&self.older);
        keys.map(|key| STANDARD.encode(key) + "\n").collect()
    }
}

/// A sealed secret: `v1.<key id>.<nonce and ciphertext>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed(pub String);

/// Seals and opens.
pub struct Sealer {
    keys: Vec<(String, Aes256Gcm)>,
}

impl Sealer {
    /// Seals with the current key, opens with all.
    pub fn new(key: &MasterKey) -> Self {
        let keys = std::iter::once(&key.current).chain(&key.older);
        let cipher = |key: &[u8; 32]| (key_id(key), Aes256Gcm::new(key.into()));
        Self { keys: keys.map(cipher).collect() }
    }

    /// Seals a secret. `about` says what it is for (scope and name), and is needed to open it.
    ///
    /// # Errors
    /// When the operating system has no random numbers.
    pub fn seal(&self, about: &str, secret: &[u8]) -> Result<Sealed, SealError> {
        let (id, cipher) = self.keys.first().ok_or(SealError::NotAKey)?;
        let nonce = random::bytes::<NONCE>()?;
        let payload = Payload { msg: secret, aad: about.as_bytes() };
        let ciphertext = cipher.encrypt(&Nonce::from(nonce), payload).map_err(|_| SealError::Broken)?;
        let body = URL_SAFE_NO_PAD.encode([nonce.as_slice(), &ciphertext].concat());
        Ok(Sealed(format!("{VERSION}.{id}.{body}")))
    }

    /// Opens a sealed secret.
    ///
    /// # Errors
    /// When its key is unknown, or it was changed or sealed for something else.
    pub fn open(&self, about: &str, sealed: &Sealed) -> Result<Vec<u8>, SealError> {
        let mut fields = sealed.0.splitn(3, '.');
        let (Some(VERSION), Some(id), Some(body)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(SealError::Broken);
        };
        let key = self.keys.iter().find(|(known, _)| known == id);
        let (_, cipher) = key.ok_or_else(|| SealError::UnknownKey(id.to_owned()))?;
        let body = URL_SAFE_NO_PAD.decode(body).map_err(|_| SealError::Broken)?;
        let (nonce, ciphertext) = body.split_first_chunk::<NONCE>().ok_or(SealError::Broken)?;
        let payload = Payload { msg: ciphertext, aad: about.as_bytes() };
        cipher.decrypt(&Nonce::from(*nonce), payload).map_err(|_| SealError::Broken)
    }
}

/// Names a key without telling anything of it.
fn key_id(key: &[u8; 32]) -> String {
    let named = [b"sluice master key ".as_slice(), key].concat();
    Sha256Hash::of(&named).to_string().chars().take(8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_only_for_what_it_was_sealed_for() {
        let sealer = Sealer::new(&MasterKey::generate().unwrap());
        let sealed = sealer.seal("link/tls-key", b"secret").unwrap();
        assert_eq!(sealer.open("link/tls-key", &sealed).unwrap(), b"secret");
        assert!(matches!(sealer.open("link/other", &sealed), Err(SealError::Broken)));
        assert!(!sealed.0.contains("secret"));
    }

    #[test]
    fn after_a_rotation_old_secrets_still_open_and_new_ones_use_the_new_key() {
        let old = MasterKey::generate().unwrap();
        let sealed = Sealer::new(&old).seal("a", b"secret").unwrap();
        let new = MasterKey::generate().unwrap();
        let both = MasterKey::decode(&(new.encode() + &old.encode())).unwrap();
        assert_eq!(Sealer::new(&both).open("a", &sealed).unwrap(), b"secret");
        let fresh = Sealer::new(&both).seal("a", b"secret").unwrap();
        assert_eq!(Sealer::new(&new).open("a", &fresh).unwrap(), b"secret");
        assert!(matches!(Sealer::new(&new).open("a", &sealed), Err(SealError::UnknownKey(_))));
    }

    #[test]
    fn a_key_file_is_made_once_and_refused_when_others_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("master.key");
        let made = MasterKey::load_or_create(&file).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(MasterKey::load_or_create(&file).unwrap().encode(), made.encode());
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(MasterKey::load_or_create(&file), Err(SealError::Open(_))));
        assert_eq!(MasterKey::read(&file).unwrap().encode(), made.encode());
    }

    #[test]
    fn a_file_without_a_key_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("master.key");
        assert!(MasterKey::read(&file).unwrap_err().to_string().contains("master.key"));
        std::fs::write(&file, "not a key").unwrap();
        let error = MasterKey::read(&file).unwrap_err().to_string();
        assert!(error.contains("master.key") && error.contains("base64"), "{error}");
    }

    #[test]
    fn a_key_is_never_shown() {
        let key = MasterKey::generate().unwrap();
        assert!(!format!("{key:?}").contains(key.encode().trim()));
        assert!(MasterKey::decode("short").is_err());
        assert!(MasterKey::decode("").is_err());
    }
}
