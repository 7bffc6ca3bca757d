//! Makes batches: gathers what all threads have recorded, four times a second, and puts it into the spool.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use sluice_contract::calls::wire::BatchHead;
use sluice_contract::ids::BootId;
use sluice_contract::link::CALL_BATCH_MAX;
use sluice_contract::rollup::RollupDelta;
use tokio::sync::Notify;

use super::recorder::{Buffer, Recorders};
use super::rollup::{Cap, Rollups};
use super::spool::Spool;
use super::tally::Tally;

/// Bytes of calls after which the next goes into another batch. With one thread's whole buffer on top and the
/// rollups, a batch stays below [`CALL_BATCH_MAX`].
const SPLIT_AT: usize = CALL_BATCH_MAX / 8;
/// zstd's level. This takes time from calls: level 1 makes batches 0.6 times as large, but takes twice as long.
const LEVEL: i32 = -1;

/// Gathers batches on a thread of its own, since it writes files and compresses.
pub(super) struct Collector {
    pub(super) boot: BootId,
    pub(super) recorders: Arc<Recorders>,
    pub(super) spool: Arc<Mutex<Spool>>,
    pub(super) tally: Arc<Tally>,
    pub(super) ready: Arc<Notify>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) interval: Duration,
    pub(super) cap: Cap,
    /// Drops by the recorders that the spool has been told of.
    pub(super) recorder_drops: u64,
}

impl Collector {
    /// Runs until `stop` is set and the thread unparked, then collects a last time.
    pub(super) fn run(mut self) {
        self.recorders.collected_by(std::thread::current());
        loop {
            std::thread::park_timeout(self.interval);
            let last = self.stop.load(Ordering::Acquire);
            self.collect();
            if last {
                return;
            }
        }
    }

    fn collect(&mut self) {
        self.count_recorder_drops();
        let mut buffers = self.recorders.take();
        let mut rollups = Rollups::default();
        for buffer in &mut buffers {
            rollups.merge(std::mem::take(&mut buffer.rollups));
        }
        let rollups = self.cap.apply(rollups);
        let mut groups = group(buffers);
        if groups.is_empty() && self.has_drops_to_tell() {
            groups.push(Vec::new());
        }
        // The rollups travel with the last group, so that a reader of both never sees counts without their calls.
        let last = groups.len().saturating_sub(1);
        for (i, group) in groups.iter().enumerate() {
            self.store(group, if i == last { &rollups } else { &[] });
        }
        if !groups.is_empty() {
            self.ready.notify_one();
        }
    }

    fn store(&self, group: &[Buffer], rollups: &[RollupDelta]) {
        let calls = group.iter().map(|buffer| buffer.calls).sum();
        // Taken before the lock: nobody but this thread makes batches, so the number stays what it is.
        let sequence = self.spool.lock().next_sequence();
        let dropped = self.tally.untold();
        let head = BatchHead { boot: self.boot, sequence, dropped, rollups: rollups.into(), calls };
        match encode(&head, group) {
            Ok(body) => self.spool.lock().push(calls, dropped, body),
            Err(error) => {
                tracing::error!(%error, calls, "a batch of calls could not be encoded");
                self.spool.lock().drop_calls(calls);
            }
        }
    }

    fn count_recorder_drops(&mut self) {
        let dropped = self.recorders.dropped();
        if dropped > self.recorder_drops {
            self.spool.lock().drop_calls(dropped - self.recorder_drops);
            self.recorder_drops = dropped;
        }
    }

    /// Drops are told along with calls; alone only when nothing else is under way.
    fn has_drops_to_tell(&self) -> bool {
        self.tally.untold() > 0 && self.spool.lock().size().0 == 0
    }
}

/// Buffers side by side that fit one batch.
fn group(buffers: Vec<Buffer>) -> Vec<Vec<Buffer>> {
    let mut groups: Vec<Vec<Buffer>> = Vec::new();
    let mut bytes = SPLIT_AT;
    for buffer in buffers {
        if bytes >= SPLIT_AT {
            groups.push(Vec::new());
            bytes = 0;
        }
        bytes += buffer.records.len();
        if let Some(group) = groups.last_mut() {
            group.push(buffer);
        }
    }
    groups
}

/// A [`sluice_contract::calls::CallBatch`] as it is sent, compressed.
fn encode(head: &BatchHead<'_>, group: &[Buffer]) -> io::Result<Vec<u8>> {
    let mut out = zstd::stream::Encoder::new(Vec::new(), LEVEL)?;
    out.write_all(&head.bytes().map_err(io::Error::other)?)?;
    for buffer in group {
        out.write_all(&buffer.records)?;
    }
    out.finish()
}
