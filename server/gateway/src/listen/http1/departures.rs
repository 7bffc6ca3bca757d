//! Answers that are whole leave together: when every connection that had something to say in a turn of the event loop has
//! been heard, and not one by one in between.
//!
//! A client that is told one answer wakes, reads it and sleeps again before the next one is ready, and each waking costs the
//! gateway as much as the write itself. Behind each other the writes are quicker, too: the processor keeps their code.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::sync::Notify;

use super::wire::Wire;

/// The connections of one thread that have something to send.
#[derive(Default)]
pub(in crate::listen) struct Departures {
    waiting: RefCell<Vec<Rc<Wire>>>,
    some: Notify,
}

impl Departures {
    /// What this connection has to send leaves at the end of the turn. What the client does not take by then, or would
    /// not at all, the connection is woken for.
    pub(super) fn add(&self, wire: &Rc<Wire>) {
        if wire.await_departure() {
            let mut waiting = self.waiting.borrow_mut();
            if waiting.is_empty() {
                // Behind all that are to run in this turn.
                self.some.notify_one();
            }
            waiting.push(Rc::clone(wire));
        }
    }

    /// Sends, turn by turn, until the thread ends.
    pub(in crate::listen) async fn run(self: Rc<Self>) {
        let mut leaving = Vec::new();
        loop {
            self.some.notified().await;
            std::mem::swap(&mut leaving, &mut *self.waiting.borrow_mut());
            leaving.drain(..).for_each(|wire| wire.depart());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Context, Wake, Waker};

    use bytes::{Bytes, BytesMut};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::listen::connection::ConnectionState;

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn a_connection_sees_itself_to_what_the_client_does_not_take_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (tcp, _) = listener.accept().await.unwrap();
        let (state, tick) = (Rc::<ConnectionState>::default(), Rc::new(Cell::new(1)));
        let (departures, wire) = (
            Departures::default(),
            Rc::new(Wire::new(tcp, BytesMut::new(), Rc::default(), Rc::clone(&state), tick)),
        );
        let depart = || departures.waiting.borrow_mut().drain(..).for_each(|wire| wire.depart());
        let woken = Arc::<Woken>::default();
        for (length, is_behind) in [(3 << 10, false), (32 << 20, true)] {
            state.blocked_since.set(1);
            wire.out().push(Bytes::from(vec![b'x'; length]));
            departures.add(&wire);
            departures.add(&wire);
            let waker = Waker::from(Arc::clone(&woken));
            // The connection waits for a request meanwhile.
            let mut context = Context::from_waker(&waker);
            assert!(wire.poll_next(&mut context).is_pending() && state.poll_close(&mut context).is_pending());
            assert_eq!(departures.waiting.borrow().len(), 1);
            depart();
            assert_eq!((wire.is_behind(), woken.0.load(Ordering::Relaxed)), (is_behind, is_behind));
            assert_eq!(state.blocked_since.get() > 0, is_behind, "it has taken all, or not");
        }
    }
}
