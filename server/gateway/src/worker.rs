//! What one serving thread has to itself. Nothing in here is shared, so that nothing in here needs a lock.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderMap;
use sluice_contract::guard::Forbidden;
use sluice_contract::ids::CallId;

use crate::buffers::Buffers;
use crate::pipeline::Repeats;
use crate::shared::Shared;
use crate::state::Snapshot;
use crate::telemetry::Recorder;
use crate::upstream::{Pools, Resolver, TlsConnectors};

/// One serving thread.
pub struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) recorder: Recorder,
    pub(crate) pools: Rc<Pools>,
    pub(crate) tls: TlsConnectors,
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) ids: Ids,
    /// Microseconds since the Unix epoch when the gateway's clock was at zero.
    epoch: Cell<i64>,
    /// Calls here are the gateway's own: nobody is asked for a key, charged or counted.
    pub(crate) internal: bool,
    snapshot: RefCell<Rc<LocalSnapshot>>,
    /// How often it had other settings or APIs than the one before.
    generation: Cell<u64>,
    pub(crate) repeats: Repeats,
    pub(crate) spare: SpareMaps,
    pub(crate) buffers: Rc<Buffers>,
}

/// Maps of fields whose memory others can have: what the last answer touched, the next one finds in the processor's caches.
#[derive(Default)]
pub(crate) struct SpareMaps(RefCell<Vec<HeaderMap>>);

impl SpareMaps {
    /// More are not kept.
    const MOST: usize = 64;
    /// Fields for which a map that is kept has room.
    const LARGEST: usize = 200;

    /// An empty one, with or without memory.
    pub(crate) fn take(&self) -> HeaderMap {
        self.0.borrow_mut().pop().unwrap_or_default()
    }

    pub(crate) fn give(&self, mut map: HeaderMap) {
        let mut maps = self.0.borrow_mut();
        if maps.len() < Self::MOST && map.capacity() <= Self::LARGEST {
            map.clear();
            maps.push(map);
        }
    }
}

/// The snapshot that a thread saw last. Counting references in memory of its own spares the threads from fighting over
/// one counter for each call.
pub(crate) struct LocalSnapshot(Arc<Snapshot>);

impl std::ops::Deref for LocalSnapshot {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.0
    }
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, tls: TlsConnectors, resolver: Arc<dyn Resolver>) -> Rc<Self> {
        let snapshot = RefCell::new(Rc::new(LocalSnapshot(shared.snapshot())));
        let recorder = shared.recorders.recorder();
        let pools = Rc::default();
        let (ids, epoch) = (Ids::new(), Cell::new(0));
        let internal = false;
        let (generation, repeats, spare, buffers) = Default::default();
        let worker = Self {
            shared,
            recorder,
            pools,
            tls,
            resolver,
            ids,
            epoch,
            internal,
            snapshot,
            generation,
            repeats,
            spare,
            buffers,
        };
        worker.set_time();
        Rc::new(worker)
    }

    /// Looks at the time of day, which may be set while the gateway's clock goes on.
    pub(crate) fn set_time(&self) {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
        self.epoch.set(now - micros(self.shared.clock.now()));
    }

    /// Microseconds since the Unix epoch at this moment of the gateway's clock: right to what the time of day was set by
    /// since it was last looked at.
    pub(crate) fn unix_us(&self, moment: u64) -> i64 {
        self.epoch.get() + micros(moment)
    }

    /// For calls that the gateway makes itself.
    pub(crate) fn internal(shared: Arc<Shared>, tls: TlsConnectors, resolver: Arc<dyn Resolver>) -> Rc<Self> {
        let mut worker = Self::new(shared, tls, resolver);
        if let Some(worker) = Rc::get_mut(&mut worker) {
            worker.internal = true;
        }
        worker
    }

    /// What calls are decided with now.
    pub(crate) fn snapshot(&self) -> Rc<LocalSnapshot> {
        let newest = self.shared.peek();
        let mut mine = self.snapshot.borrow_mut();
        if !Arc::ptr_eq(&mine.0, &newest) {
            if !Arc::ptr_eq(&mine.settings, &newest.settings) {
                // Idle connections may lead where connections may no longer go.
                self.pools.clear();
            }
            let same = Arc::ptr_eq(&mine.settings, &newest.settings) && Arc::ptr_eq(&mine.apis, &newest.apis);
            *mine = Rc::new(LocalSnapshot(Arc::clone(&newest)));
            if !same {
                self.generation.update(|generation| generation + 1);
                self.repeats.forget();
            }
        }
        Rc::clone(&mine)
    }

    /// Tells what the thread's snapshot says of requests without credentials from what others before it said. None: this is
    /// another one.
    pub(crate) fn generation(&self, snapshot: &Snapshot) -> Option<u64> {
        std::ptr::eq(Arc::as_ptr(&self.snapshot.borrow().0), snapshot).then(|| self.generation.get())
    }

    /// Whether a connection to this address may be made now.
    pub(crate) fn may_connect(&self, address: IpAddr) -> Result<(), Forbidden> {
        self.shared.guard.check(address).or_else(|_| self.shared.peek().settings.guard.check(address))
    }
}

fn micros(nanos: u64) -> i64 {
    i64::try_from(nanos / 1_000).unwrap_or(i64::MAX)
}

/// Runs hyper's tasks on this thread.
#[derive(Clone, Copy)]
pub(crate) struct LocalExecutor;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(async move {
            task.await;
        });
    }
}

/// Identifiers that are unique but not secret: a generator of this thread's own, since the operating system's costs a
/// call of it for each number.
pub(crate) struct Ids(Cell<u64>);

impl Ids {
    fn new() -> Self {
        let mut seed = [0; 8];
        // Without randomness the address and time still tell threads apart.
        if getrandom::fill(&mut seed).is_err() {
            let here = std::ptr::from_ref(&seed) as u64;
            seed = (here ^ chrono::Utc::now().timestamp_micros() as u64).to_ne_bytes();
        }
        Self(Cell::new(u64::from_ne_bytes(seed) | 1))
    }

    /// 64 bits (SplitMix64).
    pub(crate) fn random(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The identifier (UUID version 7) of a call that began at this time, in microseconds since the Unix epoch.
    pub(crate) fn call(&self, at_us: i64) -> CallId {
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&self.random().to_ne_bytes());
        bytes[8..].copy_from_slice(&self.random().to_ne_bytes()[..2]);
        let millis = u64::try_from(at_us).unwrap_or_default() / 1_000;
        CallId(uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid())
    }
}

#[cfg(test)]
mod tests {
    use http::header::{ACCEPT, HeaderValue};

    use super::*;

    #[test]
    fn maps_are_handed_on_empty_and_neither_many_nor_large_ones_are_kept() {
        let spare = SpareMaps::default();
        let mut used = HeaderMap::with_capacity(8);
        used.insert(ACCEPT, HeaderValue::from_static("x"));
        spare.give(used);
        spare.give(HeaderMap::with_capacity(1_000));
        let map = spare.take();
        assert!(map.is_empty() && map.capacity() >= 8);
        assert_eq!(spare.take().capacity(), 0);
        (0..1_000).for_each(|_| spare.give(HeaderMap::with_capacity(1)));
        assert_eq!(spare.0.borrow().len(), SpareMaps::MOST);
    }
}
