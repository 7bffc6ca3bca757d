//! The last configuration on disk: a base (the folded state at a position) and logs of the entries after it.
//!
//! An entry costs one append and one sync. Now and then the base is folded anew in the background: a new log is begun
//! first and the base that replaces the old one names it, so that at every moment base and logs together are the state
//! at some position, whatever dies when. Each line of a log carries a check of its bytes; a torn last line is as if it
//! had never arrived. When the disk refuses an entry, the base is removed: a gateway that cannot remember a revocation
//! must not start from a state without it.

mod base;
mod fold;
mod log;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use sluice_contract::journal::Entry;

use super::failpoints::{Failpoints, Step};
use super::files;
use super::held::{Held, ServedParts};
use base::{base_path, read_base, write_base};
use fold::Fold;
use log::{Log, encode_lines, newest, remove_logs_before, replay};

/// Bytes of the current log after which the base is folded anew, unless the base itself is larger.
const FOLD_AT: u64 = 4 << 20;

/// The configuration's directory.
pub(super) struct Disk {
    directory: PathBuf,
    failpoints: Arc<Failpoints>,
    log: Option<Log>,
    base_bytes: u64,
}

impl Disk {
    /// Opens a directory with what the last life left in it: None when there is nothing, or nothing whole.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub(super) fn open(directory: PathBuf, failpoints: Arc<Failpoints>) -> io::Result<(Self, Option<Held>)> {
        files::create_directory(&directory)?;
        let mut disk = Self { directory, failpoints, log: None, base_bytes: 0 };
        let held = disk.load().unwrap_or_else(|error| {
            tracing::error!(%error, "the configuration on disk is unusable; it will be taken anew");
            None
        });
        Ok((disk, held))
    }

    /// Whether what is on disk is what was last given to it.
    pub(super) fn is_current(&self) -> bool {
        self.log.is_some()
    }

    /// Adds entries. They outlive the process and the machine's power once this returns.
    ///
    /// # Errors
    /// When the disk refuses. Nothing is on disk from then on, until [`Self::replace`].
    pub(super) fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        let Some(log) = &mut self.log else { return Ok(()) };
        let lines = encode_lines(entries)?;
        self.failpoints.reach(Step::BeforePersist);
        let written =
            files::write(&mut log.file, &lines, &self.failpoints).and_then(|()| log.file.sync_data());
        match written {
            Ok(()) => {
                log.bytes += lines.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.forget();
                Err(error)
            }
        }
    }

    /// Replaces everything.
    ///
    /// # Errors
    /// When the disk refuses. What was on disk is gone then too.
    pub(super) fn replace(&mut self, held: Held) -> io::Result<()> {
        self.failpoints.reach(Step::BeforePersist);
        let number = newest(&self.directory)?.map_or(0, |number| number + 1);
        let replaced = Log::create(&self.directory, number).and_then(|log| {
            self.base_bytes = write_base(&self.directory, number, held, &self.failpoints)?;
            self.log = Some(log);
            Ok(())
        });
        match replaced {
            Ok(()) => remove_logs_before(&self.directory, number),
            Err(error) => {
                self.forget();
                Err(error)
            }
        }
    }

    /// A fold to be run in the background when the log has grown enough for it.
    ///
    /// # Errors
    /// When no new log can be begun.
    pub(super) fn fold_if_due(&mut self, served: impl FnOnce() -> ServedParts) -> io::Result<Option<Fold>> {
        let due = FOLD_AT.max(self.base_bytes);
        let Some(log) = self.log.as_ref().filter(|log| log.bytes >= due) else { return Ok(None) };
        self.begin_log(log.number + 1).map(|()| Some(self.fold(served())))
    }

    /// A base has been folded, so large.
    pub(super) fn folded(&mut self, base_bytes: u64) {
        self.base_bytes = base_bytes;
    }

    fn begin_log(&mut self, number: u64) -> io::Result<()> {
        self.log = Some(Log::create(&self.directory, number)?);
        Ok(())
    }

    fn fold(&self, served: ServedParts) -> Fold {
        Fold {
            directory: self.directory.clone(),
            failpoints: Arc::clone(&self.failpoints),
            until_log: self.log.as_ref().map_or(0, |log| log.number),
            served,
        }
    }

    /// Fails closed: no configuration on disk rather than an old one.
    pub(super) fn forget(&mut self) {
        self.log = None;
        let removed = fs::remove_file(base_path(&self.directory));
        if let Err(error) = removed.or_else(ignore_missing) {
            tracing::error!(%error, "an outdated configuration could not be removed from the disk");
        }
    }

    fn load(&mut self) -> io::Result<Option<Held>> {
        let Some((base, base_bytes)) = read_base(&self.directory)? else { return Ok(None) };
        let (mut number, mut held) = (base.log, Held::from(base.held));
        let mut good = replay(&self.directory, number, &mut held)?;
        while let Some(next) = replay(&self.directory, number + 1, &mut held)? {
            (number, good) = (number + 1, Some(next));
        }
        self.log = Some(Log::open(&self.directory, number, good.unwrap_or(0))?);
        self.base_bytes = base_bytes;
        Ok(Some(held))
    }
}

fn ignore_missing(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
