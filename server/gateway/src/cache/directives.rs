//! `Cache-Control` of requests and responses (RFC 9111 §5.2).

use http::HeaderMap;
use http::header::{
    AGE, CACHE_CONTROL, DATE, ETAG, EXPIRES, HeaderName, LAST_MODIFIED, PRAGMA, TRANSFER_ENCODING, VARY,
};

use super::targeted;

/// What a message says about caching. Directives that are not known are ignored; a delta that is not a number counts as
/// stale (§4.2.1), one that is too large as the largest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Directives {
    pub(super) no_store: bool,
    /// Of the whole response, as is the next; see `withheld`.
    pub(super) no_cache: bool,
    pub(super) private: bool,
    /// Fields that `no-cache="..."` and `private="..."` of a response name: the rest of it may be stored and served without them
    /// (§5.2.2.4, §5.2.2.7).
    pub(super) withheld: Vec<HeaderName>,
    pub(super) public: bool,
    /// `must-revalidate` or `proxy-revalidate`.
    pub(super) must_revalidate: bool,
    pub(super) must_understand: bool,
    /// RFC 8246.
    pub(super) immutable: bool,
    pub(super) only_if_cached: bool,
    pub(super) max_age: Option<u64>,
    pub(super) s_maxage: Option<u64>,
    pub(super) min_fresh: Option<u64>,
    /// Some(None): any staleness.
    pub(super) max_stale: Option<Option<u64>>,
    /// Seconds (RFC 5861 §3).
    pub(super) stale_while_revalidate: Option<u64>,
    /// Seconds (RFC 5861 §4).
    pub(super) stale_if_error: Option<u64>,
    /// Said in a field for caches like this one, so that `Expires` does not count (RFC 9213 §2.2).
    pub(super) targeted: bool,
}

/// The largest delta that counts (§1.2.2).
const MAX_DELTA: u64 = 1 << 31;

impl Directives {
    pub(super) fn of_response(headers: &HeaderMap) -> Self {
        targeted::directives(headers).unwrap_or_else(|| Self::of_cache_control(headers))
    }

    fn of_cache_control(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        for value in headers.get_all(CACHE_CONTROL) {
            // A quoted string may have bytes beyond ASCII (RFC 9110 §5.6.4): they make the other directives no less binding.
            split(&String::from_utf8_lossy(value.as_bytes()))
                .for_each(|(name, value)| found.set(name, value));
        }
        found
    }

    /// Without `Cache-Control`, `Pragma: no-cache` counts (§5.4).
    pub(super) fn of_request(headers: &HeaderMap) -> Self {
        let mut found = Self::of_cache_control(headers);
        if !headers.contains_key(CACHE_CONTROL) {
            let pragma = headers.get_all(PRAGMA).iter().filter_map(|value| value.to_str().ok());
            found.no_cache = pragma.flat_map(split).any(|(name, _)| name.eq_ignore_ascii_case("no-cache"));
        }
        // A request's is about all of what it asks for.
        found.no_cache |= !std::mem::take(&mut found.withheld).is_empty();
        found
    }

    pub(super) fn set(&mut self, name: &str, value: Option<&str>) {
        match name.to_ascii_lowercase().as_str() {
            "no-store" => self.no_store = true,
            "no-cache" => self.no_cache |= !self.withhold(value),
            "private" => self.private |= !self.withhold(value),
            "public" => self.public = true,
            "must-revalidate" | "proxy-revalidate" => self.must_revalidate = true,
            "must-understand" => self.must_understand = true,
            "immutable" => self.immutable = true,
            "only-if-cached" => self.only_if_cached = true,
            "max-age" => keep_least(&mut self.max_age, delta(value)),
            "s-maxage" => keep_least(&mut self.s_maxage, delta(value)),
            "min-fresh" => self.min_fresh = Some(self.min_fresh.unwrap_or(0).max(delta(value))),
            "max-stale" => {
                let allowed = value.map(|value| delta(Some(value)));
                let before = self.max_stale.flatten();
                self.max_stale = Some(before.into_iter().chain(allowed).min());
            }
            "stale-while-revalidate" => keep_least(&mut self.stale_while_revalidate, delta(value)),
            "stale-if-error" => keep_least(&mut self.stale_if_error, delta(value)),
            _ => {}
        }
    }

    /// False: it names no fields, or one without which the rest means something else, so that it is about the whole response.
    fn withhold(&mut self, value: Option<&str>) -> bool {
        let value = value.unwrap_or_default();
        let list = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
        let names = list.split(',').map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok());
        let Some(names) = names.collect::<Option<Vec<_>>>() else { return false };
        if names.iter().any(is_needed) {
            return false;
        }
        self.withheld.extend(names);
        true
    }
}

/// Whether a stored response cannot do without a field: it says what its body is, or how it may be used.
fn is_needed(name: &HeaderName) -> bool {
    let usage = [AGE, CACHE_CONTROL, DATE, ETAG, EXPIRES, LAST_MODIFIED, TRANSFER_ENCODING, VARY];
    usage.contains(name) || name.as_str().starts_with("content-") || name.as_str().ends_with("-cache-control")
}

/// Of several values the least: the one that serves the least stale.
fn keep_least(kept: &mut Option<u64>, value: u64) {
    *kept = Some(kept.map_or(value, |kept| kept.min(value)));
}

fn delta(value: Option<&str>) -> u64 {
    let digits = value.map(|text| text.trim().trim_matches('"')).unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    digits.parse().unwrap_or(MAX_DELTA).min(MAX_DELTA)
}

/// Directives of a list; commas in quoted strings do not separate, nor end these at a quote behind a backslash (RFC 9110 §5.6.4).
fn split(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (mut quoted, mut escaped) = (false, false);
        let end = rest.bytes().position(|byte| {
            quoted ^= byte == b'"' && !escaped;
            escaped = quoted && byte == b'\\' && !escaped;
            byte == b',' && !quoted
        });
        let (item, after) = end.map_or((rest, ""), |end| (&rest[..end], &rest[end + 1..]));
        rest = after;
        Some(match item.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (item.trim(), None),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &'static str) -> Directives {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, text.parse().unwrap());
        Directives::of_response(&headers)
    }

    #[test]
    fn a_backslash_behind_another_does_not_keep_a_quote_open() {
        assert!(of(r#"a="\\", no-store"#).no_store);
        assert!(!of(r#"a="\", no-store"#).no_store);
    }

    #[test]
    fn numbers_that_are_too_large_are_the_largest() {
        for text in ["max-age=2147483649", "max-age=99999999999999999999999"] {
            assert_eq!(of(text).max_age, Some(MAX_DELTA));
        }
    }

    #[test]
    fn directives_are_read_whatever_their_case_spacing_and_quotes() {
        let found = of(" Max-Age=60 ,S-MAXAGE=\"30\", private=\"set-cookie, x\",, unknown=a,no-cache=\"a\"");
        assert_eq!((found.max_age, found.s_maxage), (Some(60), Some(30)));
        assert!(!found.private && !found.no_cache && !found.no_store);
        assert_eq!(found.withheld, ["set-cookie", "x", "a"]);
        assert!(of("x=\"\\\"\", no-store").no_store, "a quote in quotes does not end them");
        assert!(!of("x=\"a, no-store, b\", max-age=5").no_store, "a comma in quotes separates nothing");
    }

    #[test]
    fn fields_are_named_in_quotes_or_without_and_what_names_none_is_about_the_whole_response() {
        for text in ["no-cache=\"X-Own\"", "private=x-own", "no-cache=\" x-own\""] {
            let found = of(text);
            assert_eq!((found.no_cache, found.private), (false, false), "{text}");
            assert_eq!(found.withheld, ["x-own"], "{text}");
        }
        let needed =
            ["Vary", "content-type", "ETag", "Age", "date", "expires", "last-modified", "cache-control"];
        for list in ["", " ", "x y", "x,,y", "x,", "\u{e9}", "transfer-encoding", "cdn-cache-control"]
            .iter()
            .chain(&needed)
        {
            let found = |name| {
                Directives::of_cache_control(
                    &[(CACHE_CONTROL, format!("{name}=\"{list}\""))]
                        .map(|(name, value)| (name, value.parse().unwrap()))
                        .into_iter()
                        .collect(),
                )
            };
            assert!(found("no-cache").no_cache && found("no-cache").withheld.is_empty(), "{list}");
            assert!(found("private").private && found("private").withheld.is_empty(), "{list}");
        }
        assert!(of("no-cache=\"x\", no-cache").no_cache && of("private, private=\"x\"").private);
        let asked = HeaderMap::from_iter([(CACHE_CONTROL, "no-cache=\"x\"".parse().unwrap())]);
        let asked = Directives::of_request(&asked);
        assert!(asked.no_cache && asked.withheld.is_empty(), "a request names none");
    }

    #[test]
    fn a_byte_beyond_ascii_takes_no_directive_along() {
        for line in [&b"no-store, x=\"caf\xc3\xa9\""[..], b"x=\"caf\xe9\", no-store"] {
            let headers = HeaderMap::from_iter([(CACHE_CONTROL, line.try_into().unwrap())]);
            assert!(Directives::of_response(&headers).no_store, "{headers:?}");
        }
    }

    #[test]
    fn values_that_are_no_numbers_count_as_stale_and_too_large_ones_as_the_largest() {
        for (text, expected) in [
            ("max-age", 0),
            ("max-age=", 0),
            ("max-age=-1", 0),
            ("max-age=1.5", 0),
            ("max-age=a", 0),
            ("max-age=99999999999999999999", MAX_DELTA),
            ("max-age=10, max-age=5", 5),
        ] {
            assert_eq!(of(text).max_age, Some(expected), "{text}");
        }
    }

    #[test]
    fn each_directive_says_one_thing() {
        let request = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, text.parse().unwrap());
            Directives::of_request(&headers)
        };
        let none = Directives::default;
        assert_eq!(request("only-if-cached"), Directives { only_if_cached: true, ..none() });
        assert_eq!(of("immutable"), Directives { immutable: true, ..none() });
        assert_eq!(of("must-revalidate"), Directives { must_revalidate: true, ..none() });
        assert_eq!(of("stale-if-error=9"), Directives { stale_if_error: Some(9), ..none() });
        assert_eq!(request("max-stale"), Directives { max_stale: Some(None), ..none() });
        assert_eq!(of("max-agent=9, only"), none());
    }

    #[test]
    fn pragma_counts_only_without_cache_control() {
        let mut headers = HeaderMap::new();
        headers.insert(PRAGMA, "no-cache".parse().unwrap());
        assert!(Directives::of_request(&headers).no_cache);
        headers.insert(CACHE_CONTROL, "max-age=5".parse().unwrap());
        assert!(!Directives::of_request(&headers).no_cache);
    }
}
