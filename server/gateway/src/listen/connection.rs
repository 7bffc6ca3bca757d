//! What is known of a client connection, apart from its requests.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use tokio::sync::Notify;

use super::framing::{Event, Violation};
use crate::pipeline::Client;

/// A client connection, as its requests see it.
pub struct Connection {
    pub(crate) peer: SocketAddr,
    /// What upstreams are told of who is connected.
    pub(crate) client: Client,
    state: Arc<ConnectionState>,
    /// The watch's clock.
    tick: Arc<AtomicU64>,
    /// Requests that were handed to the pipeline.
    served: Cell<u32>,
}

/// What the reading side notes down. Only one thread uses it; hyper's upgrades ask that it could be sent to another.
#[derive(Default)]
pub(super) struct ConnectionState {
    /// Heads that were complete.
    heads: AtomicU32,
    /// Which head (counted from 1) was bad; 0: none.
    bad_head: AtomicU32,
    violation: AtomicU8,
    /// The watch's tick at which a head began to arrive; 0: none is arriving.
    pub(super) head_since: AtomicU64,
    /// The watch's tick at which the client stopped taking what is sent; 0: it takes it.
    pub(super) blocked_since: AtomicU64,
    /// The watch's tick at which the connection was last used.
    pub(super) used_at: AtomicU64,
    /// Calls whose last byte has not left.
    pub(super) busy: AtomicU32,
    pub(super) ended: AtomicBool,
    /// The gateway stops: calls in flight may finish.
    pub(super) stopping: AtomicBool,
    /// The watch wants the connection closed, at once or when its calls are done.
    pub(super) close: Notify,
}

impl Connection {
    pub(super) fn new(peer: SocketAddr, state: Arc<ConnectionState>, tick: Arc<AtomicU64>) -> Self {
        Self { peer, client: Client::new(peer.ip().to_canonical()), state, tick, served: Cell::new(0) }
    }

    /// A call begins: the connection is in use until its last byte has left.
    pub(crate) fn busy(&self) -> Busy {
        self.state.busy.fetch_add(1, Ordering::Relaxed);
        Busy { state: Arc::clone(&self.state), tick: Arc::clone(&self.tick) }
    }

    /// Counts a request; Some when it is the one whose head is not in order.
    pub(crate) fn next_request(&self) -> Option<Violation> {
        let number = self.served.get() + 1;
        self.served.set(number);
        let bad = self.state.bad_head.load(Ordering::Relaxed);
        let is_bad = bad != 0 && number >= bad;
        is_bad.then(|| Violation::from_number(self.state.violation.load(Ordering::Relaxed))).flatten()
    }
}

/// Marks a connection as in use.
pub(crate) struct Busy {
    state: Arc<ConnectionState>,
    tick: Arc<AtomicU64>,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.state.used_at.store(self.tick.load(Ordering::Relaxed), Ordering::Relaxed);
        self.state.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ConnectionState {
    /// Notes what the watcher of the bytes saw at this tick. True when reading cannot go on.
    pub(super) fn saw(&self, event: Event, tick: u64) -> bool {
        match event {
            Event::HeadBegins => self.head_since.store(tick.max(1), Ordering::Relaxed),
            Event::HeadEnds => {
                self.head_since.store(0, Ordering::Relaxed);
                self.heads.fetch_add(1, Ordering::Relaxed);
            }
            Event::BadHead(violation) => {
                self.head_since.store(0, Ordering::Relaxed);
                self.violation.store(violation as u8, Ordering::Relaxed);
                self.bad_head.store(self.heads.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            }
            Event::BadBody(_) => return true,
        }
        false
    }

    /// Whether a bad head was seen.
    pub(super) fn is_bad(&self) -> bool {
        self.bad_head.load(Ordering::Relaxed) != 0
    }
}
