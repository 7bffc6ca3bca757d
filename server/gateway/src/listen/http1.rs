//! Serves HTTP/1.1 (RFC 9112) on one connection: a head is read, the pipeline answers, the answer is written, and so on.
//!
//! A codec of our own, since nothing of a general one can be left out of each request: it reads a head once and strictly,
//! has one buffer for each direction, and makes no task and no channel for a request (docs/adr/0010). HTTP/2 is hyper's.

mod answering;
mod departures;
mod encode;
mod head;
mod inbox;
mod outbox;
mod refused;
mod violation;
mod wire;

use std::future::poll_fn;
use std::net::IpAddr;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use encode::Manner;
use http::{Method, Response, StatusCode, Version};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

pub(super) use departures::Departures;
pub use head::HeadLimits;
pub(super) use head::SpareEnds;
use head::{Head, Lines, Said};
pub use violation::Violation;
pub(super) use wire::Wire;
pub(crate) use wire::{Http1Body, Upgraded};

use super::connection::{Connection, ConnectionState};
use super::watch::Watch;
use crate::body::{Body, ClientStream};
use crate::pipeline::{Arrived, Seen, answer, answer_again};
use crate::worker::Worker;

/// One connection.
pub(super) struct Http1 {
    worker: Rc<Worker>,
    watch: Rc<Watch>,
    connection: Rc<Connection>,
    /// The connection's.
    state: Rc<ConnectionState>,
    /// Who is connected.
    address: IpAddr,
    wire: Rc<Wire>,
    lines: Lines,
}

/// A request that the pipeline may answer.
struct Asked {
    /// In a box: it is handed on many times before it is taken apart.
    arrived: Box<Arrived>,
    said: Said,
    old_client: bool,
    to_head: bool,
    /// Where the connection goes if the answer switches to another protocol.
    upgrade: Option<oneshot::Sender<Upgraded>>,
}

/// What has come of what has arrived.
enum Heard {
    /// No whole head.
    Nothing,
    Asked(Asked),
    /// A request whose head was understood before, and the answer to it.
    Answered(After),
}

/// An answer that was written at once, or that has to be waited for. That one is in a box, since it is moved into the
/// connection's future, which would be larger and colder for all others.
type Written = Result<After, Box<Response<Body>>>;

/// How the answer to a request is written whose head says nothing of that.
const PLAIN: Manner = Manner { old_client: false, to_head: false, keep: true };

/// What becomes of a connection after an answer.
enum After {
    NextRequest,
    /// To be closed, so that a client that is still sending can read what it was sent.
    Close {
        still_sending: bool,
    },
    /// The client has gone, or the answer broke off.
    Gone,
}

impl Http1 {
    pub(super) fn new(
        worker: &Rc<Worker>,
        watch: &Rc<Watch>,
        connection: Rc<Connection>,
        tcp: TcpStream,
        first: BytesMut,
        limits: HeadLimits,
    ) -> Self {
        let (state, tick) = (Rc::clone(&connection.state), Rc::clone(&watch.tick));
        let wire = Rc::new(Wire::new(tcp, first, Rc::clone(&worker.buffers), Rc::clone(&state), tick));
        let _ = connection.wire.set(Rc::downgrade(&wire));
        Self {
            worker: Rc::clone(worker),
            watch: Rc::clone(watch),
            wire,
            state,
            address: connection.address(),
            connection,
            lines: Lines::new(limits, Rc::clone(&watch.line_ends)),
        }
    }

    /// What the client has not been sent yet can be asked of it.
    pub(super) fn wire(&self) -> Rc<Wire> {
        Rc::clone(&self.wire)
    }

    /// Serves until the client or the gateway ends it.
    pub(super) async fn serve(&mut self) {
        loop {
            if self.wire.out().is_full() && Box::pin(self.flush()).await.is_err() {
                return;
            }
            let after = match self.hear() {
                // In memory of its own, which connections that wait for a request do without.
                Heard::Asked(asked) => Box::pin(self.exchange(asked)).await,
                Heard::Answered(after) => after,
                Heard::Nothing if self.more_arrives().await => After::NextRequest,
                Heard::Nothing => break,
            };
            match after {
                After::NextRequest => {}
                After::Close { still_sending } => return Box::pin(self.close(still_sending)).await,
                After::Gone => return,
            }
        }
        // A client that asks no more may still wait for its answers.
        let _ = Box::pin(self.flush()).await;
    }

    /// Waits for more of a request. False when there will be none.
    async fn more_arrives(&self) -> bool {
        let is_idle = self.wire.inbox().bytes().is_empty();
        if is_idle && self.state.stopping.get() {
            return false;
        }
        matches!(poll_fn(|context| self.wire.poll_next(context)).await, Ok(1..))
    }

    /// Takes the request whose head has arrived, in order or not, and answers it where its head is understood: nothing of
    /// that has to wait, so nothing of it takes memory of the connection's own.
    fn hear(&mut self) -> Heard {
        let head_since = &self.state.head_since;
        let mut inbox = self.wire.inbox();
        inbox.skip_empty_lines();
        let bytes = inbox.bytes();
        if bytes.is_empty() {
            return Heard::Nothing;
        }
        if head_since.get() == 0 {
            head_since.set(self.watch.tick.get().max(1));
        }
        let mut words = None;
        let read = match self.lines.look(bytes) {
            Ok(None) => return Heard::Nothing,
            Ok(Some(length)) => {
                let seen = self.worker.repeats.look(&bytes[..length]);
                if let Seen::Understood(known) = &seen
                    && !self.lines.are_too_many()
                    && let Some(after) =
                        answer_again(&self.worker, self.address, known, |answer| self.write_ready(answer))
                {
                    inbox.skip_head(length);
                    self.lines.begin();
                    head_since.set(0);
                    return Heard::Answered(after);
                }
                let is_worth_it = matches!(seen, Seen::Often);
                let head = inbox.take_head(length, is_worth_it);
                words = is_worth_it.then(|| head.clone());
                self.lines.read(&head, self.worker.spare.take()).map_err(|violation| (head, violation))
            }
            Err(violation) => Err((Bytes::copy_from_slice(bytes), violation)),
        };
        head_since.set(0);
        if let Ok(head) = &read {
            inbox.expect_body(&head.said);
        }
        drop(inbox);
        Heard::Asked(match read {
            Ok(head) => self.asked(head, words),
            Err((bytes, violation)) => self.refused(&bytes, violation),
        })
    }

    /// The words are those of the head, where they are worth remembering.
    fn asked(&self, head: Head, words: Option<Bytes>) -> Asked {
        let Head { method, target, version, headers, said } = head;
        let to_head = method == Method::HEAD;
        let (mut parts, ()) = http::Request::new(()).into_parts();
        (parts.method, parts.uri, parts.version, parts.headers) = (method, target, version, headers);
        let body = Wire::body(&self.wire, said.expects && version == Version::HTTP_11);
        let (sender, upgrade) = said.upgrade.then(oneshot::channel).unzip();
        let body = ClientStream::Http1(body);
        // Version 1.1 keeps a connection without being asked to.
        let says_no_more =
            version == Version::HTTP_11 && Said { keep_alive: false, ..said } == Said::default();
        let words = words.filter(|_| says_no_more);
        let arrived = Box::new(Arrived { head: parts, body, upgrade, violation: None, words });
        Asked { arrived, said, old_client: version == Version::HTTP_10, to_head, upgrade: sender }
    }

    /// A request in the place of one that is refused for its head.
    fn refused(&self, head: &[u8], violation: Violation) -> Asked {
        let head = refused::believed(head, self.lines.most_bytes());
        let to_head = head.method == Method::HEAD;
        let body = ClientStream::Http1(Wire::nothing(&self.wire));
        let arrived =
            Box::new(Arrived { head, body, upgrade: None, violation: Some(violation), words: None });
        let said = Said { close: true, ..Said::default() };
        self.worker.shared.stats.malformed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Asked { arrived, said, old_client: false, to_head, upgrade: None }
    }

    /// Has a request answered, and writes the answer.
    async fn exchange(&self, asked: Asked) -> After {
        let Asked { arrived, said, old_client, to_head, upgrade } = asked;
        let refused = arrived.violation.is_some();
        // Until the last byte has left, which is after the call's end.
        let _busy = self.connection.busy();
        let mut answering =
            std::pin::pin!(answer(Rc::clone(&self.worker), Rc::clone(&self.connection), arrived));
        let manner = Manner { old_client, to_head, keep: !refused && said.wants_more(old_client) };
        let written = poll_fn(|context| match answering.as_mut().poll(context) {
            Poll::Ready(answer) => {
                self.wire.stop_continuing();
                Poll::Ready(self.write(answer, manner))
            }
            Poll::Pending => self.poll_waiting(context).map(|()| Ok(After::Gone)),
        });
        let after = match written.await {
            Ok(after) => after,
            Err(answer) if answer.status() == StatusCode::SWITCHING_PROTOCOLS && upgrade.is_some() => {
                return self.switch(answer, upgrade).await;
            }
            Err(answer) => {
                // What the client was not told to send may come or not: nobody can tell where the next request begins.
                let unclear = said.expects && !self.wire.is_whole() && !self.wire.was_continued();
                self.send(answer, Manner { keep: manner.keep && !unclear, ..manner }, &said).await
            }
        };
        match after {
            After::NextRequest | After::Close { .. } if refused => After::Close { still_sending: true },
            after => after,
        }
    }

    /// While an answer is waited for: what was said before it leaves. Ready when the client has gone, which takes its call with
    /// it.
    fn poll_waiting(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.wire.is_behind()
            && let Poll::Ready(Err(_)) = self.wire.poll_flush(context)
        {
            return Poll::Ready(());
        }
        self.wire.poll_gone(context)
    }
}
