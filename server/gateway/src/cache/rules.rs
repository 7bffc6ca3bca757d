//! What may be stored, and for whom (RFC 9111 §3).

use std::time::Duration;

use http::header::{ETAG, LAST_MODIFIED, SET_COOKIE, VARY};
use http::{HeaderMap, Method, StatusCode};
use serde::{Deserialize, Serialize};
use sluice_policies::cache::{CacheRule, OriginSays};

use super::directives::Directives;
use super::freshness;

/// Who may be served a stored response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Audience {
    Everyone,
    /// Who brings neither a key nor `Authorization`, as the one who asked for it.
    Anonymous,
    /// Who asked for it, by the same credentials.
    Caller,
}

/// How a response is stored; in the second level too, for gateways of any version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Storable {
    pub(super) audience: Audience,
    pub(super) lifetime: Duration,
    /// Must be validated before each use.
    pub(super) no_cache: bool,
    /// Must not be used stale, whatever happens.
    pub(super) must_revalidate: bool,
    /// Does not change while it is fresh.
    pub(super) immutable: bool,
    /// How long past its lifetime it is served while a new one is fetched.
    pub(super) while_revalidate: Duration,
    /// How long past its lifetime it is served in place of an error; None: nobody said.
    pub(super) if_error: Option<Duration>,
}

/// A response, and the method that it answers.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) method: &'a Method,
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
}

/// Decides it; `identified` says whether the request carried anything that tells callers apart.
pub(super) fn storable(given: Given<'_>, identified: bool, rule: &CacheRule) -> Option<Storable> {
    let Given { method: _, status, headers } = given;
    // 206 is a part and 304 is about another response; neither stands for the resource.
    let whole = status.as_u16() >= 200 && !matches!(status.as_u16(), 206 | 304);
    if !whole || headers.get_all(VARY).iter().any(|value| value.as_bytes().contains(&b'*')) {
        return None;
    }
    let directives = Directives::of_response(headers);
    let lifetime = freshness::lifetime(given, &directives, rule);
    if rule.origin == OriginSays::Ignore {
        let audience = audience(identified, false, rule);
        return lifetime.map(|lifetime| Storable {
            audience,
            lifetime,
            no_cache: false,
            must_revalidate: false,
            immutable: false,
            while_revalidate: rule.while_revalidate.unwrap_or_default(),
            if_error: rule.if_error,
        });
    }
    // §5.2.2.3: who understands the status may store in spite of `no-store`, which is for those who do not.
    let understood = is_understood(status);
    let no_store = directives.no_store && !(directives.must_understand && understood);
    if no_store || directives.private || (directives.must_understand && !understood) {
        return None;
    }
    // §3.5: what the origin marks for everybody may be shared although the request had credentials.
    let open = directives.public || directives.s_maxage.is_some();
    let without_cookies = directives.withheld.contains(&SET_COOKIE);
    if headers.contains_key(SET_COOKIE) && !open && !rule.store_set_cookie && !without_cookies {
        return None;
    }
    let validators = headers.contains_key(ETAG) || headers.contains_key(LAST_MODIFIED);
    // Silence is no permission: without a lifetime only what the policy allows is stored, `public` or not. `no-cache` is
    // not silence: it asks for validation, for which the response has to be there.
    let lifetime = lifetime.or((directives.no_cache && validators).then_some(Duration::ZERO))?;
    if (lifetime.is_zero() || directives.no_cache) && !validators {
        return None;
    }
    Some(Storable {
        audience: audience(identified, open, rule),
        lifetime,
        no_cache: directives.no_cache,
        immutable: directives.immutable,
        must_revalidate: directives.must_revalidate || directives.s_maxage.is_some(),
        while_revalidate: seconds(directives.stale_while_revalidate)
            .or(rule.while_revalidate)
            .unwrap_or_default(),
        if_error: seconds(directives.stale_if_error).or(rule.if_error),
    })
}

fn seconds(said: Option<u64>) -> Option<Duration> {
    said.map(Duration::from_secs)
}

/// Statuses whose meaning for caching is known here (RFC 9110 §15).
fn is_understood(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200 | 203 | 204 | 300 | 301 | 302 | 303 | 307 | 308 | 404 | 405 | 410 | 414 | 501
    )
}

fn audience(identified: bool, open: bool, rule: &CacheRule) -> Audience {
    match identified {
        _ if open || rule.shared => Audience::Everyone,
        true => Audience::Caller,
        false => Audience::Anonymous,
    }
}

#[cfg(test)]
mod tests {
    use sluice_policies::cache::Cache;

    use super::*;

    fn of_status(status: u16, headers: &HeaderMap, identified: bool, rule: &CacheRule) -> Option<Storable> {
        let status = StatusCode::from_u16(status).unwrap();
        storable(Given { method: &Method::GET, status, headers }, identified, rule)
    }

    fn decide(pairs: &[(&'static str, &str)], identified: bool, settings: Cache) -> Option<Storable> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        of_status(200, &headers, identified, &CacheRule::compile(settings).unwrap())
    }

    fn audience_of(cache_control: &str, identified: bool, shared: bool) -> Option<Audience> {
        let settings = Cache { shared, ..Cache::default() };
        decide(&[("cache-control", cache_control)], identified, settings).map(|storable| storable.audience)
    }

    #[test]
    fn what_asks_for_validation_is_stored_where_it_can_be_validated() {
        let is_stored =
            |field| decide(&[("cache-control", "no-cache"), field], false, Cache::default()).is_some();
        assert!(is_stored(("etag", "\"a\"")));
        assert!(is_stored(("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")));
        assert!(!is_stored(("x-own", "1")));
    }

    #[test]
    fn callers_are_kept_apart_unless_somebody_says_otherwise() {
        use Audience::{Anonymous, Caller, Everyone};
        assert_eq!(audience_of("max-age=5", false, false), Some(Anonymous));
        assert_eq!(audience_of("max-age=5, public", false, false), Some(Everyone));
        assert_eq!(audience_of("max-age=5", true, false), Some(Caller));
        assert_eq!(audience_of("max-age=5, public", true, false), Some(Everyone));
        assert_eq!(audience_of("s-maxage=5", true, false), Some(Everyone));
        assert_eq!(audience_of("max-age=5", true, true), Some(Everyone));
    }

    #[test]
    fn what_must_not_be_stored_is_not() {
        let with_ttl = || Cache { ttl_s: Some(60), ..Cache::default() };
        for pairs in [
            &[("cache-control", "no-store, max-age=5")][..],
            &[("cache-control", "private, max-age=5")],
            &[("cache-control", "private=\"\", max-age=5")],
            &[("cache-control", "no-cache=\"x\", max-age=5"), ("set-cookie", "a=1")],
            &[("cache-control", "max-age=5"), ("vary", "accept, *")],
            &[("cache-control", "max-age=5"), ("set-cookie", "a=1")],
            &[("cache-control", "max-age=0")],
            &[("cache-control", "no-cache")],
        ] {
            assert_eq!(decide(pairs, false, with_ttl()), None, "{pairs:?}");
        }
        assert_eq!(decide(&[], false, Cache::default()), None, "silence is no permission");
        assert_eq!(decide(&[("cache-control", "public")], false, Cache::default()), None);
        assert!(decide(&[], false, with_ttl()).is_some());
        assert!(
            decide(&[("cache-control", "public, max-age=5"), ("set-cookie", "a=1")], false, with_ttl())
                .is_some()
        );
        let rule = CacheRule::compile(with_ttl()).unwrap();
        let mut fresh = HeaderMap::new();
        fresh.insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("max-age=5"));
        for (status, stored) in [(103, false), (200, true), (206, false), (299, true), (304, false)] {
            assert_eq!(of_status(status, &fresh, false, &rule).is_some(), stored, "{status}");
        }
    }

    #[test]
    fn a_response_with_cookies_is_stored_only_where_somebody_has_said_so() {
        let with_cookie = [("cache-control", "max-age=5"), ("set-cookie", "a=1")];
        assert_eq!(decide(&with_cookie, false, Cache::default()), None);
        let left_out = [("cache-control", "private=\"set-cookie\", max-age=5"), ("set-cookie", "a=1")];
        assert!(decide(&left_out, false, Cache::default()).is_some_and(|stored| !stored.no_cache));
        let settings = Cache { store_set_cookie: true, ..Cache::default() };
        assert!(decide(&with_cookie, false, settings).is_some());
    }

    #[test]
    fn what_can_be_validated_is_stored_although_it_is_never_fresh() {
        let stored = decide(
            &[("cache-control", "no-cache"), ("etag", "\"a\""), ("expires", "0")],
            false,
            Cache::default(),
        );
        assert!(stored.unwrap().no_cache);
        let silent = &[("cache-control", "no-cache"), ("etag", "\"a\"")];
        assert!(decide(silent, false, Cache::default()).unwrap().lifetime.is_zero());
        let stored = decide(&[("cache-control", "max-age=0"), ("etag", "\"a\"")], false, Cache::default());
        assert!(stored.unwrap().lifetime.is_zero());
    }

    #[test]
    fn a_validator_alone_is_no_permission_to_store() {
        assert_eq!(decide(&[("etag", "\"a\"")], false, Cache::default()), None);
    }

    #[test]
    fn what_the_origin_says_of_staleness_stands_above_the_policy() {
        let settings =
            || Cache { stale_while_revalidate_s: Some(7), stale_if_error_s: Some(8), ..Cache::default() };
        let of = |text| {
            let stored = decide(&[("cache-control", text)], false, settings()).unwrap();
            (
                stored.while_revalidate.as_secs(),
                stored.if_error.map(|most| most.as_secs()),
                stored.must_revalidate,
            )
        };
        assert_eq!(of("max-age=5"), (7, Some(8), false));
        assert_eq!(of("max-age=5, stale-while-revalidate=3, stale-if-error=4"), (3, Some(4), false));
        assert_eq!(of("s-maxage=5"), (7, Some(8), true));
    }

    #[test]
    fn must_understand_stands_above_no_store_where_the_status_is_known() {
        let headers = [("cache-control", "no-store, must-understand, max-age=5")]
            .into_iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let rule = CacheRule::compile(Cache::default()).unwrap();
        let decide = |status, headers: &HeaderMap| of_status(status, headers, false, &rule);
        assert!(decide(200, &headers).is_some());
        let mut without_no_store = HeaderMap::new();
        let value = http::HeaderValue::from_static("must-understand, max-age=5");
        without_no_store.insert(http::header::CACHE_CONTROL, value);
        assert!(decide(200, &without_no_store).is_some());
        assert_eq!(decide(599, &without_no_store), None, "not even when nothing else forbids it");
    }

    #[test]
    fn only_a_policy_that_ignores_the_origin_stores_what_it_forbids() {
        let settings = Cache { ttl_s: Some(60), origin: OriginSays::Override, ..Cache::default() };
        for forbids in ["no-store", "private"] {
            assert_eq!(decide(&[("cache-control", forbids)], true, settings.clone()), None);
        }
        let kept = decide(&[("cache-control", "must-revalidate, max-age=5")], true, settings).unwrap();
        assert_eq!((kept.must_revalidate, kept.lifetime.as_secs()), (true, 60));
        let settings = Cache { ttl_s: Some(60), origin: OriginSays::Ignore, ..Cache::default() };
        let stored = decide(&[("cache-control", "no-store"), ("set-cookie", "a=1")], true, settings).unwrap();
        assert_eq!((stored.audience, stored.lifetime.as_secs()), (Audience::Caller, 60));
    }
}
