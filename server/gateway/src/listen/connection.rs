//! What is known of a client connection, apart from its requests.

use std::cell::{Cell, OnceCell};
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use http::{HeaderMap, StatusCode};

use super::http1::Wire;
use crate::pipeline::Client;

/// A client connection, as its requests see it.
pub struct Connection {
    pub(crate) peer: SocketAddr,
    /// What upstreams are told of who is connected.
    pub(crate) client: Client,
    pub(super) state: Rc<ConnectionState>,
    /// The watch's clock.
    tick: Rc<Cell<u64>>,
    /// Where answers go, as long as it lasts; nowhere where it is not HTTP/1.
    pub(super) wire: OnceCell<Weak<Wire>>,
}

/// What the watch looks at. Times are its ticks.
#[derive(Default)]
pub(super) struct ConnectionState {
    /// When a head began to arrive; 0: none is arriving.
    pub(super) head_since: Cell<u64>,
    /// When the client stopped taking what is sent; 0: it takes it.
    pub(super) blocked_since: Cell<u64>,
    /// When the connection was last used.
    pub(super) used_at: Cell<u64>,
    /// Calls whose last byte has not left.
    pub(super) busy: Cell<u32>,
    pub(super) ended: Cell<bool>,
    /// The gateway stops: calls in flight may finish.
    pub(super) stopping: Cell<bool>,
    /// The watch wants the connection closed, at once or when its calls are done.
    close: Cell<bool>,
    /// Wakes the connection.
    owner: Cell<Option<Waker>>,
}

impl Connection {
    pub(super) fn new(peer: SocketAddr, state: Rc<ConnectionState>, tick: Rc<Cell<u64>>) -> Self {
        Self { peer, client: Client::new(peer.ip().to_canonical()), state, tick, wire: OnceCell::new() }
    }

    /// For calls that the gateway makes itself.
    pub(crate) fn internal() -> Self {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::new(peer, Rc::default(), Rc::default())
    }

    /// Who is connected: the client or a proxy.
    pub(crate) fn address(&self) -> IpAddr {
        self.peer.ip().to_canonical()
    }

    /// A call begins: the connection is in use until its last byte has left.
    pub(crate) fn busy(&self) -> Busy {
        self.state.busy.update(|calls| calls + 1);
        Busy { state: Rc::clone(&self.state), tick: Rc::clone(&self.tick) }
    }

    /// Sends the client an interim response, if it speaks HTTP/1. The answer to the same request has not begun.
    pub(crate) fn say_before_the_answer(&self, status: StatusCode, fields: &HeaderMap) {
        if let Some(wire) = self.wire.get().and_then(Weak::upgrade) {
            wire.say_before_the_answer(status, fields);
        }
    }
}

/// Marks a connection as in use.
pub(crate) struct Busy {
    state: Rc<ConnectionState>,
    tick: Rc<Cell<u64>>,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.state.used_at.set(self.tick.get());
        self.state.busy.update(|calls| calls - 1);
    }
}

impl ConnectionState {
    /// Has the connection closed.
    pub(super) fn close(&self) {
        self.close.set(true);
        self.wake();
    }

    /// Wakes the connection, if it waits.
    pub(super) fn wake(&self) {
        if let Some(owner) = self.owner.take() {
            owner.wake();
        }
    }

    /// Waits until the connection is to be closed. Meanwhile it can be woken.
    pub(super) async fn closing(&self) {
        poll_fn(|context| self.poll_close(context)).await;
    }

    /// The same, for who looks after more than this.
    pub(super) fn poll_close(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.close.take() {
            return Poll::Ready(());
        }
        let known = self.owner.take().filter(|owner| owner.will_wake(context.waker()));
        self.owner.set(Some(known.unwrap_or_else(|| context.waker().clone())));
        Poll::Pending
    }

    /// Notes since when the client has not taken anything.
    pub(super) fn note<T>(&self, tick: &Cell<u64>, written: Poll<T>) -> Poll<T> {
        match (written.is_pending(), self.blocked_since.get()) {
            (true, 0) => self.blocked_since.set(tick.get().max(1)),
            (false, 1..) => self.blocked_since.set(0),
            _ => {}
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicU32);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_waits_is_woken_and_told_once_that_the_connection_is_to_be_closed() {
        let (state, [before, after]) =
            (ConnectionState::default(), [(); 2].map(|()| Arc::<Woken>::default()));
        let poll =
            |woken: &Arc<Woken>| state.poll_close(&mut Context::from_waker(&Waker::from(Arc::clone(woken))));
        let woken = || (before.0.load(Ordering::Relaxed), after.0.load(Ordering::Relaxed));
        assert!(poll(&before).is_pending() && poll(&after).is_pending());
        state.wake();
        assert_eq!((woken(), poll(&after)), ((0, 1), Poll::Pending), "nobody closes it");
        state.close();
        assert_eq!((woken(), poll(&after)), ((0, 2), Poll::Ready(())));
        assert!(poll(&after).is_pending(), "once");
        state.close();
        state.close();
        assert_eq!((woken(), poll(&before)), ((0, 3), Poll::Ready(())), "before anybody waits");
    }
}
