//! Watches over the connections of a thread: heads that do not arrive, connections that nobody uses, clients that do not
//! take their answers.
//!
//! One look at all connections a few times a second, instead of a timer for each request: a request costs nothing.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use super::connection::ConnectionState;
use super::http1::{Departures, SpareEnds};
use crate::worker::Worker;

/// Milliseconds between two looks.
const LOOK: u64 = 250;

/// Bytes of a date as HTTP writes it.
const DATE_LENGTH: usize = 29;

/// The connections of one thread.
pub(super) struct Watch {
    /// Milliseconds for which a connection may be open without a call.
    keep_alive: u64,
    /// Milliseconds for which a client may take nothing of its answer.
    stalled: u64,
    connections: RefCell<Vec<Rc<ConnectionState>>>,
    /// Milliseconds since the watch began, to within a look.
    pub(super) tick: Rc<Cell<u64>>,
    /// Now, as `Date` has it.
    date: Cell<[u8; DATE_LENGTH]>,
    /// Answers that wait for the end of the turn.
    pub(super) departures: Rc<Departures>,
    /// For heads that are being read.
    pub(super) line_ends: SpareEnds,
}

impl Watch {
    pub(super) fn new(keep_alive: Duration, stalled: Duration) -> Self {
        let [keep_alive, stalled] =
            [keep_alive, stalled].map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        Self {
            keep_alive,
            stalled,
            connections: RefCell::default(),
            tick: Rc::default(),
            date: Cell::new(date()),
            departures: Rc::default(),
            line_ends: SpareEnds::default(),
        }
    }

    /// Watches a connection until it has ended.
    pub(super) fn add(&self, connection: Rc<ConnectionState>) {
        let now = self.tick.get();
        connection.used_at.set(now);
        connection.head_since.set(now.max(1));
        self.connections.borrow_mut().push(connection);
    }

    /// Now, to within a look (RFC 9110 §6.6.1).
    pub(super) fn date(&self) -> [u8; DATE_LENGTH] {
        self.date.get()
    }

    /// Tells every connection to end when its calls are done.
    pub(super) fn stop(&self) {
        for connection in self.connections.borrow().iter() {
            connection.stopping.set(true);
            connection.close();
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
            self.tick.set(now);
            let head = worker.shared.peek().settings.limits.header_timeout_ms;
            self.date.set(date());
            worker.set_time();
            self.look(now, head);
            count += 1;
            if count.is_multiple_of(20) {
                worker.pools.sweep();
            }
        }
    }

    fn look(&self, now: u64, head_timeout: u64) {
        self.connections.borrow_mut().retain(|connection| {
            if connection.ended.get() {
                return false;
            }
            let head = connection.head_since.get();
            let idle = connection.busy.get() == 0;
            let unused = now.saturating_sub(connection.used_at.get());
            let blocked = connection.blocked_since.get();
            if (head != 0 && idle && now.saturating_sub(head) > head_timeout)
                || (idle && unused > self.keep_alive)
                || (blocked != 0 && now.saturating_sub(blocked) > self.stalled)
            {
                connection.close();
            }
            true
        });
    }
}

fn date() -> [u8; DATE_LENGTH] {
    let text = httpdate::fmt_http_date(SystemTime::now());
    std::array::from_fn(|index| text.as_bytes().get(index).copied().unwrap_or(b' '))
}
