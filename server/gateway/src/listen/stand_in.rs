//! A request in the place of one that is refused for its head, so that refusing it is a call like any other: answered with
//! a problem and a request id, and recorded.

use super::framing::{RequestLine, field};

/// Fields that the record of a call is made of.
const KEPT: [&[u8]; 4] = [b"host", b"user-agent", b"x-request-id", b"traceparent"];

/// Bytes that the request may have beyond its limit.
pub(super) const EXTRA: usize = 64;

/// What can be believed of the beginning of a head, as a head in order that asks for the connection to be closed. No longer
/// than `limit` and [`EXTRA`].
pub(super) fn stand_in(head: &[u8], limit: usize) -> Vec<u8> {
    let head = &head[..head.len().min(limit)];
    let whole = memchr::memrchr(b'\n', head).unwrap_or_default();
    let mut lines = head[..whole].split(|&byte| byte == b'\n').map(|line| line.trim_ascii_end());
    let mut instead = Vec::with_capacity(256);
    match lines.next().map(RequestLine::read) {
        Some(Ok(RequestLine { method, target, .. })) => {
            instead.extend_from_slice(method);
            instead.push(b' ');
            instead.extend_from_slice(target);
        }
        _ => instead.extend_from_slice(b"GET /"),
    }
    instead.extend_from_slice(b" HTTP/1.1\r\n");
    let mut kept = [false; KEPT.len()];
    for (name, value) in lines.filter_map(field) {
        let known = KEPT.iter().position(|known| name.eq_ignore_ascii_case(known));
        if let Some(seen) = known.and_then(|index| kept.get_mut(index))
            && !std::mem::replace(seen, true)
        {
            instead.extend_from_slice(name);
            instead.push(b':');
            instead.extend_from_slice(value);
            instead.extend_from_slice(b"\r\n");
        }
    }
    instead.extend_from_slice(b"Connection: close\r\n\r\n");
    instead
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instead(head: &str, limit: usize) -> String {
        String::from_utf8(stand_in(head.as_bytes(), limit)).unwrap()
    }

    #[test]
    fn what_can_be_believed_is_kept_and_nothing_else() {
        let head = "PUT /a?b=c HTTP/1.1\r\nHost: h\r\nX: \x01\r\nUSER-AGENT: u\r\n folded\r\nContent-Length: 5\r\n\
            Host: other\r\nTransfer-Encoding: chunked\r\n\r\nhello";
        let expected = "PUT /a?b=c HTTP/1.1\r\nHost: h\r\nUSER-AGENT: u\r\nConnection: close\r\n\r\n";
        assert_eq!(instead(head, 1_000), expected);
        // Cut within the agent's line.
        let cut = "PUT /a?b=c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
        assert_eq!(instead(head, 44), cut);
    }

    #[test]
    fn a_first_line_that_is_none_becomes_one() {
        for head in ["", "\x16\x03\x01", "GET /a", "GET  / HTTP/1.1\r\n\r\n", "GET /\r\nHost: h\r\n\r\n"] {
            assert!(instead(head, 1_000).starts_with("GET / HTTP/1.1\r\n"), "{head:?}");
        }
        // A line that ends with LF alone can still be read.
        assert!(instead("GET /a HTTP/1.1\nHost: h\n\n", 100).starts_with("GET /a HTTP/1.1\r\n"));
    }
}
