//! What holds of the rules whatever the headers are: nothing panics, order does not matter, and nothing that is added makes
//! a response be used for longer.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{AGE, CACHE_CONTROL, CONTENT_RANGE, DATE, EXPIRES, HeaderName, HeaderValue, RANGE, VARY};
use http::{HeaderMap, Method, StatusCode};
use proptest::prelude::*;
use sluice_policies::cache::{Cache, CacheRule};

use super::conditional::{Conditions, describes, is_about};
use super::directives::Directives;
use super::freshness::{initial_age, lifetime};
use super::range::Wanted;
use super::rules::{Given, Storable, storable};
use super::vary::Selecting;

fn any_value() -> impl Strategy<Value = HeaderValue> {
    let bytes = prop::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff, Just(b'\t')], 0..80);
    bytes.prop_map(|bytes| HeaderValue::from_bytes(&bytes).unwrap())
}

/// Text that looks like a directive of a response, with values good and bad.
fn directive() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "max-age",
        "s-maxage",
        "no-cache",
        "public",
        "must-revalidate",
        "immutable",
        "stale-if-error",
        "stale-while-revalidate",
        "x-unknown",
        "x-\u{e9}",
        "min-fresh",
        "max-stale",
    ]);
    let value = prop_oneof![Just(String::new()), "=[0-9]{1,25}", "=\"[0-9]{1,4}\"", "=[a-z-]{0,3}"];
    (name, value).prop_map(|(name, value)| format!("{name}{value}"))
}

fn with(fields: &[(HeaderName, &str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
}

fn said(directives: &[String]) -> Directives {
    Directives::of_response(&with(&[(CACHE_CONTROL, &directives.join(", "))]))
}

fn stored(directives: &[String]) -> Option<Storable> {
    let headers = with(&[(CACHE_CONTROL, &directives.join(",")), (http::header::ETAG, "\"a\"")]);
    let given = Given { method: &Method::GET, status: StatusCode::OK, headers: &headers };
    storable(given, false, &rule())
}

fn rule() -> CacheRule {
    CacheRule::compile(Cache { ttl_s: Some(60), heuristic: true, ..Cache::default() }).unwrap()
}

proptest! {
    #[test]
    fn any_bytes_in_any_field_are_read_without_panic(
        values in prop::collection::vec((0_usize..12, any_value()), 0..8), other in any_value(),
    ) {
        let names = [
            "cache-control", "cdn-cache-control", "sluice-cache-control", "pragma", "age", "date", "expires",
            "last-modified", "etag", "vary", "range", "if-none-match",
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            headers.append(names[name], value);
        }
        let directives = Directives::of_response(&headers);
        Directives::of_request(&headers);
        let given = Given { method: &Method::GET, status: StatusCode::OK, headers: &headers };
        storable(given, true, &rule());
        lifetime(given, &directives, &rule());
        initial_age(&headers, &rule(), SystemTime::now(), Duration::ZERO);
        let mut others = headers.clone();
        others.append("etag", other);
        is_about(&headers, &others);
        describes(&headers, &others, 5);
        Conditions::take(&mut others.clone()).hold_for(StatusCode::OK, &others);
        prop_assert!(Selecting::new(&headers, &[], &others).matches(&others));
    }

    #[test]
    fn the_order_of_directives_makes_no_difference(
        directives in prop::collection::vec(directive(), 0..8).prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
    ) {
        let [one, other] = [directives.0, directives.1].map(|directives| {
            let mut said = said(&directives);
            said.withheld.sort_by(|one, other| one.as_str().cmp(other.as_str()));
            said
        });
        prop_assert_eq!(one, other);
    }

    #[test]
    fn of_several_values_the_strictest_counts(lifetimes in prop::collection::vec(0_u64..5_000, 1..6)) {
        let text = |name: &str| lifetimes.iter().map(|value| format!("{name}={value}")).collect::<Vec<_>>();
        let least = lifetimes.iter().min().copied();
        prop_assert_eq!(said(&text("max-age")).max_age, least);
        prop_assert_eq!(said(&text("s-maxage")).s_maxage, least);
        prop_assert_eq!(said(&text("stale-if-error")).stale_if_error, least);
        prop_assert_eq!(said(&text("stale-while-revalidate")).stale_while_revalidate, least);
        prop_assert_eq!(said(&text("max-stale")).max_stale, Some(least));
        prop_assert_eq!(said(&text("min-fresh")).min_fresh, lifetimes.iter().max().copied());
    }

    #[test]
    fn what_forbids_storing_forbids_it_among_all_others(
        mut directives in prop::collection::vec(directive(), 0..6), at in 0_usize..6,
        forbids in prop::sample::select(vec!["no-store", "private", "private=\"\"", "private=\"vary\"", "No-Store", "PRIVATE"]),
    ) {
        directives.insert(at.min(directives.len()), forbids.to_owned());
        prop_assert_eq!(stored(&directives), None);
    }

    #[test]
    fn no_cache_and_must_revalidate_hold_among_all_others(
        mut directives in prop::collection::vec(directive(), 0..6), at in 0_usize..6,
    ) {
        let at = at.min(directives.len());
        directives.insert(at, "no-cache".to_owned());
        prop_assert!(stored(&directives).is_none_or(|stored| stored.no_cache));
        directives[at] = "proxy-revalidate".to_owned();
        prop_assert!(stored(&directives).is_none_or(|stored| stored.must_revalidate));
    }

    #[test]
    fn a_response_is_at_least_as_old_as_each_of_its_ages(
        stated in 0_u64..10_000, made in 0_u64..10_000, took in 0_u64..10_000,
    ) {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let date = httpdate::fmt_http_date(now - Duration::from_secs(made));
        let headers = with(&[(AGE, &stated.to_string()), (DATE, &date)]);
        let age = initial_age(&headers, &rule(), now, Duration::from_secs(took)).as_secs();
        prop_assert_eq!(age, made.max(stated + took));
    }

    #[test]
    fn expires_counts_from_date(made in 0_i64..1_000_000, lasts in -10_000_i64..10_000) {
        let at = |seconds: i64| {
            let seconds = u64::try_from(seconds).unwrap_or(0);
            httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds))
        };
        let made = made + 10_000;
        let headers = with(&[(DATE, &at(made)), (EXPIRES, &at(made + lasts))]);
        let given = Given { method: &Method::GET, status: StatusCode::OK, headers: &headers };
        let fresh = lifetime(given, &Directives::default(), &rule()).unwrap();
        prop_assert_eq!(fresh.as_secs(), u64::try_from(lasts).unwrap_or(0));
    }

    #[test]
    fn a_part_is_what_was_asked_for_of_the_body(first in 0_usize..40, last in 0_usize..40, length in 1_usize..30) {
        let body: Vec<u8> = (0..length).map(|i| i as u8).collect();
        let (status, cut, range) = cut(&format!("bytes={first}-{last}"), &body);
        if first > last {
            prop_assert_eq!((status, &cut[..]), (200, &body[..]));
        } else if first >= length {
            prop_assert_eq!((status, cut.len(), range), (416, 0, format!("bytes */{length}")));
        } else {
            let last = last.min(length - 1);
            prop_assert_eq!((status, &cut[..]), (206, &body[first..=last]));
            prop_assert_eq!(range, format!("bytes {first}-{last}/{length}"));
        }
    }

    #[test]
    fn no_set_of_ranges_sends_a_byte_twice(ranges in "bytes=([0-9]{0,2}-[0-9]{0,2},){0,20}[0-9]{0,2}-[0-9]{0,2}") {
        let body: Vec<u8> = (0..60).collect();
        let (status, cut, _) = cut(&ranges, &body);
        // Parts are framed by text, whose bytes are none of the first twenty but line ends.
        let once = |byte: u8| cut.iter().filter(|seen| **seen == byte).count() <= 1;
        prop_assert!([200, 206, 416].contains(&status));
        prop_assert!((0..10).all(once), "{:?}", cut);
    }

    #[test]
    fn white_space_and_lines_make_no_variant_and_other_items_do(
        items in prop::collection::vec("[a-z]{1,4}", 1..5), changed in 0_usize..5,
    ) {
        let response = with(&[(VARY, "x-list")]);
        let name = HeaderName::from_static("x-list");
        let asked = with(&[(name.clone(), &items.join(","))]);
        let selecting = Selecting::new(&response, &[], &asked);
        let spaced = with(&[(name.clone(), &items.join(" ,\t "))]);
        let mut lines = HeaderMap::new();
        for item in &items {
            lines.append(&name, item.parse().unwrap());
        }
        prop_assert!(selecting.matches(&spaced) && selecting.matches(&lines));
        let mut other = items.clone();
        other[changed % items.len()].push('x');
        prop_assert!(!selecting.matches(&with(&[(name, &other.join(","))])));
        prop_assert!(!selecting.matches(&HeaderMap::new()));
    }
}

fn cut(range: &str, body: &[u8]) -> (u16, Bytes, String) {
    let wanted = Wanted::of(&Method::GET, &with(&[(RANGE, range)])).unwrap();
    let (mut head, ()) = http::Response::new(()).into_parts();
    let cut = wanted.cut(&mut head, Bytes::copy_from_slice(body));
    let range = head.headers.get(CONTENT_RANGE).map(|value| value.to_str().unwrap().to_owned());
    (head.status.as_u16(), cut, range.unwrap_or_default())
}
