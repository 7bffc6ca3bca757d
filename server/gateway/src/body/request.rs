//! What a client sends, on its way to an upstream: counted, limited, timed.

use std::cell::Cell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::timer::IdleTimer;
use crate::listen::Http1Body;

/// The body of a request to an upstream.
pub(crate) enum RequestBody {
    Empty,
    /// Its beginning, or all of it, has been read.
    Read(Box<ReadBody>),
    Client(Box<ClientBody>),
}

/// What a client sends behind the head of a request.
pub(crate) enum ClientStream {
    Nothing,
    Http1(Http1Body),
    Http2(Incoming),
}

/// A client's body as it arrives.
pub(crate) struct ClientBody {
    inner: ClientStream,
    limit: u64,
    timer: IdleTimer,
    watch: Rc<BodyWatch>,
}

/// What has been read of a body stands before what has not.
pub(crate) struct ReadBody {
    read: VecDeque<Result<Frame<Bytes>, BodyFault>>,
    /// Bytes in it.
    bytes: u64,
    rest: Option<Box<ClientBody>>,
}

/// What the pipeline can see of a body that it has handed on.
#[derive(Debug, Default)]
pub(crate) struct BodyWatch {
    pub(crate) bytes: Cell<u64>,
    pub(crate) fault: Cell<Option<BodyFault>>,
    pub(crate) complete: Cell<bool>,
}

/// What was wrong with a client's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyFault {
    #[error("the request's body is larger than allowed")]
    TooLarge,
    #[error("the request's body stopped arriving")]
    TimedOut,
    #[error("the request's body broke off or is malformed")]
    Broken,
}

impl RequestBody {
    /// The client's body, watched.
    pub(crate) fn of(inner: ClientStream, limit: u64, idle: Duration, watch: Rc<BodyWatch>) -> Self {
        if inner.is_end_stream() {
            watch.complete.set(true);
            return Self::Empty;
        }
        let timer = IdleTimer::new(idle, None);
        Self::Client(Box::new(ClientBody { inner, limit, timer, watch }))
    }

    /// Reads it up to this many bytes. The pieces of the whole when it has no more, and no trailers; in any case what was
    /// read is still sent.
    pub(crate) async fn gather(self, most: u64) -> (Self, Option<Vec<Bytes>>) {
        let mut body = match self {
            Self::Client(body) => body,
            Self::Empty => return (Self::Empty, Some(Vec::new())),
            Self::Read(_) => return (self, None),
        };
        let (mut read, mut bytes) = (VecDeque::new(), 0);
        while body.inner.size_hint().lower() + bytes <= most {
            let Some(frame) = std::future::poll_fn(|context| body.poll(context)).await else {
                let whole: Option<Vec<Bytes>> = read.iter().map(data).collect();
                return (Self::Read(Box::new(ReadBody { read, bytes, rest: None })), whole);
            };
            let failed = frame.is_err();
            bytes += data(&frame).map_or(0, |data| data.len() as u64);
            read.push_back(frame);
            if failed {
                return (Self::Read(Box::new(ReadBody { read, bytes, rest: None })), None);
            }
        }
        (Self::Read(Box::new(ReadBody { read, bytes, rest: Some(body) })), None)
    }

    /// Whether it could be sent a second time.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Client(body) => body.poll(context),
            Self::Read(body) => body.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Client(body) => body.inner.is_end_stream(),
            Self::Read(body) => {
                body.read.is_empty() && body.rest.as_ref().is_none_or(|rest| rest.inner.is_end_stream())
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Client(body) => body.inner.size_hint(),
            Self::Read(body) => body.size_hint(),
        }
    }
}

fn data(frame: &Result<Frame<Bytes>, BodyFault>) -> Option<Bytes> {
    frame.as_ref().ok()?.data_ref().cloned()
}

impl ReadBody {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        if let Some(frame) = self.read.pop_front() {
            self.bytes -= data(&frame).map_or(0, |data| data.len() as u64);
            return Poll::Ready(Some(frame));
        }
        match &mut self.rest {
            Some(rest) => rest.poll(context),
            None => Poll::Ready(None),
        }
    }

    fn size_hint(&self) -> SizeHint {
        // What failed has no size that could be announced.
        if self.read.iter().any(Result::is_err) {
            return SizeHint::default();
        }
        let rest = self.rest.as_ref().map_or(SizeHint::with_exact(0), |rest| rest.inner.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(self.bytes + rest.lower());
        if let Some(upper) = rest.upper() {
            hint.set_upper(self.bytes + upper);
        }
        hint
    }
}

impl ClientStream {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let broken = |_| BodyFault::Broken;
        match self {
            Self::Nothing => Poll::Ready(None),
            Self::Http1(body) => body.poll_frame(context).map(|frame| Some(frame?.map_err(broken))),
            Self::Http2(body) => {
                let frame = Pin::new(body).poll_frame(context);
                frame.map(|frame| Some(frame?.map_err(|_| BodyFault::Broken)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Nothing => SizeHint::with_exact(0),
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.size_hint(),
        }
    }
}

impl ClientBody {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let Poll::Ready(frame) = self.inner.poll_frame(context) else {
            ready!(self.timer.poll_waiting(context));
            return self.fail(BodyFault::TimedOut);
        };
        let _ = self.timer.disarm();
        match frame {
            None => {
                self.watch.complete.set(true);
                Poll::Ready(None)
            }
            Some(Err(fault)) => self.fail(fault),
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                let bytes = self.watch.bytes.get() + length;
                self.watch.bytes.set(bytes);
                if bytes > self.limit {
                    return self.fail(BodyFault::TooLarge);
                }
                self.watch.complete.set(self.inner.is_end_stream());
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn fail(&self, fault: BodyFault) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        self.watch.fault.set(Some(fault));
        Poll::Ready(Some(Err(fault)))
    }
}
