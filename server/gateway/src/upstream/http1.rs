//! An HTTP/1.1 connection to an upstream (RFC 9112). The call that uses it drives it: a task of its own would cost each
//! call two more wake-ups, of the connection and back. Its buffers stay with it from call to call.

mod error;
mod head;
mod reading;
mod sending;
mod stream;
#[cfg(test)]
mod tests;
mod upgraded;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, response};
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

use super::outgoing::Outgoing;
use super::timer::LazyTimer;
use crate::body::RequestBody;
use crate::http1::fields::Places;
use error::BadHead;
pub(crate) use error::Error;
use head::{Head, Line};
use reading::{Next, Reading};
use sending::Sending;
pub(crate) use stream::Stream;
pub(crate) use upgraded::Upgraded;

/// Bytes of a response's head at most, with those of the heads before it (RFC 9110 §15.2).
const MAX_HEAD: usize = 64 << 10;
/// Bytes to make room for in a read: at first, and at most when reads fill it.
const ROOM: usize = 8 << 10;
const MAX_ROOM: usize = 64 << 10;
/// What is written from a larger buffer does not keep it for the next call.
const MAX_KEPT: usize = 16 << 10;

/// An idle connection is used for so long where the upstream says nothing: shorter than the keepalive of most servers, so that
/// the gateway is who closes.
const IDLE: Duration = Duration::from_secs(55);
/// A request may be on its way for so long, so that it has to leave before the upstream's time is over.
const ON_THE_WAY: Duration = Duration::from_millis(500);

/// A connection on which one call at a time is made. Nothing moves on it unless somebody drives it.
pub(crate) struct Http1<S = Stream> {
    stream: S,
    input: Input,
    sending: Sending,
    reading: Reading,
    asked: Asked,
    /// Whether the connection could be used again when this exchange is over.
    keep: bool,
    /// For how long it may be used again when nothing was sent on it.
    lasts: Duration,
    /// An empty map with memory.
    spare: HeaderMap,
    places: Places,
    timer: LazyTimer,
}

/// What has been read and not been taken yet.
#[derive(Default)]
struct Input {
    bytes: BytesMut,
    /// Bytes to make room for.
    room: usize,
    /// Bytes at its beginning in which no head ends.
    searched: usize,
    /// Bytes of the heads before the last one.
    interim: usize,
}

/// What of a request decides how its response is to be read.
#[derive(Clone, Copy, Default)]
struct Asked {
    head: bool,
    connect: bool,
    upgrade: bool,
}

/// Why there is no response.
pub(super) enum Failed {
    /// Not a byte of the request left: it can be sent elsewhere.
    Unsent(Box<Outgoing>),
    Failed(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Http1<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            input: Input { room: ROOM, ..Input::default() },
            sending: Sending::default(),
            reading: Reading::End,
            asked: Asked::default(),
            keep: true,
            lasts: IDLE,
            spare: HeaderMap::new(),
            places: Places::default(),
            timer: LazyTimer::default(),
        }
    }

    /// Begins to send a request: what of it is at hand and the network takes. The rest goes out while the response is
    /// waited for and read.
    pub(super) fn begin(
        &mut self,
        mut outgoing: Box<Outgoing>,
        context: &mut Context<'_>,
    ) -> Result<(), Failed> {
        (self.keep, self.reading) = (true, Reading::Head);
        (self.input.searched, self.input.interim) = (0, 0);
        let body = std::mem::replace(outgoing.request.body_mut(), RequestBody::Empty);
        let begun = self.sending.begin(&outgoing, body, context)?;
        let request = &mut outgoing.request;
        self.asked = Asked {
            head: request.method() == Method::HEAD,
            connect: request.method() == Method::CONNECT,
            upgrade: begun.upgrade,
        };
        match self.sending.poll(&mut self.stream, context) {
            Poll::Ready(Err(Error::Broken(_))) if begun.untouched && !self.sending.has_begun() => {
                *request.body_mut() = self.sending.take_back();
                return Err(Failed::Unsent(outgoing));
            }
            Poll::Ready(Err(error)) => self.cannot_send(error)?,
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        // Its memory is of use for the fields of the response.
        self.spare = std::mem::take(request.headers_mut());
        self.spare.clear();
        Ok(())
    }

    /// Waits for the head of the response, while the rest of the request goes out. `early` is told what the upstream says
    /// before it.
    pub(super) fn poll_head(
        &mut self,
        early: &dyn Fn(StatusCode, HeaderMap),
        context: &mut Context<'_>,
    ) -> Poll<Result<response::Parts, Error>> {
        self.send_on(context)?;
        loop {
            if let Some(line) = self.input.line(&mut self.places)? {
                if line.is_interim() {
                    self.input.went_before(line.length);
                    let headers = line.take_fields(&mut self.input.bytes, &self.places)?;
                    early(line.status, headers);
                    continue;
                }
                let spare = std::mem::take(&mut self.spare);
                let Head { parts, body, keep, lasts } =
                    line.take(&mut self.input.bytes, &self.places, spare, self.asked).map_err(Error::Head)?;
                // What the other protocol says could not be told from what is left of the request.
                if matches!(body, Reading::Switched) && !self.sending.is_done() {
                    return Poll::Ready(Err(BadHead::Switch.into()));
                }
                self.reading = body;
                self.keep &= keep;
                self.lasts = lasts.map_or(IDLE, |lasts| lasts.saturating_sub(ON_THE_WAY).min(IDLE));
                return Poll::Ready(Ok(parts));
            }
            if ready!(self.input.poll_read(&mut self.stream, context))? == 0 {
                return Poll::Ready(Err(self.input.closed(&mut self.places)));
            }
        }
    }

    /// The next part of the response's body, while the rest of the request goes out. None at its end.
    pub(super) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.send_on(context)?;
        loop {
            match self.reading.next(&mut self.input.bytes)? {
                Next::Frame(frame) => return Poll::Ready(Some(Ok(frame))),
                Next::End => return Poll::Ready(None),
                Next::NeedMore => {}
            }
            if ready!(self.input.poll_read(&mut self.stream, context)).map_err(Error::Broken)? == 0 {
                self.reading.closed()?;
            }
        }
    }

    /// The whole body of the response, when it is there already or there is none.
    pub(super) fn whole_body(&mut self) -> Option<Bytes> {
        match self.reading {
            Reading::End => Some(Bytes::new()),
            Reading::Length(length) if length <= self.input.bytes.len() as u64 => {
                self.reading = Reading::End;
                Some(self.input.bytes.split_to(length as usize).freeze())
            }
            _ => None,
        }
    }

    /// Whether the response has been read to its end.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.reading, Reading::End)
    }

    /// Bytes of the response's body that are to come.
    pub(super) fn size_hint(&self) -> SizeHint {
        self.reading.size_hint()
    }

    /// Whether another call may use the connection: this one is over on both sides, and nothing was said after it. What
    /// follows a response that nobody asked for could be taken for the next one (RFC 9112 §9.2).
    pub(super) fn is_reusable(&mut self) -> bool {
        let reusable = self.keep && self.is_over() && self.sending.is_done() && self.input.bytes.is_empty();
        if self.input.room > ROOM {
            self.input = Input { room: ROOM, ..Input::default() };
        }
        reusable
    }

    /// For how long it may be used again when nothing was sent on it: an upstream that closes it meanwhile could do so while the
    /// next request is on its way.
    pub(super) fn lasts(&self) -> Duration {
        self.lasts
    }

    /// Whether an idle connection is still what it was, as far as has been noticed: the upstream has neither closed it nor
    /// said anything on it.
    pub(super) fn is_quiet(&mut self) -> bool {
        let look = std::future::poll_fn(|context| {
            let mut byte = [0];
            Poll::Ready(
                Pin::new(&mut self.stream).poll_read(context, &mut ReadBuf::new(&mut byte)).is_pending(),
            )
        });
        // A task that has done much already would be told that there is nothing.
        let look = std::pin::pin!(tokio::task::unconstrained(look));
        look.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(true)
    }

    /// A timeout that goes with the connection.
    pub(super) fn timer(&mut self) -> &mut LazyTimer {
        &mut self.timer
    }

    fn send_on(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
        if !self.sending.is_done()
            && let Poll::Ready(Err(error)) = self.sending.poll(&mut self.stream, context)
        {
            return self.cannot_send(error);
        }
        Ok(())
    }

    /// An upstream that takes no more of a request may have answered it before (RFC 9112 §9.5).
    fn cannot_send(&mut self, error: Error) -> Result<(), Error> {
        match error {
            Error::Broken(_) => {
                self.sending = Sending::default();
                self.keep = false;
                Ok(())
            }
            error => Err(error),
        }
    }
}

impl Http1 {
    /// Whether an idle connection is still what it was, by asking the system, which knows more than was noticed.
    pub(super) fn is_untouched(&self) -> bool {
        self.stream.is_untouched()
    }

    /// The connection goes on in the protocol to which the upstream has switched. None when it has not.
    pub(super) fn into_upgraded(self) -> Option<Upgraded> {
        matches!(self.reading, Reading::Switched).then(|| Upgraded::new(self.stream, self.input.bytes))
    }
}

impl Input {
    fn poll_read(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.bytes.reserve(self.room);
        let spare = self.bytes.capacity() - self.bytes.len();
        let count = ready!(poll_read_buf(Pin::new(stream), context, &mut self.bytes))?;
        if count == spare {
            self.room = (self.room * 2).min(MAX_ROOM);
        }
        Poll::Ready(Ok(count))
    }

    /// The head at the beginning of what has arrived, if it is whole.
    fn line(&mut self, places: &mut Places) -> Result<Option<Line>, BadHead> {
        if self.bytes.is_empty() || (self.searched > 0 && !head::could_end(&self.bytes, self.searched)) {
            return self.not_yet();
        }
        match Line::read(&self.bytes, places)? {
            Some(line) if self.interim + line.length > MAX_HEAD => Err(BadHead::TooLarge),
            Some(line) => Ok(Some(line)),
            None => self.not_yet(),
        }
    }

    /// What is wrong with a head that does not come to its end.
    fn closed(&self, places: &mut Places) -> Error {
        Line::read(&self.bytes, places).err().map_or(Error::Closed, Error::Head)
    }

    fn not_yet(&mut self) -> Result<Option<Line>, BadHead> {
        self.searched = self.bytes.len();
        if self.interim + self.searched > MAX_HEAD { Err(BadHead::TooLarge) } else { Ok(None) }
    }

    /// So many bytes at its beginning are a head before the last one.
    fn went_before(&mut self, length: usize) {
        self.interim += length;
        self.searched = 0;
    }
}
