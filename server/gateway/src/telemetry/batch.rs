//! Makes batches: gathers what all threads have recorded, four times a second, and puts it into the spool.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use sluice_contract::calls::wire::{BatchHead, PackedCalls};
use sluice_contract::ids::BootId;
use sluice_contract::link::CALL_BATCH_MAX;
use sluice_contract::rollup::RollupDelta;
use tokio::sync::Notify;

use super::recorder::Recorders;
use super::rollup::{Cap, Rollups};
use super::spool::Spool;
use super::tally::Tally;

/// Weight of calls after which the next go into another batch. With one thread's whole buffer on top, a batch stays
/// below [`CALL_BATCH_MAX`].
const SPLIT_AT: usize = CALL_BATCH_MAX / 8;

/// Gathers batches on a thread of its own, since it writes files.
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
        let mut rollups = Rollups::default();
        let mut calls = Vec::new();
        for recorded in self.recorders.take() {
            rollups.add(&recorded.counted);
            calls.push(recorded.calls);
        }
        let rollups = self.cap.apply(rollups);
        let mut groups = group(calls);
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

    fn store(&self, group: &[PackedCalls], rollups: &[RollupDelta]) {
        let calls = group.iter().map(PackedCalls::calls).sum();
        // Taken before the lock: nobody but this thread makes batches, so the number stays what it is.
        let sequence = self.spool.lock().next_sequence();
        let dropped = self.tally.untold();
        let head = BatchHead { boot: self.boot, sequence, dropped, rollups };
        match head.batch(group) {
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

/// What threads recorded, side by side as it fits one batch.
fn group(calls: Vec<PackedCalls>) -> Vec<Vec<PackedCalls>> {
    let mut groups: Vec<Vec<PackedCalls>> = Vec::new();
    let mut weight = SPLIT_AT;
    for calls in calls {
        if weight >= SPLIT_AT {
            groups.push(Vec::new());
            weight = 0;
        }
        weight += calls.weight();
        if let Some(group) = groups.last_mut() {
            group.push(calls);
        }
    }
    groups
}
