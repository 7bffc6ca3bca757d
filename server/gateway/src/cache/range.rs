//! Parts of stored responses (RFC 9110 §14): ranges of bytes of a response that is stored whole, one as it is, several as
//! `multipart/byteranges`.

use std::ops::Range;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, DATE, ETAG, HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, Method, StatusCode, response};

use super::freshness::date;

/// A part that a client asks for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    range: HeaderValue,
    /// Only if the response is still this one.
    condition: Option<HeaderValue>,
}

/// Ranges in one request that are answered; who asks for more gets the whole response, which §14.2 allows.
const MOST: usize = 16;

/// Which bytes of a body are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Whole,
    /// In the order in which they were asked for, no byte twice.
    Bytes(Vec<Range<usize>>),
    /// There are no such bytes.
    Nothing,
}

impl Wanted {
    /// What a request asks for; `Range` means something to GET only (§14.2).
    pub(super) fn of(method: &Method, headers: &HeaderMap) -> Option<Self> {
        let range = headers.get(RANGE).filter(|_| method == Method::GET)?.clone();
        Some(Self { range, condition: headers.get(IF_RANGE).cloned() })
    }

    /// Makes of a whole response what the client gets.
    pub(super) fn cut(&self, head: &mut response::Parts, body: Bytes) -> Bytes {
        if head.status != StatusCode::OK || !self.is_still_meant(&head.headers) {
            return body;
        }
        let length = body.len();
        let (status, body) = match part(&self.range, length) {
            Part::Whole => return body,
            Part::Bytes(ranges) => {
                let body = match &ranges[..] {
                    [only] => {
                        say_range(head, &content_range(only, length));
                        body.slice(only.clone())
                    }
                    several => multipart(head, several, &body),
                };
                (StatusCode::PARTIAL_CONTENT, body)
            }
            Part::Nothing => {
                say_range(head, &format!("bytes */{length}"));
                (StatusCode::RANGE_NOT_SATISFIABLE, Bytes::new())
            }
        };
        head.status = status;
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        body
    }

    /// §13.1.5: a strong tag that is the same, or the very date of the last change.
    fn is_still_meant(&self, stored: &HeaderMap) -> bool {
        let Some(condition) = &self.condition else { return true };
        if condition.as_bytes().starts_with(b"W/") {
            return false;
        }
        if condition.as_bytes().starts_with(b"\"") {
            return stored.get(ETAG) == Some(condition);
        }
        // What was made in the second of its last change may have changed again in that second (§8.8.2.2).
        stored.get(LAST_MODIFIED) == Some(condition) && date(stored, &LAST_MODIFIED) < date(stored, &DATE)
    }
}

fn content_range(range: &Range<usize>, length: usize) -> String {
    format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1))
}

fn say_range(head: &mut response::Parts, range: &str) {
    if let Ok(range) = HeaderValue::from_str(range) {
        head.headers.insert(CONTENT_RANGE, range);
    }
}

/// Several ranges in one body (§14.6); each says which it is, the head says none (§15.3.7.2).
fn multipart(head: &mut response::Parts, ranges: &[Range<usize>], body: &Bytes) -> Bytes {
    let boundary = uuid::Uuid::new_v4().simple().to_string();
    let kind = head.headers.remove(CONTENT_TYPE);
    let mut parts = BytesMut::with_capacity(ranges.iter().map(|range| range.len() + 160).sum());
    for range in ranges {
        parts.put_slice(format!("--{boundary}\r\n").as_bytes());
        if let Some(kind) = &kind {
            parts.put_slice(&[b"Content-Type: ", kind.as_bytes(), b"\r\n"].concat());
        }
        let range_is = content_range(range, body.len());
        parts.put_slice(format!("Content-Range: {range_is}\r\n\r\n").as_bytes());
        parts.put_slice(&body[range.clone()]);
        parts.put_slice(b"\r\n");
    }
    parts.put_slice(format!("--{boundary}--\r\n").as_bytes());
    if let Ok(kind) = HeaderValue::from_str(&format!("multipart/byteranges; boundary={boundary}")) {
        head.headers.insert(CONTENT_TYPE, kind);
    }
    parts.freeze()
}

/// The part of a body of so many bytes. What is not a set of ranges of bytes is ignored (§14.2).
fn part(range: &HeaderValue, length: usize) -> Part {
    let set = || {
        let (unit, set) = range.to_str().ok()?.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let asked = set.split(',').map(str::trim).filter(|range| !range.is_empty());
        asked.map(|range| one(range, length)).take(MOST + 1).collect::<Option<Vec<_>>>()
    };
    let Some(asked) = set().filter(|asked| (1..=MOST).contains(&asked.len())) else { return Part::Whole };
    // Those that are beyond the end are left out; when nothing is left there is nothing to send (§15.5.17).
    let ranges: Vec<Range<usize>> = asked.into_iter().flatten().collect();
    if ranges.is_empty() { Part::Nothing } else { Part::Bytes(apart(ranges)) }
}

/// Where ranges overlap or touch, one that covers them (§15.3.7.2); otherwise as they are.
fn apart(ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut sorted = ranges.clone();
    sorted.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(sorted.len());
    for range in sorted {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    if joined.len() == ranges.len() { ranges } else { joined }
}

/// One range of a body of so many bytes: Some(None) when it has no such bytes, None when it is no range.
fn one(text: &str, length: usize) -> Option<Option<Range<usize>>> {
    let (first, last) = text.split_once('-')?;
    let range = match (first.trim(), last.trim()) {
        ("", suffix) => {
            let suffix = position(suffix)?;
            length.saturating_sub(suffix)..length
        }
        (first, "") => position(first)?..length,
        (first, last) => {
            let (first, last) = (position(first)?, position(last)?);
            if first > last {
                return None;
            }
            first..last.saturating_add(1).min(length)
        }
    };
    Some(Some(range).filter(|range| !range.is_empty()))
}

/// A number; one that is too large is beyond every body.
fn position(text: &str) -> Option<usize> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `2..5 7..8` of ten bytes.
    fn of(text: &str) -> String {
        match part(&text.parse().unwrap(), 10) {
            Part::Whole => "whole".to_owned(),
            Part::Nothing => "nothing".to_owned(),
            Part::Bytes(ranges) => {
                ranges.iter().map(|range| format!("{range:?}")).collect::<Vec<_>>().join(" ")
            }
        }
    }

    #[test]
    fn a_range_means_something_to_get_alone() {
        let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_static("bytes=0-1"))]);
        let is_wanted = |method| Wanted::of(&method, &headers).is_some();
        assert_eq!([Method::GET, Method::HEAD, Method::POST].map(is_wanted), [true, false, false]);
    }

    #[test]
    fn ranges_of_bytes_are_understood_and_everything_else_ignored() {
        for (text, expected) in [
            ("bytes=0-0", "0..1"),
            ("bytes=2-4", "2..5"),
            ("Bytes=2-", "2..10"),
            ("bytes=2-99999999999999999999999", "2..10"),
            ("bytes=-3", "7..10"),
            ("bytes=-30", "0..10"),
            ("bytes=10-", "nothing"),
            ("bytes=99999999999999999999999-", "nothing"),
            ("bytes=-0", "nothing"),
            ("bytes=4-2", "whole"),
            ("bytes=-", "whole"),
            ("bytes=", "whole"),
            ("bytes=,", "whole"),
            ("bytes=a-b", "whole"),
            ("bytes=+1-2", "whole"),
            ("items=0-1", "whole"),
            ("0-1", "whole"),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
        assert_eq!(part(&"bytes=0-0".parse().unwrap(), 0), Part::Nothing);
    }

    #[test]
    fn several_ranges_keep_their_order_unless_they_share_bytes_and_too_many_are_ignored() {
        for (text, expected) in [
            ("bytes=0-1, 4-5", "0..2 4..6"),
            ("bytes=4-5,0-1", "4..6 0..2"),
            ("bytes=0-1,,4-5,", "0..2 4..6"),
            ("bytes=4-6,0-1,5-9", "0..2 4..10"),
            ("bytes=0-3,4-5", "0..6"),
            ("bytes=0-,2-3,0-9", "0..10"),
            ("bytes=0-1,20-30", "0..2"),
            ("bytes=20-30,40-", "nothing"),
            ("bytes=0-1,x", "whole"),
            ("bytes=0-1,3-2", "whole"),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
        let many = |count: usize| of(&format!("bytes={}", vec!["0-0"; count].join(",")));
        assert_eq!((many(MOST), many(MOST + 1)), ("0..1".to_owned(), "whole".to_owned()));
    }

    #[test]
    fn several_ranges_are_sent_as_parts_that_each_say_what_they_are() {
        let (mut head, ()) = http::Response::new(()).into_parts();
        head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        let wanted = Wanted { range: HeaderValue::from_static("bytes=7-8,0-1"), condition: None };
        let body = wanted.cut(&mut head, Bytes::from_static(b"0123456789"));
        assert_eq!(head.status, StatusCode::PARTIAL_CONTENT);
        assert_eq!(head.headers.get(CONTENT_RANGE), None);
        assert_eq!(head.headers[CONTENT_LENGTH], body.len().to_string().as_str());
        let kind = head.headers[CONTENT_TYPE].to_str().unwrap();
        let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap();
        let part = |range: &str, bytes: &str| {
            format!(
                "--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes {range}/10\r\n\r\n{bytes}\r\n"
            )
        };
        assert_eq!(body, format!("{}{}--{boundary}--\r\n", part("7-8", "78"), part("0-1", "01")));
    }

    #[test]
    fn only_a_200_that_is_still_meant_is_cut() {
        let cut = |status, condition: Option<&'static str>| {
            let (mut head, ()) = http::Response::new(()).into_parts();
            head.status = status;
            head.headers.insert(ETAG, HeaderValue::from_static("\"a\""));
            let condition = condition.map(HeaderValue::from_static);
            let wanted = Wanted { range: HeaderValue::from_static("bytes=0-1"), condition };
            let body = wanted.cut(&mut head, Bytes::from_static(b"0123"));
            (head.status.as_u16(), body)
        };
        let (part, whole) = (Bytes::from_static(b"01"), Bytes::from_static(b"0123"));
        assert_eq!(cut(StatusCode::OK, None), (206, part.clone()));
        assert_eq!(cut(StatusCode::OK, Some("\"a\"")), (206, part));
        assert_eq!(cut(StatusCode::OK, Some("\"b\"")), (200, whole.clone()));
        assert_eq!(cut(StatusCode::NOT_FOUND, None), (404, whole));
    }

    #[test]
    fn a_part_of_another_response_is_not_served() {
        let (changed, later) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:38 GMT");
        let made = |date: &'static str| -> HeaderMap {
            let fields = [(ETAG, "\"a\""), (LAST_MODIFIED, changed), (DATE, date)];
            fields.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect()
        };
        let meant = |stored: &HeaderMap, condition: &'static str| {
            let condition = Some(HeaderValue::from_static(condition));
            Wanted { range: HeaderValue::from_static("bytes=0-0"), condition }.is_still_meant(stored)
        };
        let stored = made(later);
        assert!(meant(&stored, "\"a\"") && meant(&stored, changed));
        assert!(!meant(&stored, "\"b\"") && !meant(&stored, "W/\"a\"") && !meant(&stored, later));
        assert!(!meant(&made(changed), changed), "it may have changed again in that second");
    }
}
