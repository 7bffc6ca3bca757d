//! Idle connections of one thread.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use http_body::SizeHint;
use hyper::client::conn::http2;
use tokio::time::Instant;

use super::http1::{Http1, Upgraded};
use crate::body::RequestBody;
use crate::compile::PoolSlot;

/// Idle connections to one address at most; a thread seldom needs more at once.
const MAX_IDLE: usize = 512;
/// A connection that has been idle for longer may have been closed by its server without our having heard of it.
pub(super) const DOUBTFUL: Duration = Duration::from_secs(1);

pub(super) type Http2 = http2::SendRequest<RequestBody>;

/// The pools of one thread, by [`PoolSlot`].
#[derive(Default)]
pub(crate) struct Pools(RefCell<Vec<Pool>>);

#[derive(Default)]
struct Pool {
    /// The one used last is at the end and is used first, so that the others may grow old.
    idle: Vec<(Box<Http1>, Instant)>,
    http2: Option<Http2>,
}

/// A connection that is in use.
pub(crate) struct Lease {
    pools: Weak<Pools>,
    slot: PoolSlot,
    connection: Box<Http1>,
}

impl Pools {
    /// An idle connection and how long it has been so.
    pub(super) fn take(&self, slot: PoolSlot) -> Option<(Box<Http1>, Duration)> {
        let mut pools = self.0.borrow_mut();
        let pool = pools.get_mut(slot.0)?;
        loop {
            let (mut connection, since) = pool.idle.pop()?;
            let idle = since.elapsed();
            let good = idle < connection.lasts() && connection.is_quiet();
            if good && (idle <= DOUBTFUL || connection.is_untouched()) {
                return Some((connection, idle));
            }
        }
    }

    /// The HTTP/2 connection, which many calls share.
    pub(super) fn http2(&self, slot: PoolSlot) -> Option<Http2> {
        let pools = self.0.borrow();
        pools.get(slot.0)?.http2.clone().filter(|connection| !connection.is_closed())
    }

    pub(super) fn keep_http2(&self, slot: PoolSlot, connection: Http2) {
        self.with(slot, |pool| pool.http2 = Some(connection));
    }

    /// Closes what has been idle for long.
    pub(crate) fn sweep(&self) {
        for pool in self.0.borrow_mut().iter_mut() {
            pool.idle.retain_mut(|(connection, since)| {
                since.elapsed() < connection.lasts() && connection.is_quiet()
            });
            pool.http2.take_if(|connection| connection.is_closed());
        }
    }

    /// Closes everything that is idle: what connections may be made to has changed.
    pub(crate) fn clear(&self) {
        self.0.borrow_mut().clear();
    }

    fn give_back(&self, slot: PoolSlot, mut connection: Box<Http1>) {
        // The upstream may have answered before it had the whole request; such a connection is of no use to others.
        if !connection.is_reusable() {
            return;
        }
        self.with(slot, |pool| {
            if pool.idle.len() < MAX_IDLE {
                pool.idle.push((connection, Instant::now()));
            }
        });
    }

    fn with(&self, slot: PoolSlot, change: impl FnOnce(&mut Pool)) {
        let mut pools = self.0.borrow_mut();
        if pools.len() <= slot.0 {
            pools.resize_with(slot.0 + 1, Pool::default);
        }
        if let Some(pool) = pools.get_mut(slot.0) {
            change(pool);
        }
    }
}

impl Lease {
    pub(super) fn new(pools: &Rc<Pools>, slot: PoolSlot, connection: Box<Http1>) -> Self {
        Self { pools: Rc::downgrade(pools), slot, connection }
    }

    pub(super) fn connection(&mut self) -> &mut Http1 {
        &mut self.connection
    }

    /// Bytes of the response's body that are to come.
    pub(super) fn size_hint(&self) -> SizeHint {
        self.connection.size_hint()
    }

    /// The connection goes on without a call, in another protocol.
    pub(super) fn into_upgraded(self) -> Option<Upgraded> {
        self.connection.into_upgraded()
    }

    /// The response has been read whole: another call may use the connection.
    pub(super) fn give_back(self) {
        if let Some(pools) = self.pools.upgrade() {
            pools.give_back(self.slot, self.connection);
        }
    }
}
