//! Watches over the connections of a thread: heads that do not arrive, connections that nobody uses, clients that do not
//! take their answers.
//!
//! One look at all connections a few times a second, instead of a timer for each request: a request costs nothing.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::connection::ConnectionState;
use crate::worker::Worker;

/// Milliseconds between two looks.
const LOOK: u64 = 250;

/// The connections of one thread.
pub(super) struct Watch {
    /// Milliseconds for which a connection may be open without a call.
    keep_alive: u64,
    /// Milliseconds for which a client may take nothing of its answer.
    stalled: u64,
    connections: RefCell<Vec<Arc<ConnectionState>>>,
    /// Milliseconds since the watch began, to within a look.
    pub(super) tick: Arc<AtomicU64>,
}

impl Watch {
    pub(super) fn new(keep_alive: Duration, stalled: Duration) -> Self {
        let [keep_alive, stalled] =
            [keep_alive, stalled].map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        Self { keep_alive, stalled, connections: RefCell::default(), tick: Arc::default() }
    }

    /// Watches a connection until it has ended.
    pub(super) fn add(&self, connection: Arc<ConnectionState>) {
        let now = self.tick.load(Ordering::Relaxed);
        connection.used_at.store(now, Ordering::Relaxed);
        connection.head_since.store(now.max(1), Ordering::Relaxed);
        self.connections.borrow_mut().push(connection);
    }

    /// Tells every connection to end when its calls are done.
    pub(super) fn stop(&self) {
        for connection in self.connections.borrow().iter() {
            connection.stopping.store(true, Ordering::Relaxed);
            connection.close.notify_one();
        }
    }

    /// Looks until the thread ends.
    pub(super) async fn run(self: Rc<Self>, worker: Rc<Worker>) {
        let mut looks = tokio::time::interval(Duration::from_millis(LOOK));
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let start = tokio::time::Instant::now();
        let mut count = 0_u64;
        loop {
            looks.tick().await;
            let now = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
            self.tick.store(now, Ordering::Relaxed);
            let head = worker.shared.peek().settings.limits.header_timeout_ms;
            self.look(now, head);
            count += 1;
            if count.is_multiple_of(20) {
                worker.pools.sweep();
            }
        }
    }

    fn look(&self, now: u64, head_timeout: u64) {
        self.connections.borrow_mut().retain(|connection| {
            if connection.ended.load(Ordering::Relaxed) {
                return false;
            }
            let head = connection.head_since.load(Ordering::Relaxed);
            let idle = connection.busy.load(Ordering::Relaxed) == 0;
            let unused = now.saturating_sub(connection.used_at.load(Ordering::Relaxed));
            let blocked = connection.blocked_since.load(Ordering::Relaxed);
            if (head != 0 && idle && now.saturating_sub(head) > head_timeout)
                || (idle && unused > self.keep_alive)
                || (blocked != 0 && now.saturating_sub(blocked) > self.stalled)
            {
                connection.close.notify_one();
            }
            true
        });
    }
}
