//! How old a response is and how long it stays fresh (RFC 9111 §4.2).

use std::time::{Duration, SystemTime};

use http::header::{AGE, CONTENT_TYPE, DATE, EXPIRES, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, StatusCode};
use sluice_policies::cache::{CacheRule, OriginSays};

use super::directives::Directives;
use super::rules::Given;

/// How long a response is fresh after it was made; None when nothing says so.
pub(super) fn lifetime(given: Given<'_>, directives: &Directives, rule: &CacheRule) -> Option<Duration> {
    let Given { method, status, headers } = given;
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let policy = rule.ttl(method, status, content_type);
    let stated = || stated(headers, directives);
    let said = match rule.origin {
        OriginSays::Ignore => return policy.map(|lifetime| rule.bounded(lifetime)),
        OriginSays::Override => policy.or_else(stated),
        OriginSays::Honour => stated().or(policy),
    };
    let guessed = || heuristic(status, headers, directives).filter(|_| rule.heuristic);
    said.or_else(guessed).map(|lifetime| rule.bounded(lifetime))
}

/// What the upstream says (§4.2.1): what is meant for shared caches, then for all, then the old way.
pub(super) fn stated(headers: &HeaderMap, directives: &Directives) -> Option<Duration> {
    let said = directives.s_maxage.or(directives.max_age).map(Duration::from_secs);
    said.or_else(|| expires(headers).filter(|_| !directives.targeted))
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
    let at = first.to_str().ok().and_then(parse_date);
    let made = date(headers, &DATE).unwrap_or_else(SystemTime::now);
    Some(at.and_then(|at| at.duration_since(made).ok()).unwrap_or_default())
}

/// The age of a response on arrival (§4.2.3), given how long the fetch took.
pub(super) fn initial_age(
    headers: &HeaderMap,
    rule: &CacheRule,
    now: SystemTime,
    took: Duration,
) -> Duration {
    let apparent = date(headers, &DATE).and_then(|made| now.duration_since(made).ok()).unwrap_or_default();
    apparent.max(stated_age(headers, rule) + took)
}

/// What `Age` says. Of a list the first counts, and what is no number is ignored (§5.1), unless the policy distrusts such a
/// response, and one with several lines, also when somebody has joined them by a comma and a space.
fn stated_age(headers: &HeaderMap, rule: &CacheRule) -> Duration {
    const OLD: Duration = Duration::from_secs(1 << 31);
    let mut lines = headers.get_all(AGE).iter();
    let Some(line) = lines.next() else { return Duration::ZERO };
    let text = line.to_str().unwrap_or_default();
    let first = text.split(',').next().unwrap_or_default().trim();
    let readable = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
    let repeated = lines.next().is_some() || text.contains(", ");
    if rule.unreadable_age_is_old && (repeated || !readable) {
        return OLD;
    }
    if !readable {
        return Duration::ZERO;
    }
    first.parse().map_or(OLD, |seconds| Duration::from_secs(seconds).min(OLD))
}

/// A date field.
pub(super) fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    parse_date(headers.get(name)?.to_str().ok()?)
}

/// A date in any of the three formats, whatever its case (§4.2) and whichever day of the week it names (RFC 9110 §5.6.7
/// asks for robust reading). Another zone than GMT is none.
pub(super) fn parse_date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok().or_else(|| {
        let usual = in_usual_case(text);
        httpdate::parse_http_date(&usual).ok().or_else(|| on_its_own_day(&usual))
    })
}

/// A date that names another day of the week than its own.
fn on_its_own_day(text: &str) -> Option<SystemTime> {
    const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    let (named, rest) = text.split_at(text.find([',', ' '])?);
    let days = DAYS.map(|day| if named.len() == 3 { &day[..3] } else { day });
    let tried = days.iter().filter(|_| days.contains(&named));
    tried.map(|day| format!("{day}{rest}")).find_map(|text| httpdate::parse_http_date(&text).ok())
}

/// `sun, 06 NOV 1994 08:49:37 gmt` as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn in_usual_case(text: &str) -> String {
    let mut inside = false;
    let mut usual: String = text
        .chars()
        .map(|letter| {
            let begins = letter.is_ascii_alphabetic() && !inside;
            inside = letter.is_ascii_alphabetic();
            if begins { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
        })
        .collect();
    if usual.ends_with("Gmt") {
        usual.truncate(usual.len() - 3);
        usual.push_str("GMT");
    }
    usual
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
        let given = Given { method: &http::Method::GET, status: StatusCode::OK, headers: &headers };
        lifetime(given, &directives, &rule).map(|lifetime| lifetime.as_secs())
    }

    const DATE_AT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const MINUTE_LATER: &str = "Sun, 06 Nov 1994 08:50:37 GMT";

    #[test]
    fn several_dates_of_expiry_are_none_and_a_targeted_field_leaves_none_to_the_old_way() {
        let minute = ("expires", MINUTE_LATER);
        let date = ("date", DATE_AT);
        let said = |pairs: &[(&'static str, &str)]| seconds(pairs, Cache::default());
        assert_eq!(said(&[date, minute]), Some(60));
        assert_eq!(said(&[date, minute, minute]), Some(0));
        assert_eq!(said(&[date, minute, ("cdn-cache-control", "must-revalidate")]), None);
    }

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
        for origin in [OriginSays::Override, OriginSays::Ignore] {
            let over = Cache { origin, ..with(7) };
            assert_eq!(seconds(&[("cache-control", "max-age=5")], over), Some(7));
        }
        let other = |origin| Cache { origin, statuses: vec![404], ..with(7) };
        assert_eq!(seconds(&[("cache-control", "max-age=5")], other(OriginSays::Override)), Some(5));
        assert_eq!(seconds(&[("cache-control", "max-age=5")], other(OriginSays::Ignore)), None);
    }

    #[test]
    fn whoever_says_a_lifetime_it_is_within_the_policy_s_bounds() {
        let bounds = |origin| Cache {
            origin,
            ttl_s: Some(7),
            heuristic: true,
            min_ttl_s: Some(10),
            max_ttl_s: Some(20),
            ..Cache::default()
        };
        for origin in [OriginSays::Honour, OriginSays::Override, OriginSays::Ignore] {
            assert_eq!(seconds(&[("cache-control", "max-age=5")], bounds(origin)), Some(10), "{origin:?}");
        }
        assert_eq!(seconds(&[("cache-control", "max-age=50")], bounds(OriginSays::Honour)), Some(20));
        let guessing = Cache { ttl_s: None, ..bounds(OriginSays::Honour) };
        assert_eq!(seconds(&[("last-modified", DATE_AT)], guessing), Some(20));
    }

    #[test]
    fn a_date_is_read_whatever_its_format_and_case_and_only_of_gmt() {
        let dates = [DATE_AT, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"];
        for date in dates {
            for text in [date.to_owned(), date.to_lowercase(), date.to_uppercase()] {
                assert_eq!(parse_date(&text), httpdate::parse_http_date(DATE_AT).ok(), "{text}");
            }
        }
        for other_day in
            ["Mon, 06 Nov 1994 08:49:37 GMT", "fri nov  6 08:49:37 1994", "Saturday, 06-Nov-94 08:49:37 GMT"]
        {
            assert_eq!(parse_date(other_day), parse_date(DATE_AT), "{other_day}");
        }
        for text in [
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1994 08:49:37 ",
            "Day, 06 Nov 1994 08:49:37 GMT",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "06 Nov 1994",
            "",
            "0",
        ] {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }

    #[test]
    fn age_is_the_larger_of_what_is_said_and_what_the_clock_shows() {
        let now = SystemTime::now();
        let made = httpdate::fmt_http_date(now - Duration::from_secs(100));
        let took = Duration::from_secs(3);
        let rule = CacheRule::compile(Cache::default()).unwrap();
        let old = headers(&[("date", made.clone()), ("age", "10".to_owned())]);
        assert!((100..=101).contains(&initial_age(&old, &rule, now, took).as_secs()));
        let older = headers(&[("date", made), ("age", "200".to_owned())]);
        assert_eq!(initial_age(&older, &rule, now, took).as_secs(), 203);
        assert_eq!(initial_age(&HeaderMap::new(), &rule, now, took), took);
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
    fn only_some_statuses_allow_a_guess_unless_the_response_is_public() {
        let guess = |status, cache_control| {
            let fields =
                [("date", MINUTE_LATER), ("last-modified", DATE_AT), ("cache-control", cache_control)];
            let headers = headers(&fields.map(|(name, value)| (name, value.to_owned())));
            let status = StatusCode::from_u16(status).unwrap();
            heuristic(status, &headers, &Directives::of_response(&headers)).map(|guess| guess.as_secs())
        };
        assert_eq!((guess(404, "x"), guess(403, "x"), guess(403, "public")), (Some(6), None, Some(6)));
    }

    fn age(values: &[&str], unreadable_age_is_old: bool) -> u64 {
        let rule = CacheRule::compile(Cache { unreadable_age_is_old, ..Cache::default() }).unwrap();
        let pairs: Vec<_> = values.iter().map(|value| ("age", (*value).to_owned())).collect();
        initial_age(&headers(&pairs), &rule, SystemTime::now(), Duration::ZERO).as_secs()
    }

    #[test]
    fn the_first_age_counts_and_one_that_is_no_number_is_ignored() {
        for (values, expected) in [
            (&[][..], 0),
            (&["7"], 7),
            (&["7,9"], 7),
            (&["7, 9"], 7),
            (&["7", "9"], 7),
            (&["99999999999999999999"], 1 << 31),
        ] {
            assert_eq!(age(values, false), expected, "{values:?}");
        }
        for broken in [&["abc"][..], &["-1"], &["+7"], &["7.0"], &[""], &["7;a=b"], &["x, 7"]] {
            assert_eq!(age(broken, false), 0, "{broken:?}");
        }
    }

    #[test]
    fn an_age_that_something_broke_makes_a_response_old_where_the_policy_says_so() {
        let age = |values: &[&str]| age(values, true);
        assert_eq!((age(&[]), age(&["0"]), age(&["7"]), age(&["7,9"])), (0, 0, 7, 7));
        for broken in [&["abc"][..], &["-1"], &["+7"], &["1.0"], &[""], &["1;a=b"], &["0, 0"], &["0", "0"]] {
            assert_eq!(age(broken), 1 << 31, "{broken:?}");
        }
        assert_eq!(age(&["99999999999999999999"]), 1 << 31);
    }
}
