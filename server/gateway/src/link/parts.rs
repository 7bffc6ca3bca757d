//! Parts on disk, each under the hash of its bytes: what is there need not be fetched again.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::PathBuf;

use sluice_contract::part::Sha256Hash;

use super::failpoints::Failpoints;
use super::files;

/// A directory of parts.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    directory: PathBuf,
}

impl Parts {
    pub(super) fn open(directory: PathBuf) -> io::Result<Self> {
        files::create_directory(&directory)?;
        Ok(Self { directory })
    }

    /// The bytes of a part. None when it is not there or not what its name says.
    pub(super) fn read(&self, hash: &Sha256Hash) -> Option<Vec<u8>> {
        let path = self.path(hash);
        let bytes = fs::read(&path).ok()?;
        if Sha256Hash::of(&bytes) == *hash {
            return Some(bytes);
        }
        tracing::error!(path = %path.display(), "a part on disk is damaged; it will be fetched again");
        let _ = fs::remove_file(&path);
        None
    }

    /// Keeps a part whose hash has been checked.
    pub(super) fn write(&self, hash: &Sha256Hash, bytes: &[u8], failpoints: &Failpoints) -> io::Result<()> {
        files::replace(&self.path(hash), bytes, failpoints)
    }

    /// Removes every part but these, and what a death has left half written.
    pub(super) fn retain(&self, wanted: &HashSet<Sha256Hash>) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let hash = name.to_str().and_then(|name| name.strip_suffix(".json")?.parse().ok());
            if !hash.is_some_and(|hash| wanted.contains(&hash)) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn path(&self, hash: &Sha256Hash) -> PathBuf {
        self.directory.join(format!("{hash}.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_part_is_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let parts = Parts::open(directory.path().join("parts")).unwrap();
        let hash = Sha256Hash::of(b"part");
        assert_eq!(parts.read(&hash), None);
        parts.write(&hash, b"part", &Failpoints::default()).unwrap();
        assert_eq!(parts.read(&hash).unwrap(), b"part");
        fs::write(parts.path(&hash), b"pert").unwrap();
        assert_eq!(parts.read(&hash), None);
        assert!(!parts.path(&hash).exists());
    }

    #[test]
    fn only_wanted_parts_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let parts = Parts::open(directory.path().to_owned()).unwrap();
        let (kept, gone) = (Sha256Hash::of(b"kept"), Sha256Hash::of(b"gone"));
        parts.write(&kept, b"kept", &Failpoints::default()).unwrap();
        parts.write(&gone, b"gone", &Failpoints::default()).unwrap();
        fs::write(directory.path().join("half.tmp"), b"ha").unwrap();
        parts.retain(&HashSet::from([kept])).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(parts.read(&kept).is_some());
    }
}
