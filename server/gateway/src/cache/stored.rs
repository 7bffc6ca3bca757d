//! A stored response.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::{
    AGE, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, DATE, ETAG, Entry, HeaderName,
    HeaderValue, LAST_MODIFIED, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, StatusCode, Version, response};
use sluice_policies::cache::{CacheRule, OriginSays};

use super::directives::Directives;
use super::judge::MAX_STALE;
use super::key::ShortDigest;
use super::labels::{self, Labels};
use super::made_tag::MadeTag;
use super::purges::Stamp;
use super::rules::{Audience, Storable};
use super::vary::Selecting;
use crate::http1::fields;
use crate::pipeline::{RATE_FIELDS, REQUEST_ID, add_via};

/// For one connection or one proxy (RFC 9110 §7.6.1, RFC 9111 §3.1).
static NEVER_STORED: [HeaderName; 7] = [
    CONNECTION,
    TRANSFER_ENCODING,
    TRAILER,
    UPGRADE,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-authentication-info"),
];
/// How long a response is kept past its freshness because it can be validated.
const VALIDATED_FOR: Duration = Duration::from_secs(86_400);
static CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// A response that was stored whole.
#[derive(Debug)]
pub(crate) struct Stored {
    /// The whole key, compared on every use: its hash alone could meet another's.
    pub(super) key: Box<[u8]>,
    /// What callers and people are told of the key.
    pub(super) digest: ShortDigest,
    /// What purges can name of it.
    pub(super) labels: Labels,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) selecting: Selecting,
    /// When its fetch began.
    pub(super) stamp: Stamp,
    /// Nanoseconds of the gateway's clock when it had arrived.
    pub(super) arrived: u64,
    /// How old it was then.
    pub(super) initial_age: Duration,
    pub(super) storable: Storable,
    /// What it is known by where the upstream sends no validator.
    pub(super) made_tag: Option<MadeTag>,
    pub(super) hits: Hits,
    pub(super) written: Written,
}

/// How many calls were answered from a stored response, those while it was stale too.
#[derive(Debug, Default)]
pub(super) struct Hits(AtomicU64);

impl Hits {
    pub(super) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Of a response that is the same as this one, brought up to date.
    pub(super) fn carried_over(&self) -> Self {
        Self(AtomicU64::new(self.get()))
    }
}

/// The fields of a stored response as HTTP/1 writes them, but for those that are said anew in each answer. Made when the
/// response is first served.
#[derive(Debug, Default)]
pub(super) struct Written(OnceLock<Block>);

#[derive(Debug)]
struct Block {
    /// Which words of the policy's it has in place of the upstream's; zero: none.
    telling: u64,
    /// None when it depends on the call which fields it gets.
    bytes: Option<Bytes>,
}

impl Stored {
    /// A response to everybody's `GET`, fresh for a minute.
    #[cfg(test)]
    pub(super) fn for_tests(
        headers: HeaderMap,
        body: Bytes,
        stamp: Stamp,
        audience: super::rules::Audience,
    ) -> Self {
        let storable = Storable {
            audience,
            lifetime: Duration::from_secs(60),
            no_cache: false,
            must_revalidate: false,
            immutable: false,
            while_revalidate: Duration::ZERO,
            if_error: None,
        };
        Self {
            key: Box::default(),
            digest: ShortDigest::of(&[]),
            labels: Labels { path: "/".into(), url: 0, tags: [].into(), names: None },
            status: StatusCode::OK,
            headers,
            body,
            selecting: Selecting::default(),
            stamp,
            arrived: 0,
            initial_age: Duration::ZERO,
            storable,
            made_tag: None,
            hits: Hits::default(),
            written: Written::default(),
        }
    }

    /// How old it is (RFC 9111 §4.2.3).
    pub(super) fn age(&self, now: u64) -> Duration {
        self.initial_age + Duration::from_nanos(now.saturating_sub(self.arrived))
    }

    /// Whether any request can still be served from it, or be saved a body by validating it. What can only be validated is kept
    /// for a day.
    pub(super) fn is_of_use(&self, now: u64) -> bool {
        let Storable { lifetime, no_cache, must_revalidate, while_revalidate, if_error, .. } = self.storable;
        let stale = if no_cache || must_revalidate {
            Duration::ZERO
        } else {
            while_revalidate.max(if_error.unwrap_or(MAX_STALE))
        };
        let can_be_validated = self.headers.contains_key(ETAG) || self.headers.contains_key(LAST_MODIFIED);
        let validated = if can_be_validated { VALIDATED_FOR } else { Duration::ZERO };
        self.age(now) <= lifetime.saturating_add(stale.max(validated))
    }

    /// Bytes that it takes in memory, about.
    pub(super) fn weight(&self) -> usize {
        let headers: usize =
            self.headers.iter().map(|(name, value)| 100 + 2 * (name.as_str().len() + value.len())).sum();
        320 + self.labels.bytes() + self.key.len() + self.body.len() + headers + self.selecting.bytes()
    }

    /// Its fields with this gateway's `Via`, as HTTP/1 writes them. None when it depends on the call which of them it gets, or
    /// the policy's words have changed since they were written, or a soft purge has changed its lifetime that they name.
    pub(super) fn written(&self, rule: &CacheRule, lifetime: Duration) -> Option<&Bytes> {
        let block = self.written.0.get_or_init(|| self.write(rule));
        let same = match &rule.telling {
            None => block.telling == 0,
            Some(telling) => {
                telling.id == block.telling
                    && (lifetime == self.storable.lifetime || !telling.is_within_freshness())
            }
        };
        block.bytes.as_ref().filter(|_| same)
    }

    fn write(&self, rule: &CacheRule) -> Block {
        let said_anew = [&AGE, &CONTENT_LENGTH, &REQUEST_ID];
        let telling = rule.telling.as_ref().map_or(0, |telling| telling.id);
        let mut headers = self.headers.clone();
        if RATE_FIELDS.iter().any(|name| headers.contains_key(*name)) {
            return Block { telling, bytes: None };
        }
        self.say(&mut headers, rule, self.storable.lifetime);
        add_via(&mut headers, Version::HTTP_11);
        let mut bytes = BytesMut::new();
        fields::write(&headers, &mut bytes, |name| !said_anew.contains(&name));
        Block { telling, bytes: Some(bytes.freeze()) }
    }

    /// The head of an answer from it, with its age; it is fresh for so long.
    pub(super) fn head(&self, now: u64, rule: &CacheRule, lifetime: Duration) -> response::Parts {
        let (mut head, ()) = http::Response::new(()).into_parts();
        head.status = self.status;
        head.version = Version::HTTP_11;
        head.headers = self.headers.clone();
        head.headers.insert(AGE, HeaderValue::from(self.age(now).as_secs()));
        self.say(&mut head.headers, rule, lifetime);
        head
    }

    /// What callers are told that is not among the upstream's fields.
    fn say(&self, headers: &mut HeaderMap, rule: &CacheRule, lifetime: Duration) {
        if let Some(tag) = self.made_tag {
            tag.say(headers);
        }
        tell(headers, rule, &Storable { lifetime, ..self.storable });
    }
}

/// Says to caches downstream what the policy would have them know of a response that is stored so.
pub(super) fn tell(headers: &mut HeaderMap, rule: &CacheRule, storable: &Storable) {
    if let Some(telling) = &rule.telling {
        // What is validated before each use is never fresh.
        let lifetime = if storable.no_cache { Duration::ZERO } else { storable.lifetime };
        telling.write(headers, lifetime, storable.audience == Audience::Caller);
    }
}

/// The fields that are stored: none for one hop or one proxy, no trailers' names (they are not stored), cookies only where
/// the policy says so (RFC 9111 §3.1). A response that does not say when it was made was made when it arrived (RFC 9110
/// §6.6.1). They are in memory of their own: those that arrive are parts of the buffer that the response was read into, which
/// would stay as long as any of them.
pub(super) fn stored_headers(headers: &HeaderMap, rule: &CacheRule) -> HeaderMap {
    let mut kept = headers.clone();
    withhold(&mut kept, rule);
    for name in &NEVER_STORED {
        kept.remove(name);
    }
    if !rule.store_set_cookie {
        kept.remove(SET_COOKIE);
    }
    if !rule.pass_tags {
        labels::remove_tags(&mut kept);
    }
    if let Entry::Vacant(none) = kept.entry(DATE)
        && let Ok(now) = HeaderValue::from_str(&httpdate::fmt_http_date(SystemTime::now()))
    {
        none.insert(now);
    }
    let mut own = BytesMut::with_capacity(kept.values().map(HeaderValue::len).sum());
    for value in kept.values_mut() {
        own.extend_from_slice(value.as_bytes());
        if let Ok(copy) = HeaderValue::from_maybe_shared(own.split().freeze()) {
            *value = copy;
        }
    }
    kept
}

/// Takes out what the origin would not have others see of a response that they may have (§5.2.2.4, §5.2.2.7).
fn withhold(headers: &mut HeaderMap, rule: &CacheRule) {
    if rule.origin == OriginSays::Ignore {
        return;
    }
    for name in Directives::of_response(headers).withheld {
        headers.remove(name);
    }
}

/// A validated response has the fields of the 304, but those that belong to the body that is stored (RFC 9111 §3.2): how
/// long and how encoded it is, what it hashes to, and the tag that names it.
pub(super) fn updated_headers(stored: &HeaderMap, validation: &HeaderMap, rule: &CacheRule) -> HeaderMap {
    let mut updated = stored.clone();
    let about_body = [&CONTENT_LENGTH, &CONTENT_ENCODING, &CONTENT_RANGE, &CONTENT_MD5, &ETAG];
    let fields = stored_headers(validation, rule);
    let kept = |name: &HeaderName| about_body.contains(&name) && stored.contains_key(name);
    for name in fields.keys().filter(|name| !kept(name)) {
        updated.remove(name);
        for value in fields.get_all(name) {
            updated.append(name.clone(), value.clone());
        }
    }
    updated.remove(AGE);
    if let Some(age) = validation.get(AGE) {
        updated.insert(AGE, age.clone());
    }
    // What the stored response has named so still is, when the 304 does not say anything else.
    withhold(&mut updated, rule);
    updated
}

#[cfg(test)]
mod tests {
    use sluice_policies::cache::{Cache, Sharing};

    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs.map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_304_brings_fields_up_to_date_but_those_that_belong_to_the_stored_body() {
        let stored = map(&[
            ("etag", "\"a\""),
            ("content-length", "5"),
            ("content-type", "text/plain"),
            ("content-md5", "x"),
            ("age", "9"),
            ("x-kept", "1"),
        ]);
        let confirmed = map(&[
            ("etag", "\"b\""),
            ("content-length", "0"),
            ("content-type", "text/html"),
            ("content-md5", "y"),
            ("cache-control", "max-age=5"),
            ("set-cookie", "a=1"),
            ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ]);
        let expected = map(&[
            ("etag", "\"a\""),
            ("content-length", "5"),
            ("content-type", "text/html"),
            ("content-md5", "x"),
            ("x-kept", "1"),
            ("cache-control", "max-age=5"),
            ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ]);
        let rule = |store_set_cookie| {
            let settings = Cache { store_set_cookie, ..Default::default() };
            CacheRule::compile(settings).unwrap()
        };
        assert_eq!(updated_headers(&stored, &confirmed, &rule(false)), expected);
        assert_eq!(updated_headers(&stored, &map(&[("age", "3")]), &rule(false))["age"], "3");
        let untagged = map(&[("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")]);
        assert_eq!(updated_headers(&untagged, &map(&[("etag", "\"b\"")]), &rule(false))["etag"], "\"b\"");
        let with_cookies = updated_headers(&stored, &confirmed, &rule(true));
        assert_eq!(with_cookies["set-cookie"], "a=1");
    }

    #[test]
    fn a_response_is_kept_for_as_long_as_it_can_be_served_or_validated() {
        const DAY: u64 = 86_400;
        let usual = |field: Option<HeaderName>, change: &dyn Fn(&mut Storable)| {
            let headers = field.map(|name| (name, HeaderValue::from_static("1"))).into_iter().collect();
            let stamp = Stamp { position: 1, at: 1 };
            let mut stored =
                Stored::for_tests(headers, Bytes::new(), stamp, crate::cache::rules::Audience::Everyone);
            change(&mut stored.storable);
            stored
        };
        let strict = |storable: &mut Storable| storable.must_revalidate = true;
        let brief = |storable: &mut Storable| {
            storable.if_error = Some(Duration::from_secs(5));
            storable.while_revalidate = Duration::from_secs(9);
        };
        let lasting = |storable: &mut Storable| storable.while_revalidate = Duration::from_secs(2 * DAY);
        for (field, change, seconds) in [
            (None, &(|_: &mut Storable| ()) as &dyn Fn(&mut Storable), 60 + DAY),
            (None, &strict, 60),
            (None, &|storable: &mut Storable| storable.no_cache = true, 60),
            (Some(ETAG), &strict, 60 + DAY),
            (Some(LAST_MODIFIED), &strict, 60 + DAY),
            (None, &brief, 69),
            (Some(ETAG), &brief, 60 + DAY),
            (Some(ETAG), &lasting, 60 + 2 * DAY),
        ] {
            let stored = usual(field.clone(), change);
            assert!(stored.is_of_use(seconds * 1_000_000_000), "{field:?} {seconds}");
            assert!(!stored.is_of_use(seconds * 1_000_000_000 + 1), "{field:?} {seconds}");
        }
    }

    #[test]
    fn stored_fields_do_not_keep_the_buffer_that_they_arrived_in() {
        let buffer = Bytes::from(b"one two".repeat(1_000));
        let value = |part| HeaderValue::from_maybe_shared(buffer.slice(part)).unwrap();
        let names = ["x-one", "x-two"].map(HeaderName::from_static);
        let arrived: HeaderMap = names.iter().cloned().zip([value(0..3), value(4..7)]).collect();
        let rule = CacheRule::compile(Cache::default()).unwrap();
        let kept = stored_headers(&arrived, &rule);
        drop(arrived);
        assert!(buffer.is_unique());
        assert_eq!(names.map(|name| kept[name].clone()), ["one", "two"]);
    }

    #[test]
    fn fields_that_the_origin_withholds_are_neither_stored_nor_brought_back_by_a_304_unless_it_is_ignored() {
        let kept = |rule: &CacheRule| {
            let first = map(&[("cache-control", "private=\"x-own\""), ("x-own", "1"), ("x-kept", "1")]);
            let stored = stored_headers(&first, rule);
            let silent = updated_headers(&stored, &map(&[("x-own", "2")]), rule);
            let says_anew = map(&[("cache-control", "no-cache=x-kept"), ("x-own", "3"), ("x-kept", "3")]);
            let anew = updated_headers(&stored, &says_anew, rule);
            [stored, silent, anew].map(|headers| ["x-own", "x-kept"].map(|name| headers.contains_key(name)))
        };
        let obeys = CacheRule::compile(Cache::default()).unwrap();
        assert_eq!(kept(&obeys), [[false, true], [false, true], [true, false]]);
        let ignore =
            Cache { origin: OriginSays::Ignore, confirmed: vec![Sharing::Origin], ..Cache::default() };
        assert_eq!(kept(&CacheRule::compile(ignore).unwrap()), [[true; 2]; 3]);
    }

    #[test]
    fn what_is_for_one_hop_is_not_stored_and_what_has_no_date_gets_the_time_of_its_arrival() {
        let arrived: HeaderMap = NEVER_STORED
            .iter()
            .chain([&HeaderName::from_static("x-own")])
            .map(|name| (name.clone(), HeaderValue::from_static("1")))
            .collect();
        let rule = CacheRule::compile(Cache::default()).unwrap();
        let mut kept = stored_headers(&arrived, &rule);
        let made = httpdate::parse_http_date(kept.remove(DATE).unwrap().to_str().unwrap()).unwrap();
        assert!(SystemTime::now().duration_since(made).unwrap() < Duration::from_secs(5));
        assert_eq!(kept.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-own"]);
    }
}
