//! `X-Request-Id`: what a client can look its call up with.

use bytes::{BufMut as _, BytesMut};
use http::header::{HeaderName, HeaderValue};
use sluice_contract::ids::CallId;

use crate::hex;

pub(crate) static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Digits and hyphens of a UUID (RFC 9562 §4).
const LENGTH: usize = 36;

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
        HeaderValue::from_bytes(self.bytes(&mut buffer)).unwrap_or(HeaderValue::from_static("unknown"))
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
        into.put_slice(self.bytes(&mut buffer));
        into.put_slice(b"\r\n");
    }

    /// Where the call's own id is written.
    pub(super) fn buffer() -> [u8; LENGTH] {
        [0; LENGTH]
    }

    pub(super) fn text<'t>(&'t self, buffer: &'t mut [u8; LENGTH]) -> &'t str {
        std::str::from_utf8(self.bytes(buffer)).unwrap_or_default()
    }

    fn bytes<'t>(&'t self, buffer: &'t mut [u8; LENGTH]) -> &'t [u8] {
        match self {
            Self::Own(id) => {
                write_hyphenated(*id, buffer);
                buffer
            }
            Self::Sent(value) => value.as_bytes(),
        }
    }
}

/// Writes the five groups of digits.
fn write_hyphenated(id: CallId, text: &mut [u8; LENGTH]) {
    let id = id.0.as_bytes();
    for (bytes, at) in [(0..4, 0), (4..6, 9), (6..8, 14), (8..10, 19), (10..16, 24)] {
        let end = at + 2 * bytes.len();
        hex::encode(&id[bytes], &mut text[at..end]);
    }
    for at in [8, 13, 18, 23] {
        text[at] = b'-';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_s_own_id_is_written_as_everybody_writes_uuids() {
        let id = uuid::Uuid::from_u128(0x0192_a3b4_c5d6_7e8f_9012_3456_789a_bcde);
        assert_eq!(RequestId::Own(CallId(id)).text(&mut RequestId::buffer()), id.to_string());
    }
}
