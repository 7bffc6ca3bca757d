//! Files of the console named by their content, so that a browser may keep each for ever.

use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::inputs::hex;

/// Ten hex digits tell the versions of one file apart.
const HASH_DIGITS: usize = 10;

/// One file below `target/console`.
pub struct File {
    /// Path below the console's root, with forward slashes.
    pub path: String,
    pub content: Vec<u8>,
}

impl File {
    /// A file that keeps its name: the page itself.
    pub fn named(path: &str, content: Vec<u8>) -> Self {
        Self { path: path.to_owned(), content }
    }

    /// A file below `assets/`, its name carrying the hash of what is in it: `app.css` → `assets/app.0a1b2c3d4e.css`.
    pub fn hashed(name: &str, content: Vec<u8>) -> Result<Self> {
        let (stem, extension) = name.rsplit_once('.').with_context(|| format!("{name} has no extension"))?;
        let hash = hex(&Sha256::digest(&content));
        let digits = hash.get(..HASH_DIGITS).unwrap_or(&hash);
        Ok(Self { path: format!("assets/{stem}.{digits}.{extension}"), content })
    }

    /// The address that a page asks for it under.
    pub fn address(&self) -> String {
        format!("/{}", self.path)
    }

    pub fn extension(&self) -> &str {
        Path::new(&self.path).extension().and_then(|extension| extension.to_str()).unwrap_or_default()
    }
}
