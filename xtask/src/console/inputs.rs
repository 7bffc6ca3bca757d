//! What the console is made from, as one hash: when it is the same, so is the console.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// Files and folders below the repository whose content decides the console's.
const INPUTS: [&str; 9] = [
    ".cargo/config.toml",
    "Cargo.lock",
    "Cargo.toml",
    "assets",
    "frontend",
    "server/contract",
    "server/policies",
    "xtask/src/console",
    "xtask/src/console.rs",
];

/// SHA-256, in hex, over the paths and contents of every input.
pub fn fingerprint(root: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    for input in INPUTS {
        let path = root.join(input);
        for file in files_below(&path)? {
            let content = fs::read(&file).with_context(|| format!("could not read {}", file.display()))?;
            hash.update(file.strip_prefix(root).unwrap_or(&file).to_string_lossy().as_bytes());
            hash.update((content.len() as u64).to_le_bytes());
            hash.update(&content);
        }
    }
    Ok(hex(&hash.finalize()))
}

/// Every file below a folder (or the file itself), in the order of their paths; nothing when it does not exist.
pub fn files_below(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop().filter(|folder| folder.exists()) {
        for entry in fs::read_dir(&folder).with_context(|| format!("could not list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    #[test]
    fn a_changed_style_changes_the_fingerprint_and_an_unrelated_file_does_not() {
        let folder = std::env::temp_dir().join(format!("sluice-inputs-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("assets/styles")).unwrap();
        std::fs::write(folder.join("assets/styles/a.css"), "a {}").unwrap();
        let first = fingerprint(&folder).unwrap();
        std::fs::write(folder.join("README.md"), "unrelated").unwrap();
        let same = fingerprint(&folder).unwrap();
        std::fs::write(folder.join("assets/styles/a.css"), "b {}").unwrap();
        let other = fingerprint(&folder).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(first, same);
        assert_ne!(first, other);
    }
}
