//! `X-Request-Id`: what a client can look its call up with.

use bytes::{BufMut as _, BytesMut};
use http::header::{HeaderName, HeaderValue};
use sluice_contract::ids::CallId;
use uuid::fmt::Hyphenated;

pub(crate) static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a call as its client, the upstream and the log see it. The call's own is written only where it is said.
#[derive(Clone, Debug)]
pub(crate) enum RequestId {
    Own(CallId),
    /// By the client.
    Sent(HeaderValue),
}

impl RequestId {
    /// The client's own id, so that its log and ours agree, when it is printable and short.
    pub(super) fn of(sent: Option<&HeaderValue>, own: CallId) -> Self {
        let usable = |value: &&HeaderValue| {
            (1..=128).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        sent.filter(usable).map_or(Self::Own(own), |sent| Self::Sent(sent.clone()))
    }

    pub(crate) fn value(&self) -> HeaderValue {
        let mut buffer = Self::buffer();
        HeaderValue::from_str(self.text(&mut buffer)).unwrap_or(HeaderValue::from_static("unknown"))
    }

    /// What the client sent.
    pub(super) fn sent(&self) -> Option<&str> {
        match self {
            Self::Own(_) => None,
            Self::Sent(value) => value.to_str().ok(),
        }
    }

    /// Writes the field as HTTP/1 does.
    pub(crate) fn write(&self, into: &mut BytesMut) {
        let mut buffer = Self::buffer();
        into.put_slice(b"x-request-id: ");
        into.put_slice(self.text(&mut buffer).as_bytes());
        into.put_slice(b"\r\n");
    }

    /// Where the call's own id is written.
    pub(super) fn buffer() -> [u8; Hyphenated::LENGTH] {
        [0; Hyphenated::LENGTH]
    }

    pub(super) fn text<'t>(&'t self, buffer: &'t mut [u8; Hyphenated::LENGTH]) -> &'t str {
        match self {
            Self::Own(id) => id.0.hyphenated().encode_lower(buffer),
            Self::Sent(value) => value.to_str().unwrap_or_default(),
        }
    }
}
