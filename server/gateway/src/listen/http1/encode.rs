//! Responses as they go to a client (RFC 9112 §4, §6 and §7).

use bytes::{BufMut as _, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode};

use crate::cache::Lead;
use crate::http1::fields;

/// How the end of a response's body can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delimited {
    /// No body is sent; to HEAD, the length that it would have.
    Unsent(Option<u64>),
    Length(u64),
    Chunks,
    /// By the end of the connection: HTTP/1.0 has nothing better.
    Close,
}

/// What decides how a response is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// HTTP/1.0.
    pub(super) old_client: bool,
    pub(super) to_head: bool,
    /// Whether the connection can be used for another request.
    pub(super) keep: bool,
}

impl Manner {
    /// How a body of this size, if it is known, is delimited (RFC 9112 §6.3).
    pub(super) fn delimit(&self, status: StatusCode, size: Option<u64>) -> Delimited {
        if self.to_head {
            return Delimited::Unsent(size.filter(|&size| size > 0));
        }
        if status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            return Delimited::Unsent(None);
        }
        match size {
            Some(length) => Delimited::Length(length),
            None if self.old_client => Delimited::Close,
            None => Delimited::Chunks,
        }
    }

    /// Writes the head, which has what `lead` says, too.
    pub(super) fn write(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        lead: Option<&Lead>,
        delimited: Delimited,
        date: &[u8],
        into: &mut BytesMut,
    ) {
        into.reserve(64 * (headers.len() + 4));
        status_line(status, into);
        if let Some(lead) = lead {
            lead.write(into);
        }
        let switches = status == StatusCode::SWITCHING_PROTOCOLS;
        // What is not sent keeps the length that its origin says, if a length may be said at all (RFC 9110 §8.6).
        let keeps_length = matches!(delimited, Delimited::Unsent(_))
            && !status.is_informational()
            && status != StatusCode::NO_CONTENT;
        let (mut dated, mut measured) = (lead.is_some(), false);
        for (name, value) in headers {
            if *name == CONTENT_LENGTH {
                if !keeps_length {
                    continue;
                }
                measured = true;
            }
            if *name == TRANSFER_ENCODING || (*name == CONNECTION && !switches) {
                continue;
            }
            dated |= *name == DATE;
            fields::write_one(name, value.as_bytes(), into);
        }
        match delimited {
            Delimited::Length(length) => content_length(length, into),
            Delimited::Unsent(Some(length)) if !measured => content_length(length, into),
            Delimited::Chunks => into.put_slice(b"transfer-encoding: chunked\r\n"),
            Delimited::Unsent(_) | Delimited::Close => {}
        }
        match (self.keep, self.old_client) {
            _ if switches => {}
            (false, _) => into.put_slice(b"connection: close\r\n"),
            (true, true) => into.put_slice(b"connection: keep-alive\r\n"),
            (true, false) => {}
        }
        if !dated {
            fields::write_one(&DATE, date, into);
        }
        into.put_slice(b"\r\n");
    }
}

/// Writes a response before the last one (RFC 9110 §15.2). It has no body, and nothing that would be about one.
pub(super) fn interim(status: StatusCode, headers: &HeaderMap, into: &mut BytesMut) {
    status_line(status, into);
    fields::write(headers, into, |name| *name != CONTENT_LENGTH);
    into.put_slice(b"\r\n");
}

fn status_line(status: StatusCode, into: &mut BytesMut) {
    into.put_slice(b"HTTP/1.1 ");
    into.put_slice(status.as_str().as_bytes());
    into.put_u8(b' ');
    into.put_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    into.put_slice(b"\r\n");
}

fn content_length(length: u64, into: &mut BytesMut) {
    fields::write_one(&CONTENT_LENGTH, itoa::Buffer::new().format(length).as_bytes(), into);
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const USUAL: Manner = Manner { old_client: false, to_head: false, keep: true };

    fn written(
        manner: Manner,
        status: u16,
        size: Option<u64>,
        fields: &[(&'static str, &'static str)],
    ) -> String {
        let status = StatusCode::from_u16(status).unwrap();
        let headers = fields
            .iter()
            .map(|&(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect::<HeaderMap>();
        let mut out = BytesMut::new();
        manner.write(status, &headers, None, manner.delimit(status, size), b"D", &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn a_body_is_delimited_by_what_is_known_of_it() {
        let ok = "HTTP/1.1 200 OK\r\n";
        let said = [("content-length", "9"), ("transfer-encoding", "gzip"), ("connection", "x")];
        for (manner, size, rest) in [
            (USUAL, Some(5), "content-length: 5\r\ndate: D\r\n\r\n"),
            (USUAL, Some(0), "content-length: 0\r\ndate: D\r\n\r\n"),
            (USUAL, None, "transfer-encoding: chunked\r\ndate: D\r\n\r\n"),
            (Manner { old_client: true, keep: false, ..USUAL }, None, "connection: close\r\ndate: D\r\n\r\n"),
            (
                Manner { old_client: true, ..USUAL },
                Some(1),
                "content-length: 1\r\nconnection: keep-alive\r\ndate: D\r\n\r\n",
            ),
            (Manner { to_head: true, ..USUAL }, Some(5), "content-length: 9\r\ndate: D\r\n\r\n"),
        ] {
            assert_eq!(written(manner, 200, size, &said), format!("{ok}{rest}"), "{manner:?} {size:?}");
        }
        let head = Manner { to_head: true, ..USUAL };
        assert_eq!(written(head, 200, Some(5), &[]), format!("{ok}content-length: 5\r\ndate: D\r\n\r\n"));
        assert_eq!(written(head, 200, Some(0), &[]), format!("{ok}date: D\r\n\r\n"));
    }

    #[test]
    fn statuses_without_a_body_have_none() {
        let said = [("content-length", "9"), ("date", "E")];
        assert_eq!(written(USUAL, 204, Some(3), &said), "HTTP/1.1 204 No Content\r\ndate: E\r\n\r\n");
        assert_eq!(
            written(USUAL, 304, Some(0), &said),
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\ndate: E\r\n\r\n"
        );
        let said = [("connection", "upgrade"), ("upgrade", "websocket"), ("date", "E")];
        let switching = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\ndate: E\r\n\r\n";
        assert_eq!(written(USUAL, 101, Some(0), &said), switching);
        assert_eq!(
            written(USUAL, 599, Some(0), &[]),
            "HTTP/1.1 599 \r\ncontent-length: 0\r\ndate: D\r\n\r\n"
        );
    }
}
