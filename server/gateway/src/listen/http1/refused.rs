//! What can be believed of a head that is refused, so that refusing it is a call like any other: answered with a problem and
//! a request id, and recorded.

use bytes::Bytes;
use http::header::{HOST, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request, Uri};

use super::head::RequestLine;

/// Fields that the record of a call is made of.
const KEPT: [HeaderName; 4] =
    [HOST, USER_AGENT, HeaderName::from_static("x-request-id"), HeaderName::from_static("traceparent")];

/// Method, target and a few fields of the beginning of a head, of at most `limit` bytes; `GET /` when its first line is none.
pub(super) fn believed(head: &[u8], limit: usize) -> http::request::Parts {
    let head = &head[..head.len().min(limit)];
    let whole = memchr::memrchr(b'\n', head).unwrap_or_default();
    let mut lines = head[..whole].split(|&byte| byte == b'\n').map(|line| line.trim_ascii_end());
    let (mut parts, ()) = Request::new(()).into_parts();
    if let Some((method, target)) = lines.next().and_then(first_line) {
        (parts.method, parts.uri) = (method, target);
    }
    for (name, value) in lines.filter_map(field) {
        if KEPT.contains(&name) && !parts.headers.contains_key(&name) {
            parts.headers.insert(name, value);
        }
    }
    parts
}

fn first_line(line: &[u8]) -> Option<(Method, Uri)> {
    let RequestLine { method, target, .. } = RequestLine::read(line).ok()?;
    Some((Method::from_bytes(method).ok()?, Uri::from_maybe_shared(Bytes::copy_from_slice(target)).ok()?))
}

fn field(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = memchr::memchr(b':', line)?;
    let name = HeaderName::from_bytes(&line[..colon]).ok()?;
    Some((name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?))
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn kept(head: &str, limit: usize) -> (String, HeaderMap) {
        let parts = believed(head.as_bytes(), limit);
        (format!("{} {}", parts.method, parts.uri), parts.headers)
    }

    #[test]
    fn what_can_be_believed_is_kept_and_nothing_else() {
        let head = "PUT /a?b=c HTTP/1.1\r\nHost: h\r\nX: \x01\r\nUSER-AGENT: u\r\n folded\r\nContent-Length: 5\r\n\
            Host: other\r\nTransfer-Encoding: chunked\r\n\r\nhello";
        let (line, headers) = kept(head, 1_000);
        assert_eq!(line, "PUT /a?b=c");
        assert_eq!(headers.len(), 2);
        assert_eq!((&headers[HOST], &headers[USER_AGENT]), (&"h".parse().unwrap(), &"u".parse().unwrap()));
        // Cut within the agent's line.
        let (line, headers) = kept(head, 44);
        assert_eq!((line.as_str(), headers.len()), ("PUT /a?b=c", 1));
    }

    #[test]
    fn a_first_line_that_is_none_becomes_one() {
        for head in ["", "\x16\x03\x01", "GET /a", "GET  / HTTP/1.1\r\n\r\n", "GET /\r\nHost: h\r\n\r\n"] {
            assert_eq!(kept(head, 1_000).0, "GET /", "{head:?}");
        }
        // A line that ends with LF alone can still be read.
        assert_eq!(kept("GET /a HTTP/1.1\nHost: h\n\n", 100).0, "GET /a");
    }
}
