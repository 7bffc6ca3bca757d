//! Serves HTTP/1.1 (RFC 9112) on one connection: a head is read, the pipeline answers, the answer is written, and so on.
//!
//! A codec of our own, since nothing of a general one can be left out of each request: it reads a head once and strictly,
//! has one buffer for each direction, and makes no task and no channel for a request (docs/adr/0010). HTTP/2 is hyper's.

mod departures;
mod encode;
mod head;
mod inbox;
mod outbox;
mod refused;
mod violation;
mod wire;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::HeaderName;
use http::{HeaderMap, Method, Response, StatusCode, Version};
use http_body::{Body as _, Frame};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

pub(super) use departures::Departures;
use encode::{Delimited, Manner};
pub use head::HeadLimits;
use head::{Head, Lines, Said};
pub use violation::Violation;
pub(super) use wire::Wire;
pub(crate) use wire::{Http1Body, Upgraded};

use super::connection::Connection;
use super::linger::Linger;
use super::watch::Watch;
use crate::body::{Body, ClientStream};
use crate::http1::chunked;
use crate::pipeline::{Arrived, Seen, answer, answer_again};
use crate::worker::Worker;

/// One connection.
pub(super) struct Http1 {
    worker: Rc<Worker>,
    watch: Rc<Watch>,
    connection: Rc<Connection>,
    wire: Rc<Wire>,
    lines: Lines,
    limits: HeadLimits,
    /// The last answer's map, whose memory the next request's fields can have.
    spare: HeaderMap,
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

/// The next request, or the answer to it where its head was understood before.
#[expect(clippy::large_enum_variant, reason = "there is one of it, on its way to where it is taken apart")]
enum Next {
    Asked(Asked),
    Answered(Response<Body>),
}

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
        let wire = Rc::new(Wire::new(tcp, first));
        let _ = connection.wire.set(Rc::downgrade(&wire));
        Self {
            worker: Rc::clone(worker),
            watch: Rc::clone(watch),
            wire,
            connection,
            lines: Lines::new(limits),
            limits,
            spare: HeaderMap::new(),
        }
    }

    /// What the client has not been sent yet can be asked of it.
    pub(super) fn wire(&self) -> Rc<Wire> {
        Rc::clone(&self.wire)
    }

    /// Serves until the client or the gateway ends it.
    pub(super) async fn serve(mut self) {
        while let Ok(Some(next)) = self.next_request().await {
            let after = match next {
                Next::Asked(asked) => self.exchange(asked).await,
                Next::Answered(response) => {
                    let _busy = self.connection.busy();
                    let manner = Manner { old_client: false, to_head: false, keep: true };
                    self.send(response, manner, &Said::default()).await
                }
            };
            match after {
                After::NextRequest => {}
                After::Close { still_sending } => return self.close(still_sending).await,
                After::Gone => return,
            }
        }
        // A client that asks no more may still wait for its answers.
        let _ = self.flush().await;
    }

    /// The next request; None when there will be none.
    async fn next_request(&mut self) -> io::Result<Option<Next>> {
        loop {
            if let Some(next) = self.arrived() {
                return Ok(Some(next));
            }
            let is_idle = self.wire.inbox().bytes().is_empty();
            if is_idle && self.connection.state.stopping.get() {
                return Ok(None);
            }
            let (state, tick) = (&self.connection.state, &self.watch.tick);
            if poll_fn(|context| self.wire.poll_next(state, tick, context)).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// The request whose head has arrived, in order or not.
    fn arrived(&mut self) -> Option<Next> {
        let head_since = &self.connection.state.head_since;
        let mut inbox = self.wire.inbox();
        inbox.skip_empty_lines();
        let bytes = inbox.bytes();
        if bytes.is_empty() {
            return None;
        }
        if head_since.get() == 0 {
            head_since.set(self.watch.tick.get().max(1));
        }
        let mut words = None;
        let read = match self.lines.look(bytes) {
            Ok(None) => return None,
            Ok(Some(length)) => {
                let seen = self.worker.repeats.look(&bytes[..length]);
                if let Seen::Understood(known) = &seen
                    && !self.lines.are_too_many()
                    && let Some(response) =
                        answer_again(&self.worker, &self.connection, known, &mut self.spare)
                {
                    inbox.skip_head(length);
                    self.lines.begin();
                    head_since.set(0);
                    return Some(Next::Answered(response));
                }
                let is_worth_it = matches!(seen, Seen::Often);
                let head = inbox.take_head(length, is_worth_it);
                words = is_worth_it.then(|| head.clone());
                self.lines.read(&head, std::mem::take(&mut self.spare)).map_err(|violation| (head, violation))
            }
            Err(violation) => Err((Bytes::copy_from_slice(bytes), violation)),
        };
        head_since.set(0);
        if let Ok(head) = &read {
            inbox.expect_body(&head.said);
        }
        drop(inbox);
        Some(Next::Asked(match read {
            Ok(head) => self.asked(head, words),
            Err((bytes, violation)) => self.refused(&bytes, violation),
        }))
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
        let head = refused::believed(head, self.limits.bytes);
        let to_head = head.method == Method::HEAD;
        let body = ClientStream::Http1(Wire::nothing(&self.wire));
        let arrived =
            Box::new(Arrived { head, body, upgrade: None, violation: Some(violation), words: None });
        let said = Said { close: true, ..Said::default() };
        self.worker.shared.stats.malformed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Asked { arrived, said, old_client: false, to_head, upgrade: None }
    }

    /// Has a request answered, and writes the answer.
    async fn exchange(&mut self, asked: Asked) -> After {
        let Asked { arrived, said, old_client, to_head, upgrade } = asked;
        let refused = arrived.violation.is_some();
        // Until the last byte has left, which is after the call's end.
        let _busy = self.connection.busy();
        let mut answering =
            std::pin::pin!(answer(Rc::clone(&self.worker), Rc::clone(&self.connection), arrived));
        let response = poll_fn(|context| match answering.as_mut().poll(context) {
            Poll::Ready(response) => Poll::Ready(Some(response)),
            Poll::Pending => self.poll_waiting(context).map(|()| None),
        });
        let Some(response) = response.await else { return After::Gone };
        self.wire.stop_continuing();
        if response.status() == StatusCode::SWITCHING_PROTOCOLS
            && let Some(upgrade) = upgrade
        {
            return self.switch(response, upgrade).await;
        }
        let wants_more = if old_client { said.keep_alive && !said.close } else { !said.close };
        // What the client was not told to send may come or not: nobody can tell where the next request begins.
        let unclear = said.expects && !self.wire.is_whole() && !self.wire.was_continued();
        let manner = Manner { old_client, to_head, keep: wants_more && !refused && !unclear };
        match self.send(response, manner, &said).await {
            After::NextRequest | After::Close { .. } if refused => After::Close { still_sending: true },
            after => after,
        }
    }

    /// Writes the answer to a request, whose call ends with it.
    async fn send(&mut self, mut response: Response<Body>, manner: Manner, said: &Said) -> After {
        let keep = manner.keep && !self.connection.state.stopping.get() && !closes(&response);
        let sent = self.respond(&mut response, Manner { keep, ..manner }, said.trailers).await;
        // The call ends with its answer, not with what of the request nobody wanted.
        drop(response);
        match sent {
            Err(_) => After::Gone,
            Ok(_) if !self.wire.is_whole() && !self.wire.skip_body().await => {
                After::Close { still_sending: true }
            }
            Ok(Delimited::Close) => After::Close { still_sending: false },
            Ok(_) if !keep || self.connection.state.stopping.get() => After::Close { still_sending: false },
            Ok(_) => After::NextRequest,
        }
    }

    /// While an answer is waited for: what was said before it leaves. Ready when the client has gone, which takes its call with
    /// it.
    fn poll_waiting(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.wire.is_behind() {
            let flushed = self.wire.poll_flush(context);
            if let Poll::Ready(Err(_)) = self.connection.state.note(&self.watch.tick, flushed) {
                return Poll::Ready(());
            }
        }
        self.wire.poll_gone(context)
    }

    /// Writes an answer.
    async fn respond(
        &mut self,
        response: &mut Response<Body>,
        manner: Manner,
        takes_trailers: bool,
    ) -> io::Result<Delimited> {
        let status = response.status();
        let delimited = manner.delimit(status, response.body().size_hint().exact());
        let manner = Manner { keep: manner.keep && delimited != Delimited::Close, ..manner };
        let trailers = if takes_trailers && delimited == Delimited::Chunks {
            chunked::announced(response.headers())
        } else {
            Vec::new()
        };
        let (date, lead) = (self.watch.date(), response.body().lead());
        manner.write(status, response.headers(), lead, delimited, &date, self.wire.out().end());
        self.spare = std::mem::take(response.headers_mut());
        self.spare.clear();
        let body = response.body_mut();
        let sent = match delimited {
            Delimited::Unsent(_) => Ok(()),
            Delimited::Length(length) => match self.whole(body) {
                Some(whole) => {
                    self.wire.out().push(whole);
                    Ok(())
                }
                None => self.send_length(body, length).await,
            },
            Delimited::Chunks => self.send_chunks(body, &trailers).await,
            Delimited::Close => self.send_length(body, u64::MAX).await,
        };
        let may_wait = sent.is_ok() && manner.keep && !self.wire.out().is_full();
        if may_wait && status != StatusCode::SWITCHING_PROTOCOLS {
            self.watch.departures.add(&self.wire);
        } else {
            // What there is of an answer that broke off is sent, too.
            self.flush().await?;
        }
        sent.map(|()| delimited)
    }

    /// A body that is in memory and for which there is room.
    fn whole(&self, body: &mut Body) -> Option<Bytes> {
        if self.wire.out().is_full() { None } else { body.take_whole() }
    }

    /// A body of this many bytes; no more, and an error when there are fewer.
    async fn send_length(&mut self, body: &mut Body, length: u64) -> io::Result<()> {
        let mut left = length;
        while !body.is_end_stream() {
            let Some(frame) = self.frame(body).await? else { break };
            let Ok(data) = frame.into_data() else { continue };
            if data.len() as u64 > left {
                return Err(io::ErrorKind::InvalidData.into());
            }
            left -= data.len() as u64;
            self.wire.out().push(data);
        }
        if left > 0 && length != u64::MAX { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// A body in chunks, with those trailers that were announced.
    async fn send_chunks(&mut self, body: &mut Body, announced: &[HeaderName]) -> io::Result<()> {
        let mut trailers = HeaderMap::new();
        while let Some(frame) = self.frame(body).await? {
            match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => {
                    let mut out = self.wire.out();
                    chunked::write_size(data.len(), out.end());
                    out.push(data);
                    out.end().put_slice(b"\r\n");
                }
                Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
            }
        }
        chunked::write_end(&trailers, announced, self.wire.out().end());
        Ok(())
    }

    /// The next frame of an answer, for which there is room. What is ready leaves before anybody waits for more.
    async fn frame(&mut self, body: &mut Body) -> io::Result<Option<Frame<Bytes>>> {
        if self.wire.out().is_full() {
            self.flush().await?;
        }
        let (wire, state, tick) = (&self.wire, &self.connection.state, &self.watch.tick);
        poll_fn(|context| {
            if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(context) {
                return Poll::Ready(frame.transpose().map_err(io::Error::other));
            }
            if let Poll::Ready(Err(error)) = state.note(tick, wire.poll_flush(context)) {
                return Poll::Ready(Err(error));
            }
            wire.poll_gone(context).map(|()| Err(io::ErrorKind::ConnectionReset.into()))
        })
        .await
    }

    async fn flush(&mut self) -> io::Result<()> {
        let (wire, state) = (&self.wire, &self.connection.state);
        poll_fn(|context| state.note(&self.watch.tick, wire.poll_flush(context))).await
    }

    /// Goes on in another protocol.
    async fn switch(&mut self, mut response: Response<Body>, upgrade: oneshot::Sender<Upgraded>) -> After {
        let manner = Manner { old_client: false, to_head: false, keep: true };
        // A body that is still to come would be taken for the other protocol.
        let sent = self.respond(&mut response, manner, false).await;
        drop(response);
        if sent.is_ok() && self.wire.is_whole() {
            let _ = upgrade.send(Upgraded::new(Rc::clone(&self.wire)));
        }
        After::Gone
    }

    /// Closes so that a client that is still sending gets the time to read the answer.
    async fn close(mut self, still_sending: bool) {
        if self.flush().await.is_err() {
            return;
        }
        let state = &self.connection.state;
        let shut = poll_fn(|context| self.wire.poll_shutdown(context)).await;
        if shut.is_err() || !still_sending || self.wire.is_at_end() {
            return;
        }
        let mut linger = Linger::begin();
        poll_fn(|context| self.wire.poll_linger(&mut linger, state, context)).await;
    }
}

/// Whether an answer says that it is the last. One from the store does not.
fn closes(response: &Response<Body>) -> bool {
    if response.body().lead().is_some() {
        return false;
    }
    let lists = response.headers().get_all(http::header::CONNECTION);
    lists.iter().any(|list| list.as_bytes().eq_ignore_ascii_case(b"close"))
}
