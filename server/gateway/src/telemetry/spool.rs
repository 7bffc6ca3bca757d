//! Batches that wait for the control plane: files in order of age, within a bound; past it the oldest go, counted.
//!
//! A batch is written before it is sent and removed after its receipt, so that a killed gateway loses only what was
//! not yet here. Where the disk refuses (full, a limit on file sizes), batches wait in a little memory instead and
//! calls are still served and delivered. Files are not synced: a kill leaves them whole, a power failure may not.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluice_contract::ids::BootId;

use super::tally::Tally;

/// Bytes of batches that wait in memory because the disk refuses them.
const MEMORY_MAX: u64 = 16 << 20;
/// Old batches that make room for a new one on a full disk, before that one waits in memory.
const EVICT_FOR_ONE: usize = 8;

/// Batches that wait, oldest first.
pub(super) struct Spool {
    directory: PathBuf,
    max_bytes: u64,
    tally: Arc<Tally>,
    waiting: VecDeque<Waiting>,
    bytes: u64,
    /// What is being sent: it is not evicted, since it may well have arrived.
    sending: Option<BatchName>,
    dropped: u64,
    next_sequence: u64,
    boot: BootId,
}

/// A batch's name on disk: who made it, and what is gone with it if it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BatchName {
    pub(crate) boot: BootId,
    pub(crate) sequence: u64,
    calls: u64,
    /// Dropped calls that the batch tells of.
    dropped: u64,
    /// The boot's settled calls once this batch is on disk; 0 for one that waits in memory.
    settled: u64,
}

struct Waiting {
    name: BatchName,
    size: u64,
    place: Place,
}

enum Place {
    Disk,
    Memory(Arc<[u8]>),
}

/// A batch as it is sent.
pub(crate) enum Body {
    File(PathBuf),
    Memory(Arc<[u8]>),
}

impl Spool {
    /// Opens a directory with what earlier boots left in it.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub(super) fn open(
        directory: PathBuf,
        max_bytes: u64,
        tally: Arc<Tally>,
        boot: BootId,
    ) -> io::Result<Self> {
        let mut waiting = Vec::new();
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            match BatchName::parse(&entry.file_name().to_string_lossy()) {
                Some(name) => {
                    waiting.push(Waiting { name, size: entry.metadata()?.len(), place: Place::Disk });
                }
                // Half a batch: its calls were never settled and count as lost.
                None => _ = fs::remove_file(entry.path()),
            }
        }
        waiting.sort_by_key(|waiting| waiting.name);
        let bytes = waiting.iter().map(|waiting| waiting.size).sum();
        let waiting = VecDeque::from(waiting);
        Ok(Self {
            directory,
            max_bytes,
            tally,
            waiting,
            bytes,
            sending: None,
            dropped: 0,
            next_sequence: 1,
            boot,
        })
    }

    /// What a boot had settled by its batches that are here.
    pub(super) fn settled_by(&self, boot: BootId) -> u64 {
        let of_boot = self.waiting.iter().filter(|waiting| waiting.name.boot == boot);
        of_boot.map(|waiting| waiting.name.settled).max().unwrap_or_default()
    }

    /// Batches and bytes that wait.
    pub(super) fn size(&self) -> (u64, u64) {
        (self.waiting.len() as u64, self.bytes)
    }

    /// Calls dropped since start.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The sequence of the next batch. Only [`Self::push`] uses it up.
    pub(super) fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Calls that were dropped before they came into a batch.
    pub(super) fn drop_calls(&mut self, calls: u64) {
        self.tally.settle(self.tally.settled() + calls);
        self.tell_later(calls);
    }

    /// Takes the batch of [`Self::next_sequence`], which holds `calls` and tells of `dropped` dropped ones.
    pub(super) fn push(&mut self, calls: u64, dropped: u64, body: Vec<u8>) {
        let settled = self.tally.settled() + calls;
        let name = BatchName { boot: self.boot, sequence: self.next_sequence, calls, dropped, settled };
        self.next_sequence += 1;
        let size = body.len() as u64;
        match self.write(&name, &body) {
            Ok(()) => {
                self.tally.settle(settled);
                self.tally.told(dropped);
                self.waiting.push_back(Waiting { name, size, place: Place::Disk });
            }
            Err(error) => {
                tracing::warn!(%error, calls, "call records cannot be written to the spool; they wait in memory");
                self.tally.told(dropped);
                let name = BatchName { settled: 0, ..name };
                self.waiting.push_back(Waiting { name, size, place: Place::Memory(body.into()) });
            }
        }
        self.bytes += size;
        self.keep_within_bounds();
    }

    /// The oldest batch, to be sent. It stays until [`Self::delivered`] or [`Self::refused`].
    pub(super) fn next(&mut self) -> Option<(BatchName, Body)> {
        let Waiting { name, place, size: _ } = self.waiting.front()?;
        self.sending = Some(*name);
        let body = match place {
            Place::Disk => Body::File(self.path(name)),
            Place::Memory(bytes) => Body::Memory(Arc::clone(bytes)),
        };
        Some((*name, body))
    }

    /// Nothing is being sent any more.
    pub(super) fn put_back(&mut self) {
        self.sending = None;
    }

    /// The control plane has this batch.
    pub(super) fn delivered(&mut self, name: &BatchName) {
        self.sending = None;
        if let Some(Waiting { place: Place::Memory(_), .. }) = self.remove(name) {
            self.tally.settle(self.tally.settled() + name.calls);
        }
    }

    /// This batch can never be delivered: it is unreadable, or the control plane says that it is not a batch.
    pub(super) fn refused(&mut self, name: &BatchName) {
        self.sending = None;
        self.evict(name);
    }

    fn keep_within_bounds(&mut self) {
        while self.bytes > self.max_bytes {
            let Some(oldest) = self.oldest(|_| true) else { break };
            self.evict(&oldest);
        }
        let in_memory = |waiting: &&Waiting| matches!(waiting.place, Place::Memory(_));
        while self.waiting.iter().filter(in_memory).map(|waiting| waiting.size).sum::<u64>() > MEMORY_MAX {
            let Some(oldest) = self.oldest(|place| matches!(place, Place::Memory(_))) else { break };
            self.evict(&oldest);
        }
    }

    fn oldest(&self, wanted: impl Fn(&Place) -> bool) -> Option<BatchName> {
        let mut candidates = self.waiting.iter().filter(|waiting| Some(waiting.name) != self.sending);
        candidates.find(|waiting| wanted(&waiting.place)).map(|waiting| waiting.name)
    }

    /// Drops a batch; the next one tells how many calls went with it.
    fn evict(&mut self, name: &BatchName) {
        let Some(waiting) = self.waiting.iter().find(|waiting| waiting.name == *name) else { return };
        if let Place::Memory(_) = waiting.place {
            self.tally.settle(self.tally.settled() + name.calls);
        }
        // Counted before it goes: a kill in between counts too much rather than too little.
        self.tell_later(name.calls + name.dropped);
        self.dropped -= name.dropped;
        self.remove(name);
    }

    fn tell_later(&mut self, calls: u64) {
        self.dropped += calls;
        self.tally.add_untold(calls);
    }

    fn remove(&mut self, name: &BatchName) -> Option<Waiting> {
        let at = self.waiting.iter().position(|waiting| waiting.name == *name)?;
        let waiting = self.waiting.remove(at)?;
        self.bytes -= waiting.size;
        if let Place::Disk = waiting.place
            && let Err(error) = fs::remove_file(self.path(name))
        {
            tracing::warn!(%error, "a batch of calls could not be removed from the spool");
        }
        Some(waiting)
    }

    fn write(&mut self, name: &BatchName, body: &[u8]) -> io::Result<()> {
        for _ in 0..EVICT_FOR_ONE {
            match self.write_once(name, body) {
                Err(error) if is_full(&error) => match self.oldest(|place| matches!(place, Place::Disk)) {
                    Some(oldest) => self.evict(&oldest),
                    None => return Err(error),
                },
                done => return done,
            }
        }
        self.write_once(name, body)
    }

    fn write_once(&self, name: &BatchName, body: &[u8]) -> io::Result<()> {
        let temporary = self.directory.join("batch.tmp");
        let written = fs::write(&temporary, body).and_then(|()| fs::rename(&temporary, self.path(name)));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    fn path(&self, name: &BatchName) -> PathBuf {
        Path::join(&self.directory, name.file_name())
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl BatchName {
    fn file_name(&self) -> String {
        let Self { boot, sequence, calls, dropped, settled } = self;
        format!("{}_{sequence}_{calls}_{dropped}_{settled}.batch", boot.0.simple())
    }

    fn parse(file_name: &str) -> Option<Self> {
        let mut fields = file_name.strip_suffix(".batch")?.split('_');
        let boot = fields.next()?.parse().ok()?;
        let mut number = || fields.next()?.parse::<u64>().ok();
        let name =
            Self { boot, sequence: number()?, calls: number()?, dropped: number()?, settled: number()? };
        fields.next().is_none().then_some(name)
    }
}
