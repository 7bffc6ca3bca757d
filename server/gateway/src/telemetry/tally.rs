//! Counters that survive SIGKILL, so that the next life of a gateway can say exactly how many calls the last one lost.
//!
//! One small file for each boot, mapped into memory: a store to it is in the page cache at once, and the kernel keeps
//! that whatever happens to the process. `accepted` is counted when a call begins, `settled` when its record is in the
//! spool (or counted as dropped); what is accepted and never settled is lost. The file is filled with real zeros
//! before it is mapped, so that a full disk cannot fault a store (on copy-on-write file systems it still may).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};
use sluice_contract::ids::BootId;
use uuid::Uuid;

const SIZE: usize = 4096;
const MAGIC: &[u8; 8] = b"SLTALLY1";
/// Cells of eight bytes: magic, boot (two cells), then these.
const SETTLED: usize = 8;
const DROPPED: usize = 9;
/// `accepted` has a cache line for each thread, so that threads do not fight over one.
const FIRST_SLOT: usize = 16;
const SLOT_CELLS: usize = 8;
const SLOTS: usize = (SIZE / 8 - FIRST_SLOT) / SLOT_CELLS;

/// The counters of this boot.
pub(super) struct Tally {
    cells: Cells,
    path: PathBuf,
}

enum Cells {
    Mapped(MmapRaw),
    /// Where the file cannot be mapped: everything works, but a SIGKILL is not accounted for.
    Memory(Box<[AtomicU64]>),
}

/// What a past boot left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PastTally {
    pub(super) boot: BootId,
    /// Calls accepted but not settled according to the counters.
    pub(super) unsettled: u64,
    pub(super) settled: u64,
    /// Calls dropped that no batch has told of.
    pub(super) dropped: u64,
    path: PathBuf,
}

impl Tally {
    /// Counters of a new boot in `directory`, in memory only when that fails.
    pub(super) fn create(directory: &Path, boot: BootId) -> Self {
        let path = directory.join(format!("{boot}.tally"));
        let cells = match map(&path, boot) {
            Ok(mapped) => Cells::Mapped(mapped),
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "calls lost by a kill will not be counted: no tally file");
                return Self::in_memory();
            }
        };
        Self { cells, path }
    }

    /// Counters that die with the process.
    pub(super) fn in_memory() -> Self {
        let cells = (0..SIZE / 8).map(|_| AtomicU64::new(0)).collect();
        Self { cells: Cells::Memory(cells), path: PathBuf::new() }
    }

    /// A call began on a thread.
    pub(super) fn accept(&self, slot: usize) {
        self.slot(slot).fetch_add(1, Ordering::Relaxed);
    }

    /// A call that began will not be recorded after all.
    pub(super) fn abandon(&self, slot: usize) {
        self.slot(slot).fetch_sub(1, Ordering::Relaxed);
    }

    /// Calls accepted since start.
    pub(super) fn accepted(&self) -> u64 {
        (0..SLOTS).map(|slot| self.slot(slot).load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
    }

    /// Calls whose fate is known: in the spool, delivered, or counted as dropped.
    pub(super) fn settled(&self) -> u64 {
        self.cell(SETTLED).load(Ordering::Relaxed)
    }

    /// Sets [`Self::settled`]. Only the thread that writes the spool does.
    pub(super) fn settle(&self, settled: u64) {
        self.cell(SETTLED).store(settled, Ordering::Relaxed);
    }

    /// Calls dropped that no batch has told of yet.
    pub(super) fn untold(&self) -> u64 {
        self.cell(DROPPED).load(Ordering::Relaxed)
    }

    /// More calls were dropped.
    pub(super) fn add_untold(&self, calls: u64) {
        self.cell(DROPPED).fetch_add(calls, Ordering::Relaxed);
    }

    /// A batch tells of this many dropped calls.
    pub(super) fn told(&self, calls: u64) {
        self.cell(DROPPED).fetch_sub(calls, Ordering::Relaxed);
    }

    /// Ends a life well: nothing is left to tell, so the file goes.
    pub(super) fn close(&self) {
        if self.accepted() == self.settled() && self.untold() == 0 {
            let _ = fs::remove_file(&self.path);
        }
    }

    fn slot(&self, slot: usize) -> &AtomicU64 {
        self.cell(FIRST_SLOT + slot % SLOTS * SLOT_CELLS)
    }

    fn cell(&self, index: usize) -> &AtomicU64 {
        match &self.cells {
            Cells::Memory(cells) => &cells[index],
            Cells::Mapped(map) => {
                assert!(index < SIZE / 8, "a cell lies within the mapping");
                // SAFETY: the mapping is SIZE bytes (`map` wrote that many before mapping), aligned to a page, lives as
                // long as `self`, and is only ever accessed as atomics. The file is private to this boot (its name holds
                // the boot's id) and nothing truncates it.
                #[expect(unsafe_code, reason = "atomics in a mapped file are what survives SIGKILL")]
                unsafe {
                    &*map.as_mut_ptr().cast::<AtomicU64>().add(index)
                }
            }
        }
    }
}

impl PastTally {
    /// What earlier boots left in `directory`, oldest first. Files that are not tallies are left alone.
    pub(super) fn read_all(directory: &Path) -> Vec<Self> {
        let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
        let mut past: Vec<Self> = entries.filter_map(|entry| Self::read(&entry.ok()?.path()).ok()).collect();
        past.sort_by_key(|tally| tally.boot);
        past
    }

    /// Corrects what the boot had settled by what its spool shows, and hands over the dropped calls that it told
    /// nobody of, so that this life can.
    pub(super) fn correct(&mut self, settled: u64) -> io::Result<u64> {
        let more = settled.saturating_sub(self.settled);
        let cells = [(self.settled + more).to_ne_bytes(), 0_u64.to_ne_bytes()].concat();
        // Both cells lie side by side: one write, so that a kill leaves either the old or the new values.
        OpenOptions::new().write(true).open(&self.path)?.write_all_at(&cells, (SETTLED * 8) as u64)?;
        self.settled += more;
        self.unsettled = self.unsettled.saturating_sub(more);
        Ok(std::mem::take(&mut self.dropped))
    }

    /// Forgets it, once the control plane knows.
    pub(super) fn remove(&self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "a tally that has been told could not be removed");
        }
    }

    fn read(path: &Path) -> io::Result<Self> {
        let mut bytes = Vec::with_capacity(SIZE);
        File::open(path)?.take(SIZE as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() != SIZE || !bytes.starts_with(MAGIC) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a tally"));
        }
        let boot = Uuid::from_slice(&bytes[8..24]).map_err(io::Error::other)?;
        let cells: Vec<u64> =
            bytes.chunks_exact(8).map(|chunk| chunk.try_into().map_or(0, u64::from_ne_bytes)).collect();
        let accepted =
            (0..SLOTS).map(|slot| cells[FIRST_SLOT + slot * SLOT_CELLS]).fold(0, u64::wrapping_add);
        let settled = cells[SETTLED];
        Ok(Self {
            boot: BootId(boot),
            unsettled: accepted.saturating_sub(settled),
            settled,
            dropped: cells[DROPPED],
            path: path.to_owned(),
        })
    }
}

fn map(path: &Path, boot: BootId) -> io::Result<MmapRaw> {
    let mut bytes = [0; SIZE];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..24].copy_from_slice(boot.0.as_bytes());
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
    file.write_all(&bytes)?;
    // Blocks must exist before the mapping is written to.
    file.sync_all()?;
    MmapOptions::new().len(SIZE).map_raw(&file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_accepted_and_not_settled_is_found_by_the_next_life() {
        let directory = tempfile::tempdir().unwrap();
        let boot = BootId::generate();
        let tally = Tally::create(directory.path(), boot);
        (0..1_000).for_each(|call| tally.accept(call));
        tally.abandon(0);
        tally.settle(900);
        tally.add_untold(7);
        // No drop, no flush: as after a kill.
        let past = PastTally::read_all(directory.path());
        std::mem::forget(tally);
        assert_eq!(past.len(), 1);
        let mut past = past.into_iter().next().unwrap();
        assert_eq!((past.boot, past.unsettled, past.settled, past.dropped), (boot, 99, 900, 7));
        assert_eq!(past.correct(950).unwrap(), 7);
        assert_eq!(past.unsettled, 49);
        assert_eq!(PastTally::read_all(directory.path()), std::slice::from_ref(&past));
        past.remove();
        assert_eq!(PastTally::read_all(directory.path()), []);
    }

    #[test]
    fn a_life_that_ended_well_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let tally = Tally::create(directory.path(), BootId::generate());
        tally.accept(3);
        tally.settle(1);
        tally.close();
        assert_eq!(PastTally::read_all(directory.path()), []);
    }

    #[test]
    fn without_a_writable_directory_counting_goes_on_in_memory() {
        let tally = Tally::create(Path::new("/proc/no-such-directory"), BootId::generate());
        tally.accept(1);
        tally.accept(2);
        assert_eq!(tally.accepted(), 2);
    }
}
