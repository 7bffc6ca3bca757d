//! The master key in the data directory: made once, readable by its owner only.

use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use sluice_control::MasterKey;

/// Reads the key, or makes one when there is none.
///
/// # Errors
/// When the file cannot be read, made, or holds no key.
pub(super) fn read_or_make(path: &Path) -> anyhow::Result<MasterKey> {
    let shown = path.display();
    match std::fs::read_to_string(path) {
        Ok(text) => MasterKey::decode(&text).with_context(|| format!("{shown} holds no master key")),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let key = MasterKey::generate()?;
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
                .with_context(|| format!("cannot make {shown}"))?;
            file.write_all(key.encode().as_bytes()).and_then(|()| file.sync_all())?;
            Ok(key)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {shown}")),
    }
}
