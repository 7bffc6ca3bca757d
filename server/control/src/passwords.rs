//! Passwords: argon2id, off the async threads and only a few at once, because each takes memory and time on purpose.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::configuration::PasswordCost;
use crate::problem::ApiError;

/// Shortest and longest password, in characters and bytes.
const MIN_CHARS: usize = 12;
const MAX_BYTES: usize = 1024;

/// Hashes and verifies passwords.
pub(crate) struct Passwords {
    argon2: Argon2<'static>,
    at_once: Arc<Semaphore>,
    /// Verified against when there is no account, so that time does not tell.
    nobody: Arc<str>,
}

impl Passwords {
    pub(crate) fn new(cost: PasswordCost) -> anyhow::Result<Self> {
        let PasswordCost { memory_kib, passes, at_once } = cost;
        let params = Params::new(memory_kib, passes, 1, None)
            .map_err(|error| anyhow::anyhow!("the cost of passwords: {error}"))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobody = hash(&argon2, "nobody has this password")?.into();
        Ok(Self { argon2, at_once: Arc::new(Semaphore::new(at_once.max(1))), nobody })
    }

    /// Checks a new password and hashes it. `pointer` is where it is in the body.
    pub(crate) async fn hash(&self, pointer: &str, password: &str) -> Result<String, ApiError> {
        if password.chars().count() < MIN_CHARS {
            let message = format!("at least {MIN_CHARS} characters");
            return Err(ApiError::invalid_field(pointer, "too_short", message));
        }
        if password.len() > MAX_BYTES {
            let message = format!("at most {MAX_BYTES} bytes");
            return Err(ApiError::invalid_field(pointer, "too_long", message));
        }
        let (argon2, password) = (self.argon2.clone(), password.to_owned());
        self.off_thread(move || hash(&argon2, &password)).await?.map_err(ApiError::internal)
    }

    /// Whether the password is the one behind the hash. Without a hash it takes as long and is `false`.
    pub(crate) async fn verify(&self, password: &str, stored: Option<&str>) -> Result<bool, ApiError> {
        if password.len() > MAX_BYTES {
            return Ok(false);
        }
        let known = stored.is_some();
        let stored = stored.map_or_else(|| self.nobody.to_string(), str::to_owned);
        let (argon2, password) = (self.argon2.clone(), password.to_owned());
        let matches = self.off_thread(move || verify(&argon2, &password, &stored)).await?;
        Ok(known && matches)
    }

    async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let _permit = self.at_once.acquire().await.map_err(ApiError::internal)?;
        tokio::task::spawn_blocking(work).await.map_err(ApiError::internal)
    }
}

fn hash(argon2: &Argon2<'_>, password: &str) -> anyhow::Result<String> {
    let hash = argon2.hash_password(password.as_bytes());
    Ok(hash.map_err(|error| anyhow::anyhow!("hashing a password: {error}"))?.to_string())
}

fn verify(argon2: &Argon2<'_>, password: &str, stored: &str) -> bool {
    PasswordHash::new(stored).is_ok_and(|hash| argon2.verify_password(password.as_bytes(), &hash).is_ok())
}
