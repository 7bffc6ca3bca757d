//! How old a response is and how long it stays fresh (RFC 9111 §4.2).

use std::time::{Duration, SystemTime};

use http::header::{AGE, DATE, EXPIRES, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, StatusCode};
use sluice_policies::cache::CacheRule;

use super::directives::Directives;

/// How long a response is fresh after it was made; None when nothing says so.
pub(super) fn lifetime(
    status: StatusCode,
    headers: &HeaderMap,
    directives: &Directives,
    rule: &CacheRule,
) -> Option<Duration> {
    let policy = rule.ttl(status);
    if rule.override_origin {
        return policy;
    }
    // §4.2.1: what is meant for shared caches, then for all, then the old way; the policy where the origin is silent.
    let stated = directives.s_maxage.or(directives.max_age).map(Duration::from_secs);
    let said = stated.or_else(|| expires(headers).filter(|_| !directives.targeted)).or(policy);
    said.or_else(|| heuristic(status, headers, directives).filter(|_| rule.heuristic))
}

/// The longest lifetime that is guessed.
const LONGEST_GUESS: Duration = Duration::from_secs(24 * 3_600);

/// A tenth of the time since the last change (§4.2.2), for statuses that allow a guess or a response marked `public`.
fn heuristic(status: StatusCode, headers: &HeaderMap, directives: &Directives) -> Option<Duration> {
    let allowed = matches!(status.as_u16(), 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501);
    if !allowed && !directives.public {
        return None;
    }
    let made = date(headers, &DATE).unwrap_or_else(SystemTime::now);
    let unchanged = made.duration_since(date(headers, &LAST_MODIFIED)?).ok()?;
    Some((unchanged / 10).min(LONGEST_GUESS))
}

/// `Expires` less `Date`; a value that is no date, or several, means expired already (§5.3).
fn expires(headers: &HeaderMap) -> Option<Duration> {
    let mut values = headers.get_all(EXPIRES).iter();
    let first = values.next()?;
    if values.next().is_some() {
        return Some(Duration::ZERO);
    }
    let at = first.to_str().ok().and_then(|text| httpdate::parse_http_date(text).ok());
    let made = date(headers, &DATE).unwrap_or_else(SystemTime::now);
    Some(at.and_then(|at| at.duration_since(made).ok()).unwrap_or_default())
}

/// The age of a response on arrival (§4.2.3), given how long the fetch took.
pub(super) fn initial_age(headers: &HeaderMap, now: SystemTime, took: Duration) -> Duration {
    let apparent = date(headers, &DATE).and_then(|made| now.duration_since(made).ok()).unwrap_or_default();
    apparent.max(stated_age(headers) + took)
}

/// What `Age` says. Of a list the first counts (§5.1). A value that is no number, or several lines (also when somebody has
/// joined them by a comma and a space), is the work of something broken on the way: such a response counts as old, where
/// the RFC would let the field be ignored.
fn stated_age(headers: &HeaderMap) -> Duration {
    const OLD: Duration = Duration::from_secs(1 << 31);
    let mut values = headers.get_all(AGE).iter();
    let Some(only) = values.next() else { return Duration::ZERO };
    let text = only.to_str().unwrap_or_default();
    if values.next().is_some() || text.contains(", ") {
        return OLD;
    }
    let first = text.split(',').next().unwrap_or_default().trim();
    if first.is_empty() || !first.bytes().all(|byte| byte.is_ascii_digit()) {
        return OLD;
    }
    first.parse().map_or(OLD, |seconds| Duration::from_secs(seconds).min(OLD))
}

/// A date field.
pub(super) fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use sluice_policies::cache::Cache;

    use super::*;

    fn headers(pairs: &[(&'static str, String)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn seconds(pairs: &[(&'static str, &str)], settings: Cache) -> Option<u64> {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let headers = headers(&pairs);
        let rule = CacheRule::compile(settings).unwrap();
        let directives = Directives::of_response(&headers);
        lifetime(StatusCode::OK, &headers, &directives, &rule).map(|lifetime| lifetime.as_secs())
    }

    const DATE_AT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const MINUTE_LATER: &str = "Sun, 06 Nov 1994 08:50:37 GMT";

    #[test]
    fn what_is_meant_for_shared_caches_comes_before_what_is_meant_for_all() {
        let plain = Cache::default;
        let with = |ttl| Cache { ttl_s: Some(ttl), ..Cache::default() };
        assert_eq!(seconds(&[("cache-control", "max-age=5, s-maxage=9")], plain()), Some(9));
        assert_eq!(seconds(&[("cache-control", "max-age=5"), ("expires", MINUTE_LATER)], plain()), Some(5));
        assert_eq!(seconds(&[("date", DATE_AT), ("expires", MINUTE_LATER)], plain()), Some(60));
        assert_eq!(seconds(&[("expires", "0")], with(7)), Some(0), "an invalid date has expired");
        assert_eq!(seconds(&[("expires", MINUTE_LATER), ("expires", MINUTE_LATER)], plain()), Some(0));
        assert_eq!(seconds(&[], plain()), None);
        assert_eq!(seconds(&[], with(7)), Some(7));
        assert_eq!(seconds(&[("cache-control", "max-age=5")], with(7)), Some(5));
        let over = Cache { override_origin: true, ..with(7) };
        assert_eq!(seconds(&[("cache-control", "max-age=5")], over), Some(7));
    }

    #[test]
    fn age_is_the_larger_of_what_is_said_and_what_the_clock_shows() {
        let now = SystemTime::now();
        let made = httpdate::fmt_http_date(now - Duration::from_secs(100));
        let took = Duration::from_secs(3);
        let old = headers(&[("date", made.clone()), ("age", "10".to_owned())]);
        assert!((100..=101).contains(&initial_age(&old, now, took).as_secs()));
        let older = headers(&[("date", made), ("age", "200".to_owned())]);
        assert_eq!(initial_age(&older, now, took).as_secs(), 203);
        assert_eq!(initial_age(&HeaderMap::new(), now, took), took);
    }
    #[test]
    fn a_lifetime_is_guessed_only_where_the_policy_asks_for_it_and_nobody_says_one() {
        let guessing = |ttl_s| Cache { heuristic: true, ttl_s, ..Cache::default() };
        let changed = [("date", MINUTE_LATER), ("last-modified", DATE_AT)];
        assert_eq!(seconds(&changed, Cache::default()), None);
        assert_eq!(seconds(&changed, guessing(None)), Some(6));
        assert_eq!(seconds(&changed, guessing(Some(7))), Some(7));
        assert_eq!(seconds(&[("date", MINUTE_LATER)], guessing(None)), None, "nothing to guess from");
        let long_ago = [("last-modified", DATE_AT)];
        assert_eq!(seconds(&long_ago, guessing(None)), Some(24 * 3_600));
    }

    #[test]
    fn an_age_that_something_broke_makes_a_response_old() {
        let age = |values: &[&str]| {
            let pairs: Vec<_> = values.iter().map(|value| ("age", (*value).to_owned())).collect();
            initial_age(&headers(&pairs), SystemTime::now(), Duration::ZERO).as_secs()
        };
        assert_eq!((age(&[]), age(&["0"]), age(&["7"]), age(&["7,9"])), (0, 0, 7, 7));
        for broken in [&["abc"][..], &["-1"], &["1.0"], &[""], &["1;a=b"], &["0, 0"], &["0", "0"]] {
            assert_eq!(age(broken), 1 << 31, "{broken:?}");
        }
        assert_eq!(age(&["99999999999999999999"]), 1 << 31);
    }
}
