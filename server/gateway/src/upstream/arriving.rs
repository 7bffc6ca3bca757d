//! The body of an upstream's response, from whichever kind of connection.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use super::http1::{self, Upgraded};
use super::pool::Lease;

/// A body on its way.
pub(crate) enum Arriving {
    /// All that is left of it is here.
    Here(Bytes),
    Http1(Lease),
    Http2(hyper::body::Incoming),
}

/// Why an exchange with an upstream did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    #[error(transparent)]
    Http1(#[from] http1::Error),
    #[error(transparent)]
    Http2(#[from] hyper::Error),
}

impl Arriving {
    /// Of the response whose head has just been read on this connection. A connection that is not needed any more goes back
    /// at once.
    pub(super) fn on(mut lease: Lease) -> Self {
        match lease.connection().whole_body() {
            Some(body) => {
                lease.give_back();
                Self::Here(body)
            }
            None => Self::Http1(lease),
        }
    }

    /// Nothing more comes; the connection, if it was not read to the end, is closed.
    pub(crate) fn stop(&mut self) {
        *self = Self::Here(Bytes::new());
    }

    /// The next part of the body; None at its end.
    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ExchangeError>>> {
        match self {
            Self::Here(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Here(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Http2(body) => Pin::new(body).poll_frame(context).map_err(ExchangeError::Http2),
            Self::Http1(lease) => {
                let frame = ready!(lease.connection().poll_frame(context));
                if lease.connection().is_over()
                    && let Self::Http1(lease) = std::mem::replace(self, Self::Here(Bytes::new()))
                {
                    lease.give_back();
                }
                Poll::Ready(frame.map(|frame| frame.map_err(ExchangeError::Http1)))
            }
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        match self {
            Self::Here(bytes) => bytes.is_empty(),
            Self::Http1(_) => false,
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Here(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Http1(lease) => lease.size_hint(),
            Self::Http2(body) => body.size_hint(),
        }
    }

    /// The connection in the protocol to which the upstream has switched.
    pub(crate) fn into_upgraded(self) -> Option<Upgraded> {
        match self {
            Self::Http1(lease) => lease.into_upgraded(),
            Self::Here(_) | Self::Http2(_) => None,
        }
    }
}
