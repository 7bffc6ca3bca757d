//! What can go wrong on a connection to an upstream.

use std::io;

use crate::body::BodyFault;
use crate::http1::Malformed;

/// Why an exchange did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the connection was closed before the response's head was whole")]
    Closed,
    #[error("the connection was closed before the response's body was whole")]
    Incomplete,
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    #[error("the request could not be sent whole: {0}")]
    Request(#[from] BodyFault),
    #[error("the request's body has another size than was announced")]
    RequestSize,
    #[error("the response's head is malformed: {0}")]
    Head(#[from] BadHead),
    #[error("the response's body is malformed: {0}")]
    Body(#[from] Malformed),
}

/// What is wrong with the head of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadHead {
    #[error("{0}")]
    Syntax(#[from] httparse::Error),
    #[error("{0}")]
    Field(#[from] Malformed),
    #[error("it is larger than {} bytes", super::MAX_HEAD)]
    TooLarge,
    #[error("no status {0}")]
    Status(u16),
    #[error("its `Content-Length` is no length, or several")]
    Length,
    #[error("its `Transfer-Encoding` is not one that its sender may use")]
    Encoding,
    #[error("it switches to another protocol, which it was not asked for")]
    Switch,
}

impl Error {
    /// What came is not HTTP.
    pub(crate) fn is_malformed(&self) -> bool {
        matches!(self, Self::Head(_) | Self::Body(_))
    }

    /// The connection was dead; perhaps it was before the request was sent.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self, Self::Closed | Self::Broken(_))
    }
}
