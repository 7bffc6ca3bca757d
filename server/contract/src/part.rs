//! Parts: compiled definitions as they travel to gateways, named by the hash of their bytes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::definition::ApiDefinition;
use crate::ids::{ApiId, TenantId};

/// The SHA-256 of a part's bytes or of a key's text, as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String, example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
pub struct Sha256Hash(pub [u8; 32]);

impl Sha256Hash {
    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not 64 hex digits.
#[derive(Debug, thiserror::Error)]
#[error("a hash is 64 hex digits")]
pub struct NotAHash;

impl FromStr for Sha256Hash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let bytes = text.as_bytes();
        if bytes.len() != 64 {
            return Err(NotAHash);
        }
        let digit = |b: u8| char::from(b).to_digit(16).map(|d| d as u8).ok_or(NotAHash);
        let mut hash = [0; 32];
        for (out, pair) in hash.iter_mut().zip(bytes.chunks_exact(2)) {
            *out = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Self(hash))
    }
}

impl Serialize for Sha256Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The newest shape of [`ApiPart`] that this version writes. A gateway refuses a newer one by name.
pub const PART_SCHEMA: u32 = 1;

/// Everything that a gateway needs to serve one API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiPart {
    /// Shape of this document, [`PART_SCHEMA`].
    pub schema: u32,
    pub tenant: TenantId,
    /// First segment of the path on the shared host.
    pub tenant_slug: String,
    pub api: ApiId,
    /// Second segment of the path on the shared host.
    pub slug: String,
    /// Number of the revision.
    pub revision: u32,
    pub definition: ApiDefinition,
}

impl ApiPart {
    /// The part's canonical bytes (object keys sorted, no spaces) and their hash.
    ///
    /// # Errors
    /// When the definition holds what JSON cannot express.
    pub fn canonical(&self) -> Result<(Vec<u8>, Sha256Hash), serde_json::Error> {
        // `serde_json::Value` keeps object keys sorted, which makes the bytes canonical.
        let bytes = serde_json::to_vec(&serde_json::to_value(self)?)?;
        let hash = Sha256Hash::of(&bytes);
        Ok((bytes, hash))
    }
}
