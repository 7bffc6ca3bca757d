//! W3C trace context: the caller's trace goes on, or one begins here.

use bytes::{BufMut as _, BytesMut};
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::hex;
use crate::worker::Ids;

static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The trace that a call belongs to, and this gateway's span in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) id: [u8; 16],
    span: [u8; 8],
    flags: u8,
    /// Whether the caller's context was used; if not, its state belongs to no trace of ours.
    continued: bool,
}

impl Trace {
    /// Goes on with the context that was sent, or begins one.
    pub(super) fn of(sent: Option<&HeaderValue>, ids: &Ids) -> Self {
        let span = ids.random().to_ne_bytes();
        let sent = sent.and_then(|value| parse(value.as_bytes()));
        let (id, flags) = sent.unwrap_or_else(|| {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&ids.random().to_ne_bytes());
            id[8..].copy_from_slice(&ids.random().to_ne_bytes());
            (id, 0)
        });
        Self { id, span, flags, continued: sent.is_some() }
    }

    /// Tells the upstream.
    pub(super) fn add(&self, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::from_bytes(&self.text()) {
            headers.insert(TRACEPARENT.clone(), value);
        }
    }

    /// Writes the field as HTTP/1 does.
    pub(super) fn write(&self, into: &mut BytesMut) {
        into.put_slice(b"traceparent: ");
        into.put_slice(&self.text());
        into.put_slice(b"\r\n");
    }

    /// The caller's state goes on with its trace only.
    pub(super) fn strip_state(&self, headers: &mut HeaderMap) {
        if !self.continued {
            headers.remove(&TRACESTATE);
        }
    }

    fn text(&self) -> [u8; 55] {
        let mut text = [0; 55];
        text[..3].copy_from_slice(b"00-");
        hex::encode(&self.id, &mut text[3..35]);
        text[35] = b'-';
        hex::encode(&self.span, &mut text[36..52]);
        text[52] = b'-';
        hex::encode(&[self.flags], &mut text[53..]);
        text
    }
}

/// Version 00, or what a later version begins with (§3.2.2 of the recommendation).
fn parse(text: &[u8]) -> Option<([u8; 16], u8)> {
    let version = unhex::<1>(text.get(..2)?)?[0];
    let shape = text.len() == 55 || (version > 0 && text.get(55) == Some(&b'-'));
    if version == 0xff || !shape || text.get(2) != Some(&b'-') || text[35] != b'-' || text[52] != b'-' {
        return None;
    }
    let (id, span) = (unhex::<16>(&text[3..35])?, unhex::<8>(&text[36..52])?);
    let flags = unhex::<1>(&text[53..55])?[0];
    (id != [0; 16] && span != [0; 8]).then_some((id, flags & 1))
}

/// Lower-case digits only, as the recommendation says.
fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_valid_contexts_are_continued() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let (id, flags) = parse(good.as_bytes()).unwrap();
        assert_eq!((id[0], id[15], flags), (0x4b, 0x36, 1));
        assert!(parse(format!("{}-extra", good.replace("00-4b", "01-4b")).as_bytes()).is_some());
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
