//! The folder: locked while a gateway has it, and marked when that one has closed it in order.
//!
//! The mark is taken away before anything else happens and written after everything else is on the disk. Without it nobody knows
//! what was lost on the way there, an invalidation perhaps, and what the folder has is thrown away.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// Nobody but the gateway's user: responses to callers are in there.
const MODE: u32 = 0o700;
/// What files count their size in that they really take.
const SECTOR: u64 = 512;

pub(super) struct Folder {
    path: PathBuf,
    /// Held until the folder is closed, or the process ends.
    lock: File,
}

impl Folder {
    /// Makes it if there is none.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let unusable = |error: io::Error| format!("`{shown}` cannot be used as a folder: {error}");
        DirBuilder::new().recursive(true).mode(MODE).create(path).map_err(unusable)?;
        let lock = File::create(path.join("lock")).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), lock }),
            Err(TryLockError::WouldBlock) => Err(format!(
                "`{shown}` belongs to another running gateway, and each needs a folder of its own"
            )),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }

    /// Where values stand.
    pub(super) fn values(&self) -> PathBuf {
        self.path.join("sluice-cache-values")
    }

    fn mark(&self) -> PathBuf {
        self.path.join("closed")
    }

    /// What the last gateway said when it closed the folder, once. None: it did not.
    pub(super) fn take_closed(&self) -> Result<Option<Vec<u8>>, String> {
        let mark = self.mark();
        let found = std::fs::read(&mark).ok();
        match std::fs::remove_file(&mark).and_then(|()| sync(&self.path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(format!("`{}` cannot be removed: {error}", mark.display()))
            }
            _ => Ok(found),
        }
    }

    /// Throws away all values.
    pub(super) fn discard(&self) -> Result<(), String> {
        let values = self.values();
        let unusable = |error: io::Error| format!("`{}` cannot be emptied: {error}", values.display());
        match std::fs::remove_dir_all(&values) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unusable(error)),
            _ => DirBuilder::new().mode(MODE).create(&values).map_err(unusable),
        }
    }

    /// Marks that all is on the disk. The folder is free from then on.
    pub(super) fn close(&self, said: &[u8]) -> io::Result<()> {
        for value in std::fs::read_dir(self.values())? {
            sync(&value?.path())?;
        }
        sync(&self.values())?;
        let new = self.path.join("closing");
        let mut file = File::create(&new)?;
        file.write_all(said)?;
        file.sync_all()?;
        std::fs::rename(new, self.mark())?;
        sync(&self.path)?;
        self.lock.unlock()
    }

    /// Bytes that values take of the disk.
    pub(super) fn held_bytes(&self) -> io::Result<u64> {
        let mut sectors = 0;
        for value in std::fs::read_dir(self.values())? {
            sectors += value?.metadata()?.blocks();
        }
        Ok(sectors * SECTOR)
    }

    /// Reads a page of the values.
    pub(super) fn probe(&self) -> io::Result<()> {
        let first = std::fs::read_dir(self.values())?.next().ok_or(io::ErrorKind::NotFound)?;
        File::open(first?.path())?.read_exact(&mut [0; super::PAGE])
    }
}

/// Returns when what was written to a file, or which names a folder has, outlives the machine's power.
fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_closed_is_said_once_and_only_to_one_at_a_time() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a/b");
        let first = Folder::open(&path).unwrap();
        assert_eq!(first.take_closed().unwrap(), None);
        first.discard().unwrap();
        std::fs::write(first.values().join("x"), [1; 5_000]).unwrap();
        assert!(first.held_bytes().unwrap() >= 5_000);
        let refused = Folder::open(&path).err().unwrap();
        assert!(refused.contains("belongs to another running gateway"), "{refused}");
        first.close(b"said").unwrap();
        let second = Folder::open(&path).unwrap();
        assert_eq!(second.take_closed().unwrap().as_deref(), Some(&b"said"[..]));
        assert_eq!(second.take_closed().unwrap(), None);
        second.discard().unwrap();
        assert_eq!(second.held_bytes().unwrap(), 0);
        assert_eq!(path.metadata().unwrap().mode() & 0o777, MODE);
    }

    #[test]
    fn a_mark_that_stays_is_not_taken_for_one_that_was_taken_away() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        std::fs::create_dir(folder.mark()).unwrap();
        let refused = folder.take_closed().unwrap_err();
        assert!(refused.contains("cannot be removed"), "{refused}");
    }

    #[test]
    fn what_is_no_folder_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = Folder::open(file.path()).err().unwrap();
        assert!(refused.contains("cannot be used as a folder"), "{refused}");
    }
}
