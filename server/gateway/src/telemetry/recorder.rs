//! Where finished calls go first: a buffer of each thread, written as they are sent at once, so that no call is kept.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::Thread;

use parking_lot::Mutex;
use sluice_contract::calls::Call;
use sluice_contract::calls::wire::{CallRecord, Likeness, NoBatch, PackedCalls, Section};

use super::rollup::Counted;
use super::tally::Tally;

/// Weight of a thread's buffer at which it is collected before its time.
const COLLECT_AT: usize = 1 << 20;
/// Weight of a thread's buffer past which calls are dropped and counted: the collector has been stuck for long.
const BUFFER_MAX: usize = 8 << 20;

/// The buffers of all threads.
pub struct Recorders {
    tally: Arc<Tally>,
    buffers: Mutex<Vec<Arc<Mutex<Buffer>>>>,
    slots: AtomicUsize,
    dropped: AtomicU64,
    collector: Mutex<Option<Thread>>,
}

/// What a thread has recorded since it was last collected.
#[derive(Default)]
struct Buffer {
    section: Section,
    counted: Counted,
}

/// What a thread had recorded when it was collected.
pub(super) struct Recorded {
    pub(super) calls: PackedCalls,
    pub(super) counted: Counted,
}

/// Records the calls of one thread. Clones share its buffer, and cost no atomic operation.
#[derive(Clone)]
pub struct Recorder(Rc<OfThread>);

struct OfThread {
    all: Arc<Recorders>,
    buffer: Arc<Mutex<Buffer>>,
    slot: usize,
}

/// A call that has begun. It counts as lost when the process dies before it is recorded.
#[must_use = "a call that begins is recorded when it ends"]
pub struct OpenCall {
    recorder: Option<Recorder>,
}

impl Recorders {
    pub(super) fn new(tally: Arc<Tally>) -> Arc<Self> {
        Arc::new(Self {
            tally,
            buffers: Mutex::default(),
            slots: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            collector: Mutex::new(None),
        })
    }

    /// Buffers that nobody ships, for a gateway without a control plane (tests, benchmarks).
    pub fn in_memory() -> Arc<Self> {
        Self::new(Arc::new(Tally::in_memory()))
    }

    /// The recorder of one more thread.
    pub fn recorder(self: &Arc<Self>) -> Recorder {
        let buffer = Arc::new(Mutex::new(Buffer::default()));
        self.buffers.lock().push(Arc::clone(&buffer));
        let slot = self.slots.fetch_add(1, Ordering::Relaxed);
        Recorder(Rc::new(OfThread { all: Arc::clone(self), buffer, slot }))
    }

    /// Calls begun since start.
    pub fn accepted(&self) -> u64 {
        self.tally.accepted()
    }

    /// Calls dropped since start because a buffer was full.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Takes what all threads have recorded; threads go on with empty buffers.
    pub(super) fn take(&self) -> Vec<Recorded> {
        self.buffers.lock().iter().filter_map(|buffer| buffer.lock().take()).collect()
    }

    /// Takes what all threads have recorded, as the control plane would read it.
    ///
    /// # Errors
    /// When a record is not what the contract says: a bug.
    pub fn take_calls(&self) -> Result<Vec<Call>, NoBatch> {
        let calls = self.take().into_iter().map(|recorded| recorded.calls.read());
        Ok(calls.collect::<Result<Vec<_>, _>>()?.concat())
    }

    /// Says which thread to wake when a buffer fills.
    pub(super) fn collected_by(&self, thread: Thread) {
        *self.collector.lock() = Some(thread);
    }

    fn wake_collector(&self) {
        if let Some(thread) = &*self.collector.lock() {
            thread.unpark();
        }
    }
}

impl Recorder {
    /// A call begins: its request head has arrived.
    pub fn open(&self) -> OpenCall {
        self.0.all.tally.accept(self.0.slot);
        OpenCall { recorder: Some(self.clone()) }
    }
}

impl OfThread {
    fn push(&self, call: &CallRecord<'_>, alike: Option<&Cell<Option<Likeness>>>) {
        let mut buffer = self.buffer.lock();
        let before = buffer.section.weight();
        if before >= BUFFER_MAX {
            drop(buffer);
            self.all.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let after = buffer.push(call, alike);
        drop(buffer);
        if before < COLLECT_AT && after >= COLLECT_AT {
            self.all.wake_collector();
        }
    }
}

impl Buffer {
    /// Says what it weighs then.
    fn push(&mut self, call: &CallRecord<'_>, alike: Option<&Cell<Option<Likeness>>>) -> usize {
        let seat = match alike {
            None => self.section.append(call),
            Some(last) => {
                let mut likeness = last.get();
                let seat = self.section.append_alike(call, &mut likeness);
                last.set(likeness);
                seat
            }
        };
        self.counted.count(seat, call);
        self.section.weight()
    }

    /// What was recorded, if anything was.
    fn take(&mut self) -> Option<Recorded> {
        if self.section.calls() == 0 {
            return None;
        }
        Some(Recorded { calls: self.section.take(), counted: std::mem::take(&mut self.counted) })
    }
}

impl OpenCall {
    /// The call has ended. Call this before the last bytes leave, so that who has seen the answer finds the record.
    pub fn record(self, call: &CallRecord<'_>) {
        self.push(call, None);
    }

    /// The same for one of some calls that are alike, all of one thread: `last` is theirs.
    pub fn record_alike(self, call: &CallRecord<'_>, last: &Cell<Option<Likeness>>) {
        self.push(call, Some(last));
    }

    fn push(mut self, call: &CallRecord<'_>, alike: Option<&Cell<Option<Likeness>>>) {
        if let Some(recorder) = self.recorder.take() {
            recorder.0.push(call, alike);
        }
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if let Some(recorder) = &self.recorder {
            recorder.0.all.tally.abandon(recorder.0.slot);
        }
    }
}
