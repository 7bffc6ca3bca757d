//! The logs: entries after the base, a line each, in files that only grow.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sluice_contract::journal::Entry;
use sluice_contract::part::Sha256Hash;

use crate::link::files;
use crate::link::held::Held;

/// Hex digits of a line's check.
const CHECK: usize = 16;

/// The log that entries are added to.
pub(super) struct Log {
    pub(super) number: u64,
    pub(super) file: File,
    pub(super) bytes: u64,
}

impl Log {
    pub(super) fn create(directory: &Path, number: u64) -> io::Result<Self> {
        let path = log_path(directory, number);
        let file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&path)?;
        files::sync_directory_of(&path)?;
        Ok(Self { number, file, bytes: 0 })
    }

    /// Goes on after the last whole line.
    pub(super) fn open(directory: &Path, number: u64, bytes: u64) -> io::Result<Self> {
        let path = log_path(directory, number);
        let mut file = OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(path)?;
        file.set_len(bytes)?;
        file.seek(SeekFrom::Start(bytes))?;
        Ok(Self { number, file, bytes })
    }
}

pub(super) fn log_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number}.log"))
}

fn log_number(file_name: &str) -> Option<u64> {
    file_name.strip_suffix(".log")?.parse().ok()
}

/// The number of the newest log, whatever is in it.
pub(super) fn newest(directory: &Path) -> io::Result<Option<u64>> {
    let mut newest = None;
    for entry in fs::read_dir(directory)? {
        newest = newest.max(log_number(&entry?.file_name().to_string_lossy()));
    }
    Ok(newest)
}

/// Entries as lines, each with a check of its bytes.
pub(super) fn encode_lines(entries: &[Entry]) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for entry in entries {
        let json = serde_json::to_vec(entry)?;
        lines.extend_from_slice(&Sha256Hash::of(&json).to_string().as_bytes()[..CHECK]);
        lines.push(b' ');
        lines.extend_from_slice(&json);
        lines.push(b'\n');
    }
    Ok(lines)
}

fn decode_line(line: &[u8]) -> Option<Entry> {
    let (check, json) = line.strip_suffix(b"\n")?.split_at_checked(CHECK)?;
    let json = json.strip_prefix(b" ")?;
    (Sha256Hash::of(json).to_string().as_bytes()[..CHECK] == *check).then_some(())?;
    serde_json::from_slice(json).ok()
}

/// Applies a log's whole lines. Returns their bytes; None when there is no such log.
pub(super) fn replay(directory: &Path, number: u64, held: &mut Held) -> io::Result<Option<u64>> {
    let bytes = match fs::read(log_path(directory, number)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut good = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(entry) = decode_line(line) else { break };
        if entry.position != held.position + 1 {
            break;
        }
        held.apply(entry);
        good += line.len() as u64;
    }
    Ok(Some(good))
}

/// Removes the logs that a base has made needless.
pub(super) fn remove_logs_before(directory: &Path, number: u64) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if log_number(&entry.file_name().to_string_lossy()).is_some_and(|other| other < number) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
