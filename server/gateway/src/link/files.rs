//! Files that are either the old or the new ones after any death: written aside, synced, renamed, directory synced.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::failpoints::{Failpoints, Step};

/// What is being written; left over by a death, replaced by the next write.
const TEMPORARY: &str = "tmp";

/// Makes a directory that only this user can read, unless it is there.
pub(super) fn create_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Replaces `path` by these bytes. Only this user can read it.
pub(super) fn replace(path: &Path, bytes: &[u8], failpoints: &Failpoints) -> io::Result<()> {
    let temporary = path.with_extension(TEMPORARY);
    let written = write_new(&temporary, bytes, failpoints).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
        return written;
    }
    failpoints.reach(Step::AfterRename);
    sync_directory_of(path)
}

/// Writes in two halves when a test wants to die in between.
pub(super) fn write(file: &mut File, bytes: &[u8], failpoints: &Failpoints) -> io::Result<()> {
    if !failpoints.watches(Step::MidWrite) {
        return file.write_all(bytes);
    }
    let (first, second) = bytes.split_at(bytes.len() / 2);
    file.write_all(first)?;
    failpoints.reach(Step::MidWrite);
    file.write_all(second)
}

/// Makes the names of a directory's files outlive a power failure.
pub(super) fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

fn write_new(path: &Path, bytes: &[u8], failpoints: &Failpoints) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    write(&mut file, bytes, failpoints)?;
    file.sync_all()
}
