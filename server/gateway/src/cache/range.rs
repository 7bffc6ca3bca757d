//! Parts of stored responses (RFC 9110 §14): one range of bytes of a response that is stored whole. Several ranges in one
//! request get the whole response, which §14.2 allows.

use std::ops::Range;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE};
use http::{HeaderMap, Method, StatusCode, response};

/// A part that a client asks for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    range: HeaderValue,
    /// Only if the response is still this one.
    condition: Option<HeaderValue>,
}

/// Which bytes of a body are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Bytes(Range<usize>),
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
        let (status, range, body) = match part(&self.range, length) {
            Part::Whole => return body,
            Part::Bytes(bytes) => {
                let range = format!("bytes {}-{}/{length}", bytes.start, bytes.end - 1);
                (StatusCode::PARTIAL_CONTENT, range, body.slice(bytes))
            }
            Part::Nothing => (StatusCode::RANGE_NOT_SATISFIABLE, format!("bytes */{length}"), Bytes::new()),
        };
        head.status = status;
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        if let Ok(range) = HeaderValue::from_str(&range) {
            head.headers.insert(CONTENT_RANGE, range);
        }
        body
    }

    /// §13.1.5: a strong tag that is the same, or the very date of the last change.
    fn is_still_meant(&self, stored: &HeaderMap) -> bool {
        let Some(condition) = &self.condition else { return true };
        if condition.as_bytes().starts_with(b"W/") {
            return false;
        }
        let validator = if condition.as_bytes().starts_with(b"\"") { ETAG } else { LAST_MODIFIED };
        stored.get(validator) == Some(condition)
    }
}

/// The part of a body of so many bytes. What is not a range of bytes is ignored (§14.2).
fn part(range: &HeaderValue, length: usize) -> Part {
    let one = || {
        let (unit, set) = range.to_str().ok()?.split_once('=')?;
        let (first, last) = set.trim().split_once('-')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
            return None;
        }
        let number = |text: &str| (!text.is_empty()).then(|| position(text));
        Some(match (number(first), number(last)) {
            (Some(first), last) => {
                let (first, last) = (first?, last.unwrap_or(Some(usize::MAX))?);
                if first > last {
                    return None;
                }
                within(first, last.saturating_add(1), length)
            }
            (None, suffix) => {
                let suffix = suffix??;
                within(length.saturating_sub(suffix), if suffix == 0 { 0 } else { length }, length)
            }
        })
    };
    one().unwrap_or(Part::Whole)
}

fn within(start: usize, end: usize, length: usize) -> Part {
    let end = end.min(length);
    if start < end { Part::Bytes(start..end) } else { Part::Nothing }
}

/// A number; one that is too large is beyond every body.
fn position(text: &str) -> Option<usize> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_of_bytes_is_understood_and_everything_else_ignored() {
        let of = |text: &str| part(&text.parse().unwrap(), 10);
        for (text, expected) in [
            ("bytes=0-0", Part::Bytes(0..1)),
            ("bytes=2-4", Part::Bytes(2..5)),
            ("Bytes=2-", Part::Bytes(2..10)),
            ("bytes=2-99999999999999999999999", Part::Bytes(2..10)),
            ("bytes=-3", Part::Bytes(7..10)),
            ("bytes=-30", Part::Bytes(0..10)),
            ("bytes=10-", Part::Nothing),
            ("bytes=99999999999999999999999-", Part::Nothing),
            ("bytes=-0", Part::Nothing),
            ("bytes=4-2", Part::Whole),
            ("bytes=0-1,4-5", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("items=0-1", Part::Whole),
            ("0-1", Part::Whole),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
        assert_eq!(part(&"bytes=0-0".parse().unwrap(), 0), Part::Nothing);
    }

    #[test]
    fn a_part_of_another_response_is_not_served() {
        let stored: HeaderMap = [
            (ETAG, HeaderValue::from_static("\"a\"")),
            (LAST_MODIFIED, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT")),
        ]
        .into_iter()
        .collect();
        let meant = |condition: &'static str| {
            let condition = Some(HeaderValue::from_static(condition));
            Wanted { range: HeaderValue::from_static("bytes=0-0"), condition }.is_still_meant(&stored)
        };
        assert!(meant("\"a\"") && meant("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert!(!meant("\"b\"") && !meant("W/\"a\"") && !meant("Sun, 06 Nov 1994 08:49:38 GMT"));
    }
}
