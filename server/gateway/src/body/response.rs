//! What goes back to a client. Its end is the end of the call, and records it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

use super::timer::IdleTimer;
use crate::cache::{FillReader, Lead};
use crate::pipeline::Call;
use crate::upstream::Arriving;

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
    inner: Arriving,
    timer: IdleTimer,
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

    pub(crate) fn lead_mut(&mut self) -> Option<&mut Lead> {
        self.lead.as_mut()
    }

    pub(crate) fn is_in_memory(&self) -> bool {
        matches!(self.origin, Origin::Empty | Origin::Full(_))
    }

    /// All of it, when it is in memory: that was the end of the body.
    pub(crate) fn take_whole(&mut self) -> Option<Bytes> {
        let bytes = match &mut self.origin {
            Origin::Empty => Bytes::new(),
            Origin::Full(bytes) => std::mem::take(bytes),
            Origin::Upstream(_) | Origin::Fill(_) => return None,
        };
        self.origin = Origin::Empty;
        self.bytes = bytes.len() as u64;
        self.end(None);
        Some(bytes)
    }

    pub(crate) fn full(bytes: Bytes) -> Self {
        Self::new(Origin::of(bytes))
    }

    pub(crate) fn empty() -> Self {
        Self::new(Origin::Empty)
    }

    /// Records the call when this body ends; now when it has none.
    pub(crate) fn ends(&mut self, mut call: Box<Call>) {
        if self.origin.is_end_stream() {
            call.end(0);
        } else {
            self.call = Some(call);
        }
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
    pub(crate) fn new(inner: Arriving, idle: Duration, deadline: Option<Instant>) -> Self {
        Self { inner, timer: IdleTimer::new(idle, deadline) }
    }

    /// All of it, when it is here already.
    pub(crate) fn into_here(self) -> Result<Bytes, Self> {
        match self.inner {
            Arriving::Here(bytes) => Ok(bytes),
            _ => Err(self),
        }
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
        let Poll::Ready(frame) = self.inner.poll_frame(context) else {
            ready!(self.timer.poll_waiting(context));
            return self.fail(BodyError::TimedOut);
        };
        if !self.timer.disarm() {
            return self.fail(BodyError::TimedOut);
        }
        match frame {
            None => Poll::Ready(None),
            Some(Ok(frame)) => Poll::Ready(Some(Ok(frame))),
            Some(Err(error)) => {
                tracing::debug!(target: "sluice::upstream", %error, "the body broke off");
                self.fail(BodyError::Broken)
            }
        }
    }

    /// The next piece.
    pub(crate) async fn next(&mut self) -> Option<Result<Frame<Bytes>, BodyError>> {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    /// The connection is of no use any more.
    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.inner.stop();
        Poll::Ready(Some(Err(error)))
    }
}
