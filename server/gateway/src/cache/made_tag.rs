//! ETags for responses whose upstream sends no validator, where the policy asks for them. They are between the gateway and
//! its callers: never stored among the fields of a response, so that no question to the upstream has them.

use http::header::{CONTENT_ENCODING, ETAG, HeaderValue, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE};
use http::{HeaderMap, StatusCode};
use sha2::{Digest as _, Sha256};

use super::conditional::tags;

/// By which a tag is known to be made here.
const BEGINNING: &[u8] = b"\"sluice-";

/// A strong tag (RFC 9110 §8.8.3): of the bytes of a response and how they are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MadeTag(u128);

/// A tag that is being made while the body arrives.
pub(super) struct Making(Sha256);

impl Making {
    /// None: the response has a validator, or is none that a condition can be about (§13.2.1).
    pub(super) fn begin(status: StatusCode, headers: &HeaderMap) -> Option<Self> {
        if status != StatusCode::OK || has_validator(headers) {
            return None;
        }
        let mut hash = Sha256::new();
        for coding in headers.get_all(CONTENT_ENCODING) {
            hash.update(coding.as_bytes().to_ascii_lowercase());
            hash.update(b",");
        }
        // No coding is written so.
        hash.update(b"\n");
        Some(Self(hash))
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The tag of a body that is here whole.
    pub(super) fn of(mut self, body: &[u8]) -> MadeTag {
        self.add(body);
        self.finish()
    }

    pub(super) fn finish(self) -> MadeTag {
        let digest = self.0.finalize();
        MadeTag(digest.iter().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte)))
    }
}

impl MadeTag {
    /// Says it, unless the upstream has come to send a validator of its own.
    pub(super) fn say(self, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::try_from(format!("\"sluice-{:032x}\"", self.0))
            && !has_validator(headers)
        {
            headers.insert(ETAG, value);
        }
    }
}

fn has_validator(headers: &HeaderMap) -> bool {
    headers.contains_key(ETAG) || headers.contains_key(LAST_MODIFIED)
}

fn is_made(tag: &[u8]) -> bool {
    tag.strip_prefix(b"W/").unwrap_or(tag).starts_with(BEGINNING)
}

/// Takes a range out that is wanted of a version which only the gateway knows: the upstream could send a part of another. True when
/// there was one.
pub(super) fn take_out_range(headers: &mut HeaderMap) -> bool {
    let made = headers.get(IF_RANGE).is_some_and(|tag| is_made(tag.as_bytes()));
    if made {
        headers.remove(IF_RANGE);
        headers.remove(RANGE);
    }
    made
}

/// Takes the tags out of `If-None-Match` that mean nothing to the upstream. `If-Match` stays: without it a change would be made that
/// was not asked for.
pub(super) fn take_out_conditions(headers: &mut HeaderMap) {
    let listed: Vec<Vec<u8>> = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .flat_map(|line| tags(line.as_bytes()))
        .map(<[u8]>::to_vec)
        .collect();
    if !listed.iter().any(|tag| is_made(tag)) {
        return;
    }
    headers.remove(IF_NONE_MATCH);
    let others: Vec<&[u8]> = listed.iter().map(Vec::as_slice).filter(|tag| !is_made(tag)).collect();
    if let Ok(value) = HeaderValue::from_bytes(&others.join(&b", "[..]))
        && !others.is_empty()
    {
        headers.insert(IF_NONE_MATCH, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|&(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    fn tag(headers: &[(&'static str, &'static str)], body: &[u8]) -> Option<MadeTag> {
        Some(Making::begin(StatusCode::OK, &map(headers))?.of(body))
    }

    #[test]
    fn a_tag_is_of_the_bytes_and_their_coding() {
        let plain = tag(&[], b"a").unwrap();
        assert_eq!(tag(&[("content-type", "text/plain")], b"a"), Some(plain));
        assert_ne!(tag(&[], b"b"), Some(plain));
        assert_ne!(tag(&[("content-encoding", "gzip")], b"a"), Some(plain));
        assert_eq!(tag(&[("content-encoding", "GZIP")], b"a"), tag(&[("content-encoding", "gzip")], b"a"));
        assert_ne!(tag(&[("content-encoding", "br")], b"a"), tag(&[("content-encoding", "gzip")], b"a"));
        let of_lines = |codings: &[&'static str]| {
            let mut headers = HeaderMap::new();
            codings.iter().for_each(|it| _ = headers.append(CONTENT_ENCODING, HeaderValue::from_static(it)));
            Making::begin(StatusCode::OK, &headers).unwrap().of(b"a")
        };
        assert_ne!(of_lines(&["a", "b"]), of_lines(&["ab"]));
        let mut pieces = Making::begin(StatusCode::OK, &HeaderMap::new()).unwrap();
        pieces.add(b"");
        b"abc".chunks(1).for_each(|piece| pieces.add(piece));
        assert_eq!(Some(pieces.finish()), tag(&[], b"abc"), "however the bytes arrive");
    }

    #[test]
    fn what_has_a_validator_or_is_no_200_gets_none() {
        assert_eq!(tag(&[("etag", "W/\"a\"")], b"a"), None);
        assert_eq!(tag(&[("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")], b"a"), None);
        assert!(Making::begin(StatusCode::NOT_FOUND, &HeaderMap::new()).is_none());
        let mut later = map(&[("etag", "\"own\"")]);
        MadeTag(1).say(&mut later);
        assert_eq!(later["etag"], "\"own\"", "the upstream's own stands above it");
    }

    #[test]
    fn made_tags_do_not_go_to_the_upstream_and_others_do() {
        let cleaned = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = map(pairs);
            take_out_conditions(&mut headers);
            take_out_range(&mut headers);
            headers
        };
        let none: &[(&'static str, &'static str)] = &[];
        assert_eq!(cleaned(&[("if-none-match", "\"sluice-1\", W/\"sluice-2\"")]), map(none));
        let mixed = cleaned(&[("if-none-match", "\"sluice-1\", \"own\"")]);
        assert_eq!(mixed, map(&[("if-none-match", "\"own\"")]));
        assert_eq!(cleaned(&[("range", "bytes=0-1"), ("if-range", "\"sluice-1\"")]), map(none));
        for kept in [
            &[("if-none-match", "\"a,b\",W/\"c\"")][..],
            &[("if-none-match", "*")],
            &[("if-match", "\"sluice-1\"")],
            &[("range", "bytes=0-1"), ("if-range", "\"own\"")],
            &[("range", "bytes=0-1")],
        ] {
            assert_eq!(cleaned(kept), map(kept));
        }
    }
    #[test]
    fn a_tag_is_said_by_half_of_the_digest() {
        let mut headers = HeaderMap::new();
        tag(&[], b"a").unwrap().say(&mut headers);
        let digest = Sha256::digest(b"\na");
        let hex: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(headers["etag"], format!("\"sluice-{hex}\""));
        assert!(is_made(headers["etag"].as_bytes()));
    }
}
