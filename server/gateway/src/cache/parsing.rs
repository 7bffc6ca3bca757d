//! Fields as anybody may write them, read by the cache and, another way, by a few lines here: both understand the same.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::header::{
    AGE, CACHE_CONTROL, CONTENT_RANGE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH, RANGE, VARY,
};
use http::{HeaderMap, Method, StatusCode};
use proptest::prelude::*;
use sluice_policies::cache::{Cache, CacheRule};

use super::conditional::Conditions;
use super::directives::Directives;
use super::freshness::{initial_age, parse_date};
use super::range::Wanted;
use super::vary::Selecting;

fn with(name: &HeaderName, lines: &[String]) -> HeaderMap {
    lines.iter().map(|line| (name.clone(), HeaderValue::from_str(line).unwrap())).collect()
}

/// Members of a list, quoted strings with their quoted pairs as one (RFC 9110 §5.6.1, §5.6.4).
fn members(text: &str) -> Vec<String> {
    let (mut all, mut member, mut characters) = (Vec::new(), String::new(), text.chars());
    while let Some(character) = characters.next() {
        match character {
            ',' => all.push(std::mem::take(&mut member)),
            '"' => {
                member.push('"');
                while let Some(inner) = characters.next() {
                    member.push(inner);
                    match inner {
                        '"' => break,
                        '\\' => member.extend(characters.next()),
                        _ => {}
                    }
                }
            }
            _ => member.push(character),
        }
    }
    all.push(member);
    all
}

/// The least value of a directive, and whether it is there.
fn least(lines: &[String], name: &str) -> Option<u64> {
    let members: Vec<String> = lines.iter().flat_map(|line| members(line)).collect();
    let values = members.iter().filter_map(|member| {
        let (found, value) = member.split_once('=').unwrap_or((member, ""));
        found.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
    });
    let number = |text: String| match text.chars().all(|c| c.is_ascii_digit()) && !text.is_empty() {
        true => text.parse::<u128>().unwrap_or(u128::MAX).min(1 << 31) as u64,
        false => 0,
    };
    values.map(number).min()
}

fn cache_control() -> impl Strategy<Value = Vec<String>> {
    let piece = prop_oneof![
        3 => prop::sample::select(vec![
            "max-age", "s-maxage", "no-store", "no-cache", "private", "public", "MAX-AGE", "Immutable", "x",
        ]).prop_map(str::to_owned),
        3 => prop::sample::select(vec!["=", ",", ", ", "\"", "\\\"", " ", "\t", "\\"]).prop_map(str::to_owned),
        2 => "[0-9]{1,22}",
        1 => "[a-z-]{0,4}",
    ];
    let line = prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat());
    prop::collection::vec(line, 0..3)
}

/// `*` or opaque tags, weak or not, with the white space and empty members that lists may have.
fn tags() -> impl Strategy<Value = Vec<(bool, String)>> {
    prop::collection::vec((any::<bool>(), "[a-c,\\\\ ]{0,3}"), 1..5)
}

proptest! {
    #[test]
    fn cache_control_says_what_its_members_say(lines in cache_control()) {
        let said = Directives::of_response(&with(&CACHE_CONTROL, &lines));
        prop_assert_eq!(said.max_age, least(&lines, "max-age"));
        prop_assert_eq!(said.s_maxage, least(&lines, "s-maxage"));
        let is = |name| least(&lines, name).is_some();
        prop_assert_eq!(said.no_store, is("no-store"));
        let names_fields = !said.withheld.is_empty();
        prop_assert_eq!(said.no_cache || said.private || names_fields, is("no-cache") || is("private"));
        prop_assert!((!said.no_cache || is("no-cache")) && (!said.private || is("private")));
        prop_assert_eq!(said.public, is("public"));
        prop_assert_eq!(said.immutable, is("immutable"));
    }

    #[test]
    fn of_a_targeted_dictionary_the_last_member_of_a_name_counts(
        members in prop::collection::vec((
            prop::sample::select(vec!["max-age", "s-maxage", "no-store", "private", "x-y"]),
            prop_oneof![Just(None), (0_u64..999_999).prop_map(Some)],
        ), 1..6),
        spaces in "[ \t]{0,2}", lines in 1_usize..3,
    ) {
        let written = |(name, value): &(&str, Option<u64>)| match value {
            Some(value) => format!("{name}={value}"),
            None => (*name).to_owned(),
        };
        let all: Vec<String> = members.iter().map(written).collect();
        let cut = all.len().div_ceil(lines);
        let all: Vec<String> = all.chunks(cut).map(|some| some.join(&format!("{spaces},{spaces}"))).collect();
        let mut headers = with(&HeaderName::from_static("cdn-cache-control"), &all);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        let last: BTreeMap<&str, Option<u64>> = members.iter().copied().collect();
        let said = Directives::of_response(&headers);
        prop_assert!(said.targeted && !said.no_cache);
        prop_assert_eq!(said.max_age, last.get("max-age").map(|value| value.unwrap_or(0)));
        prop_assert_eq!(said.s_maxage, last.get("s-maxage").map(|value| value.unwrap_or(0)));
        prop_assert_eq!((said.no_store, said.private), (last.contains_key("no-store"), last.contains_key("private")));
    }

    #[test]
    fn any_text_in_a_targeted_field_is_read_without_panic(text in "[ -~]{0,40}") {
        Directives::of_response(&with(&HeaderName::from_static("sluice-cache-control"), &[text]));
    }

    #[test]
    fn a_condition_holds_if_one_of_its_tags_is_that_of_the_response(
        listed in tags(), (weak, own) in (any::<bool>(), "[a-c,\\\\ ]{0,3}"), separator in "[ \t]{0,2},[ \t,]{0,3}",
    ) {
        let written = |weak: bool, tag: &str| format!("{}\"{tag}\"", if weak { "W/" } else { "" });
        let list: Vec<String> = listed.iter().map(|(weak, tag)| written(*weak, tag)).collect();
        let mut request = with(&IF_NONE_MATCH, &[list.join(&separator)]);
        let response = with(&ETAG, &[written(weak, &own)]);
        let expected = listed.iter().any(|(_, tag)| *tag == own);
        prop_assert_eq!(Conditions::take(&mut request).hold_for(StatusCode::OK, &response), expected);
    }

    #[test]
    fn an_age_is_its_digits_and_anything_else_is_ignored_or_old(
        text in "[0-9]{0,12}|[ -~]{0,6}", unreadable_age_is_old in any::<bool>(),
    ) {
        let first = text.split(',').next().unwrap_or_default().trim();
        let digits = !first.is_empty() && first.chars().all(|c| c.is_ascii_digit());
        let expected = match digits {
            _ if unreadable_age_is_old && (!digits || text.contains(", ")) => 1 << 31,
            true => first.parse::<u64>().unwrap_or(u64::MAX).min(1 << 31),
            false => 0,
        };
        let rule = CacheRule::compile(Cache { unreadable_age_is_old, ..Cache::default() }).unwrap();
        let age = initial_age(&with(&AGE, &[text]), &rule, SystemTime::now(), Duration::ZERO);
        prop_assert_eq!(age.as_secs(), expected);
    }

    #[test]
    fn a_date_is_the_same_in_each_of_its_formats(seconds in 0_i64..2_500_000_000, upper in any::<bool>()) {
        let at: DateTime<Utc> = DateTime::from_timestamp(seconds, 0).unwrap();
        let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds as u64);
        // A year of two digits is one of the next fifty or the last fifty (RFC 9110 §5.6.7).
        let in_two_digits = (1990..2060).contains(&at.format("%Y").to_string().parse::<i32>().unwrap());
        let formats = ["%a, %d %b %Y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y", "%A, %d-%b-%y %H:%M:%S GMT"];
        for format in &formats[..if in_two_digits { 3 } else { 2 }] {
            let text = at.format(format).to_string();
            let text = if upper { text.to_uppercase() } else { text };
            prop_assert_eq!(parse_date(&text), Some(expected), "{}", text);
        }
    }

    #[test]
    fn any_text_as_a_date_is_read_without_panic(text in "[ -~]{0,40}|[a-zA-Z]{3}, [0-9]{2} [a-zA-Z]{3} [0-9]{4} [0-9:]{8} GMT") {
        parse_date(&text);
    }

    #[test]
    fn one_range_is_the_bytes_that_it_names(
        first in prop::option::of(0_usize..30), last in prop::option::of(0_usize..30), length in 1_usize..25,
    ) {
        let body: Vec<u8> = (0..length as u8).collect();
        let text = |place: Option<usize>| place.map(|place| place.to_string()).unwrap_or_default();
        let (status, cut, _) = cut(&format!("bytes={}-{}", text(first), text(last)), &body);
        let expected: Option<Vec<u8>> = match (first, last) {
            (None, None) => None,
            (Some(first), Some(last)) if first > last => None,
            (Some(first), last) => {
                Some(body.iter().copied().skip(first).take(last.map_or(length, |last| last + 1 - first)).collect())
            }
            (None, Some(suffix)) => Some(body.iter().copied().skip(length.saturating_sub(suffix)).collect()),
        };
        match expected {
            None => prop_assert_eq!((status, &cut[..]), (200, &body[..])),
            Some(none) if none.is_empty() => prop_assert_eq!((status, cut.len()), (416, 0)),
            Some(part) => prop_assert_eq!((status, &cut[..]), (206, &part[..])),
        }
    }

    #[test]
    fn any_text_as_a_range_is_read_without_panic(text in "[ -~]{0,40}|bytes=[0-9, -]{0,40}") {
        let (status, cut, _) = cut(&text, b"0123456789");
        prop_assert!(matches!((status, cut.len()), (200, 10) | (206, 1..) | (416, 0)), "{} {}", status, cut.len());
    }

    #[test]
    fn a_response_is_for_requests_with_the_same_values_of_what_it_varies_by(
        varies in prop::collection::vec("[abAB]", 0..3),
        one in prop::collection::vec(prop::option::of("[xy]{0,2}"), 2), other in prop::collection::vec(prop::option::of("[xy]{0,2}"), 2),
    ) {
        let request = |values: &[Option<String>]| -> HeaderMap {
            let fields = ["a", "b"].into_iter().zip(values);
            let fields = fields.filter_map(|(name, value)| Some((name, value.as_ref()?)));
            fields.map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
        };
        let response = with(&VARY, &[varies.join(" , ")]);
        let same = |name: &str, at: usize| {
            !varies.iter().any(|varied| varied.eq_ignore_ascii_case(name)) || one[at] == other[at]
        };
        let selecting = Selecting::new(&response, &[], &request(&one));
        prop_assert_eq!(selecting.matches(&request(&other)), same("a", 0) && same("b", 1));
    }
}

fn cut(range: &str, body: &[u8]) -> (u16, Bytes, Option<HeaderValue>) {
    let wanted = Wanted::of(&Method::GET, &with(&RANGE, &[range.to_owned()])).unwrap();
    let (mut head, ()) = http::Response::new(()).into_parts();
    let cut = wanted.cut(&mut head, Bytes::copy_from_slice(body));
    (head.status.as_u16(), cut, head.headers.get(CONTENT_RANGE).cloned())
}
