//! Conditions: of clients, answered from what is stored; of the cache itself, put to the upstream (RFC 9110 §13).

use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_LOCATION, DATE, ETAG, EXPIRES, HeaderName, HeaderValue, IF_MATCH,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE, LAST_MODIFIED, VARY,
};
use http::{HeaderMap, StatusCode, response};

use super::freshness::{date, parse_date};

/// A client's conditions, taken out of its request: the cache asks for the whole response and answers them itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    none_match: Vec<HeaderValue>,
    modified_since: Option<HeaderValue>,
}

/// Whether a request is about a state that only the upstream knows: not for the cache.
pub(super) fn is_for_upstream(headers: &HeaderMap) -> bool {
    [IF_MATCH, IF_UNMODIFIED_SINCE].iter().any(|name| headers.contains_key(name))
}

impl Conditions {
    pub(super) fn take(headers: &mut HeaderMap) -> Self {
        let none_match = headers.get_all(IF_NONE_MATCH).iter().cloned().collect();
        headers.remove(IF_NONE_MATCH);
        Self { none_match, modified_since: headers.remove(IF_MODIFIED_SINCE) }
    }

    /// Whether the client has what this response says (RFC 9110 §13.2.2).
    pub(super) fn hold_for(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        if status != StatusCode::OK {
            return false;
        }
        if !self.none_match.is_empty() {
            let tag = headers.get(ETAG).map(|tag| opaque(tag.as_bytes()));
            let mut listed = self.none_match.iter().flat_map(|value| tags(value.as_bytes()));
            return listed.any(|listed| listed == b"*" || Some(opaque(listed)) == tag);
        }
        let since = self.modified_since.as_ref().and_then(|value| value.to_str().ok());
        let Some(since) = since.and_then(parse_date) else { return false };
        // RFC 9111 §4.3.2: a response that does not say when it changed had not changed after it was made.
        let modified = date(headers, &LAST_MODIFIED).or_else(|| date(headers, &DATE));
        modified.is_some_and(|modified| modified <= since)
    }
}

/// Puts the cache's own condition to the upstream. False when the stored response has nothing to compare.
pub(super) fn validate(stored: &HeaderMap, request: &mut HeaderMap) -> bool {
    let mut any = false;
    for (validator, condition) in [(ETAG, IF_NONE_MATCH), (LAST_MODIFIED, IF_MODIFIED_SINCE)] {
        if let Some(value) = stored.get(validator) {
            request.insert(condition, value.clone());
            any = true;
        }
    }
    any
}

/// Whether a 304 is about this stored response (RFC 9111 §4.3.4): not when its validators name only others.
pub(super) fn is_about(validation: &HeaderMap, stored: &HeaderMap) -> bool {
    if !validation.contains_key(ETAG) || !stored.contains_key(ETAG) {
        return says_nothing_else(validation, stored, &LAST_MODIFIED);
    }
    let tags = |headers: &HeaderMap| -> Vec<Vec<u8>> {
        headers.get_all(ETAG).iter().map(|tag| opaque(tag.as_bytes()).to_vec()).collect()
    };
    let kept = tags(stored);
    tags(validation).iter().any(|said| kept.contains(said))
}

/// Whether the answer to a HEAD describes this stored response (RFC 9111 §4.3.5).
pub(super) fn describes(head: &HeaderMap, stored: &HeaderMap, body_length: usize) -> bool {
    let length = head.get(CONTENT_LENGTH).map(|said| said.as_bytes() == body_length.to_string().as_bytes());
    [ETAG, LAST_MODIFIED].iter().all(|name| says_nothing_else(head, stored, name)) && length.unwrap_or(true)
}

/// A field that is the same in both, or not in one of them.
fn says_nothing_else(said: &HeaderMap, kept: &HeaderMap, name: &HeaderName) -> bool {
    said.get(name).zip(kept.get(name)).is_none_or(|(said, kept)| said == kept)
}

/// Makes a 304 of the head of a 200 (RFC 9110 §15.4.5).
pub(super) fn not_modified(head: &mut response::Parts) {
    static AGE: HeaderName = http::header::AGE;
    static CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
    head.status = StatusCode::NOT_MODIFIED;
    let kept = [
        &CACHE_CONTROL,
        &CONTENT_LOCATION,
        &DATE,
        &ETAG,
        &EXPIRES,
        &VARY,
        &LAST_MODIFIED,
        &AGE,
        &CACHE_STATUS,
    ];
    let gone: Vec<HeaderName> = head
        .headers
        .keys()
        .filter(|name| name.as_str().starts_with("content-") && !kept.contains(name))
        .cloned()
        .collect();
    for name in gone {
        head.headers.remove(name);
    }
}

/// Weak comparison (RFC 9110 §8.8.3.2) sees only what is between the quotes.
fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// The tags of a list; a comma inside a tag does not separate.
pub(super) fn tags(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = list;
    std::iter::from_fn(move || {
        rest = rest.trim_ascii_start();
        while let Some(after) = rest.strip_prefix(b",") {
            rest = after.trim_ascii_start();
        }
        if rest.is_empty() {
            return None;
        }
        let mut quoted = false;
        let end = rest.iter().position(|&byte| {
            quoted ^= byte == b'"';
            byte == b',' && !quoted
        });
        let (tag, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        Some(tag.trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for &(name, value) in pairs {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    fn holds(request: &[(&'static str, &'static str)], response: &[(&'static str, &'static str)]) -> bool {
        Conditions::take(&mut map(request)).hold_for(StatusCode::OK, &map(response))
    }

    #[test]
    fn tags_are_compared_weakly_and_come_before_dates() {
        let old = ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT");
        let modified = ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert!(holds(&[("if-none-match", "\"x\", W/\"a,b\"")], &[("etag", "\"a,b\"")]));
        assert!(holds(&[("if-none-match", "*")], &[]));
        assert!(!holds(&[("if-none-match", "\"x\""), old], &[("etag", "\"a\""), modified]));
        assert!(holds(&[old], &[modified]));
        assert!(!holds(&[old], &[("last-modified", "Sun, 06 Nov 1994 08:49:38 GMT")]));
        assert!(!holds(&[("if-modified-since", "yesterday")], &[modified]));
        assert!(!holds(&[], &[("etag", "\"a\"")]));
    }

    #[test]
    fn a_304_that_names_another_response_is_not_about_the_stored_one() {
        let (day, next) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Mon, 07 Nov 1994 08:49:37 GMT");
        for (validation, stored, expected) in [
            (&[("etag", "\"a\"")][..], &[("etag", "W/\"a\"")][..], true),
            (&[("etag", "\"b\"")], &[("etag", "\"a\"")], false),
            (&[("etag", "\"b\"")], &[("last-modified", day)], true),
            (&[("last-modified", next)], &[("last-modified", day)], false),
            (
                &[("last-modified", next), ("etag", "\"a\"")],
                &[("last-modified", day), ("etag", "\"a\"")],
                true,
            ),
            (&[], &[("etag", "\"a\"")], true),
            (&[("etag", "\"c\""), ("etag", "\"b\"")], &[("etag", "\"a\""), ("etag", "\"b\"")], true),
        ] {
            assert_eq!(is_about(&map(validation), &map(stored)), expected, "{validation:?} {stored:?}");
        }
    }

    #[test]
    fn the_answer_to_a_head_describes_what_has_its_validators_and_length() {
        let stored = map(&[("etag", "\"a\""), ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")]);
        for (head, expected) in [
            (&[][..], true),
            (&[("etag", "\"a\""), ("content-length", "5")], true),
            (&[("etag", "\"b\"")], false),
            (&[("last-modified", "Mon, 07 Nov 1994 08:49:37 GMT")], false),
            (&[("content-length", "6")], false),
        ] {
            assert_eq!(describes(&map(head), &stored, 5), expected, "{head:?}");
        }
    }

    #[test]
    fn only_conditions_on_a_state_that_the_upstream_alone_knows_are_for_it() {
        let is = |name| is_for_upstream(&map(&[(name, "\"a\"")]));
        assert!(is("if-match") && is("if-unmodified-since"));
        assert!(!is("if-none-match") && !is("if-modified-since") && !is("if-range"));
    }

    #[test]
    fn validators_become_conditions_in_place_of_those_that_are_there() {
        let day = "Sun, 06 Nov 1994 08:49:37 GMT";
        let mut request = map(&[("if-none-match", "\"other\"")]);
        assert!(validate(&map(&[("etag", "\"a\""), ("last-modified", day)]), &mut request));
        assert_eq!(request, map(&[("if-none-match", "\"a\""), ("if-modified-since", day)]));
        let mut request = HeaderMap::new();
        assert!(!validate(&map(&[("x-own", "1")]), &mut request) && request.is_empty());
    }

    #[test]
    fn a_304_has_the_fields_of_the_200_but_those_of_its_body() {
        let (mut head, ()) = http::Response::new(()).into_parts();
        let kept =
            [("etag", "\"a\""), ("content-location", "/x"), ("cache-control", "max-age=5"), ("x-own", "1")];
        head.headers = map(&kept);
        head.headers.extend(map(&[("content-length", "5"), ("content-type", "text/plain")]));
        not_modified(&mut head);
        assert_eq!((head.status, head.headers), (StatusCode::NOT_MODIFIED, map(&kept)));
    }

    #[test]
    fn only_a_200_can_be_not_modified() {
        let conditions = Conditions::take(&mut map(&[("if-none-match", "*")]));
        assert!(!conditions.hold_for(StatusCode::NOT_FOUND, &HeaderMap::new()));
    }
}
