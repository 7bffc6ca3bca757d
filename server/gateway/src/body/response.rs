//! What goes back to a client. Its end is the end of the call, and records it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::timer::IdleTimer;
use crate::cache::{FillReader, Lead};
use crate::pipeline::Call;
use crate::upstream::Lease;

/// The body of a response to a client.
pub struct Body {
    origin: Origin,
    lead: Option<Lead>,
    /// Recorded when the body ends.
    call: Option<Box<Call>>,
    bytes: u64,
}

/// Where the bytes come from.
pub(crate) enum Origin {
    Empty,
    Full(Bytes),
    Upstream(Box<UpstreamBody>),
    /// A response that is being stored while it is read.
    Fill(FillReader),
}

/// An upstream's body as it arrives.
pub(crate) struct UpstreamBody {
    inner: Incoming,
    timer: IdleTimer,
    /// Gives the connection back when the body has been read whole.
    lease: Option<Lease>,
}

/// Why a body breaks off. The connection to the client is closed, since nothing else could tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the upstream stopped sending")]
    TimedOut,
    #[error("the upstream broke off")]
    Broken,
}

impl Body {
    pub(crate) fn new(origin: Origin) -> Self {
        Self { origin, lead: None, call: None, bytes: 0 }
    }

    /// Behind a head that has these fields, too.
    pub(crate) fn behind(mut self, lead: Option<Lead>) -> Self {
        self.lead = lead;
        self
    }

    /// What the head has beside its map.
    pub(crate) fn lead(&self) -> Option<&Lead> {
        self.lead.as_ref()
    }

    pub(crate) fn full(bytes: Bytes) -> Self {
        Self::new(Origin::of(bytes))
    }

    pub(crate) fn empty() -> Self {
        Self::new(Origin::Empty)
    }

    /// Records the call when this body ends; now when it has none.
    pub(crate) fn ending(mut self, mut call: Box<Call>) -> Self {
        if self.origin.is_end_stream() {
            call.end(0);
        } else {
            self.call = Some(call);
        }
        self
    }

    fn end(&mut self, error: Option<(&'static str, sluice_contract::problem::ErrorSource)>) {
        if let Some(mut call) = self.call.take() {
            if let Some((code, source)) = error {
                call.broke_off(code, source);
            }
            call.end(self.bytes);
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        use sluice_contract::problem::ErrorSource::Upstream;
        let this = self.get_mut();
        let frame = ready!(this.origin.poll(context));
        match &frame {
            Some(Ok(frame)) => {
                this.bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
                // Before the last bytes leave: who has read the answer finds the record.
                if this.origin.is_end_stream() {
                    this.end(None);
                }
            }
            None => this.end(None),
            Some(Err(BodyError::TimedOut)) => this.end(Some(("upstream_timeout", Upstream))),
            Some(Err(BodyError::Broken)) => this.end(Some(("upstream_closed", Upstream))),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.origin.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.origin {
            Origin::Empty => SizeHint::with_exact(0),
            Origin::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Origin::Upstream(body) => body.inner.size_hint(),
            Origin::Fill(reader) => reader.size_hint(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        // Not read to its end: the client has gone.
        self.end(Some(("client_closed", sluice_contract::problem::ErrorSource::Client)));
    }
}

impl Origin {
    /// Bytes in memory.
    pub(crate) fn of(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::Empty } else { Self::Full(bytes) }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(_) => false,
            Self::Upstream(body) => body.is_end_stream(),
            Self::Fill(reader) => reader.is_end_stream(),
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Upstream(body) => body.poll(context),
            Self::Fill(reader) => reader.poll(context),
        }
    }
}

impl UpstreamBody {
    /// An upstream's body; `lease` is given back at its end.
    pub(crate) fn new(
        inner: Incoming,
        idle: Duration,
        deadline: Option<Instant>,
        lease: Option<Lease>,
    ) -> Self {
        let mut body = Self { inner, timer: IdleTimer::new(idle, deadline), lease };
        body.give_back_if_ended();
        body
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }

    pub(crate) fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Poll::Ready(frame) = self.poll_connection(context) else {
            ready!(self.timer.poll_waiting(context));
            self.lease = None;
            return Poll::Ready(Some(Err(BodyError::TimedOut)));
        };
        if !self.timer.disarm() {
            self.lease = None;
            return Poll::Ready(Some(Err(BodyError::TimedOut)));
        }
        Poll::Ready(match frame {
            None => {
                self.give_back();
                None
            }
            Some(Ok(frame)) => {
                self.give_back_if_ended();
                Some(Ok(frame))
            }
            Some(Err(_)) => {
                self.lease = None;
                Some(Err(BodyError::Broken))
            }
        })
    }

    /// The next piece, if it is there or the connection can be made to bring it.
    fn poll_connection(&mut self, context: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let mut frame = Pin::new(&mut self.inner).poll_frame(context);
        if frame.is_pending()
            && let Some(lease) = &mut self.lease
        {
            lease.drive(context);
            frame = Pin::new(&mut self.inner).poll_frame(context);
        }
        frame
    }

    /// The next piece.
    pub(crate) async fn next(&mut self) -> Option<Result<Frame<Bytes>, BodyError>> {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    fn give_back_if_ended(&mut self) {
        if self.inner.is_end_stream() {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }
}
