//! The connection as its parts share it: the loop that reads heads and writes answers, and whoever has the body of a request
//! or, after a switch of protocols, all of it.

use std::cell::{Cell, RefCell, RefMut};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::encode;
use super::inbox::Inbox;
use super::outbox::Outbox;
use crate::buffers::Buffers;
use crate::listen::connection::ConnectionState;
use crate::listen::linger::Linger;

/// The stream, what has arrived on it, and what is to leave. What every request needs stands first, and together: of a
/// connection that has rested the processor has to fetch each line of memory.
#[repr(C)]
pub(in crate::listen) struct Wire {
    tcp: RefCell<TcpStream>,
    /// What is to leave does so at the end of the turn.
    departs: Cell<bool>,
    inbox: RefCell<Inbox>,
    out: RefCell<Outbox>,
    state: Rc<ConnectionState>,
    buffers: Rc<Buffers>,
    /// The watch's clock.
    tick: Rc<Cell<u64>>,
    /// Which request it is whose body arrives.
    number: Cell<u64>,
    /// The client waits to be told to go on with its body; this much of that has left.
    expects: Cell<Option<usize>>,
    continued: Cell<bool>,
}

/// Told to a client that waits with its body.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

impl Wire {
    pub(super) fn new(
        tcp: TcpStream,
        first: BytesMut,
        buffers: Rc<Buffers>,
        state: Rc<ConnectionState>,
        tick: Rc<Cell<u64>>,
    ) -> Self {
        Self {
            tcp: RefCell::new(tcp),
            inbox: RefCell::new(Inbox::new(first)),
            out: RefCell::new(Outbox::new(Rc::clone(&buffers))),
            buffers,
            departs: Cell::new(false),
            state,
            tick,
            number: Cell::new(0),
            expects: Cell::new(None),
            continued: Cell::new(false),
        }
    }

    pub(super) fn inbox(&self) -> RefMut<'_, Inbox> {
        self.inbox.borrow_mut()
    }

    /// The body of the request whose head was just taken.
    pub(super) fn body(self_: &Rc<Self>, expects: bool) -> Http1Body {
        self_.expects.set(expects.then_some(0));
        self_.continued.set(false);
        Self::nothing(self_)
    }

    /// The body of a request that was refused for its head: nothing that follows has a meaning.
    pub(super) fn nothing(self_: &Rc<Self>) -> Http1Body {
        let number = self_.number.get() + 1;
        self_.number.set(number);
        Http1Body { wire: Rc::clone(self_), number }
    }

    /// The request has been read whole.
    pub(super) fn is_whole(&self) -> bool {
        self.inbox.borrow().is_whole()
    }

    /// The client was told to go on with its body.
    pub(super) fn was_continued(&self) -> bool {
        self.continued.get()
    }

    /// The answer begins: what is to be told before it was told, or never is.
    pub(super) fn stop_continuing(&self) {
        self.expects.set(None);
    }

    /// The client has sent all that it will send.
    pub(super) fn is_at_end(&self) -> bool {
        self.inbox.borrow().has_ended()
    }

    pub(super) fn out(&self) -> RefMut<'_, Outbox> {
        self.out.borrow_mut()
    }

    /// Sends an interim response, behind the answers to what was asked before; but not into the middle of another one.
    pub(in crate::listen) fn say_before_the_answer(&self, status: StatusCode, fields: &HeaderMap) {
        if self.expects.get().is_none_or(|told| told == 0) {
            encode::interim(status, fields, self.out().end());
        }
    }

    /// Something has not left yet.
    pub(in crate::listen) fn is_behind(&self) -> bool {
        !self.out.borrow().is_empty()
    }

    /// Notes that what is to leave does so at the end of the turn. False when that was noted before.
    pub(super) fn await_departure(&self) -> bool {
        !self.departs.replace(true)
    }

    /// Sends what the client takes at once; the connection is woken for the rest.
    pub(super) fn depart(&self) {
        self.departs.set(false);
        if self.out().try_flush(&self.tcp.borrow()) {
            self.state.blocked_since.set(0);
        } else {
            self.state.wake();
        }
    }

    /// Reads what has arrived; 0 at the end, and when the gateway stops and all has left. Sends meanwhile what is left of
    /// earlier answers.
    pub(super) fn poll_next(&self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let is_stopping = self.state.stopping.get();
        if self.is_behind()
            && (is_stopping || !self.departs.get())
            && let Poll::Ready(Err(error)) = self.poll_flush(context)
        {
            return Poll::Ready(Err(error));
        }
        if is_stopping && !self.is_behind() && self.inbox().bytes().is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.poll_fill(context)
    }

    /// Reads what has arrived; 0 at the end.
    fn poll_fill(&self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.inbox().poll_fill(&mut self.tcp.borrow_mut(), &self.buffers, context)
    }

    /// Ready when the client has gone while it was to wait for its answer. What it has sent of a next request may stay
    /// where it is, but not its end.
    pub(super) fn poll_gone(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut inbox = self.inbox();
        while inbox.is_whole() && inbox.bytes().is_empty() {
            match ready!(inbox.poll_fill(&mut self.tcp.borrow_mut(), &self.buffers, context)) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    /// Sends what is to leave, and notes since when the client has taken nothing of it.
    pub(super) fn poll_flush(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let before = self.out().len();
        let flushed = self.poll_out(context);
        if self.out().len() < before {
            self.state.blocked_since.set(0);
        }
        self.state.note(&self.tick, flushed)
    }

    fn poll_out(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut out = self.out();
        if out.is_empty() { Poll::Ready(Ok(())) } else { out.poll_flush(&mut self.tcp.borrow_mut(), context) }
    }

    pub(super) fn poll_shutdown(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.tcp.borrow_mut()).poll_shutdown(context)
    }

    pub(super) fn poll_linger(&self, linger: &mut Linger, context: &mut Context<'_>) -> Poll<()> {
        linger.poll(&mut self.tcp.borrow_mut(), &self.state, context)
    }

    /// Skips what is there of a body that nobody has read. Whether that was all.
    pub(super) async fn skip_body(&self) -> bool {
        std::future::poll_fn(|context| {
            let mut inbox = self.inbox();
            let mut reads = 0;
            loop {
                match inbox.next() {
                    Ok(Some(_)) if inbox.is_whole() => return Poll::Ready(true),
                    Ok(Some(_)) => {}
                    Ok(None) if reads < 2 => {
                        reads += 1;
                        let read = inbox.poll_fill(&mut self.tcp.borrow_mut(), &self.buffers, context);
                        if !matches!(read, Poll::Ready(Ok(1..))) {
                            return Poll::Ready(false);
                        }
                    }
                    _ => return Poll::Ready(false),
                }
            }
        })
        .await
    }

    fn poll_body(&self, context: &mut Context<'_>) -> Poll<io::Result<Option<Frame<Bytes>>>> {
        let mut inbox = self.inbox();
        loop {
            if let Some(piece) = inbox.next()? {
                return Poll::Ready(Ok(piece));
            }
            ready!(self.poll_continue(context))?;
            if ready!(inbox.poll_fill(&mut self.tcp.borrow_mut(), &self.buffers, context))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Tells the client to go on, once, behind the answers to what it asked before.
    fn poll_continue(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(told) = self.expects.get() {
            ready!(self.poll_out(context))?;
            let rest = &CONTINUE[told..];
            let written = ready!(Pin::new(&mut *self.tcp.borrow_mut()).poll_write(context, rest))?;
            let told = told + written;
            self.continued.set(true);
            self.expects.set((told < CONTINUE.len()).then_some(told));
        }
        Poll::Ready(Ok(()))
    }
}

/// The body of one request.
pub(crate) struct Http1Body {
    wire: Rc<Wire>,
    number: u64,
}

impl Http1Body {
    /// The next piece; None at the end, an error when it breaks off or is malformed.
    pub(crate) fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if !self.is_current() {
            return Poll::Ready(None);
        }
        self.wire.poll_body(context).map(Result::transpose)
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        !self.is_current() || self.wire.is_whole()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        if self.is_current() { self.wire.inbox.borrow().size_hint() } else { SizeHint::with_exact(0) }
    }

    /// The connection reads another request only when this one's body has been read whole.
    fn is_current(&self) -> bool {
        self.number == self.wire.number.get()
    }
}

/// A client's connection after a switch to another protocol.
pub(crate) struct Upgraded(Rc<Wire>);

impl Upgraded {
    pub(super) fn new(wire: Rc<Wire>) -> Self {
        Self(wire)
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.0.inbox().take_into(buffer) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut *self.0.tcp.borrow_mut()).poll_read(context, buffer)
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.tcp.borrow_mut()).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.tcp.borrow_mut()).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.tcp.borrow_mut()).poll_shutdown(context)
    }
}
