use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::{Forbidden, ForbiddenRule, Found, problems};

fn rule(rules: &[Forbidden]) -> Arc<ForbiddenRule> {
    ForbiddenRule::compile(rules, 1 << 20).unwrap().unwrap()
}

fn fields(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    };
    pairs.iter().map(pair).collect()
}

/// What is found in a body of this type that arrives in these pieces.
fn found_in<'b>(
    rule: &Arc<ForbiddenRule>,
    kind: &str,
    pieces: impl Iterator<Item = &'b [u8]>,
) -> Option<Found> {
    let look = rule.look_at_body(&fields(&[("content-type", kind)]));
    let mut look = match look {
        Ok(Some(look)) => look,
        Ok(None) => return None,
        Err(found) => return Some(found),
    };
    for piece in pieces {
        if let Err(found) = look.see(piece) {
            return Some(found);
        }
    }
    look.finish().err()
}

fn found(rules: &[Forbidden], kind: &str, body: &str) -> Option<Found> {
    found_in(&rule(rules), kind, std::iter::once(body.as_bytes()))
}

fn pattern(expression: &str) -> Forbidden {
    Forbidden::Pattern { expression: expression.to_owned() }
}

fn path(path: &str) -> Forbidden {
    Forbidden::JsonPath { path: path.to_owned() }
}

#[test]
fn a_card_number_is_found_in_one_piece_and_in_groups_and_only_with_its_check_digit() {
    let is_found = |text: &str| found(&[Forbidden::CardNumber], "text/plain", text).is_some();
    for card in [
        "4111111111111111",
        "4111 1111 1111 1111",
        "pay 4111-1111-1111-1111.",
        "12 4111 1111 1111 1111 and more",
        "{\"pan\":\"5555555555554444\"}",
        "378282246310005",
        "3782 822463 10005",
        "6011111111111117",
        "30569309025904",
        "3530111333300000",
        "2223003122003222",
        "4222222222222",
        "x4111111111111111",
    ] {
        assert!(is_found(card), "{card}");
    }
    for other in [
        "4111111111111112",
        "4111 1111  1111 1111",
        "411111111111111",
        "1111111111111117",
        "0.4111111111111111",
        "41111111111111110000000",
        "4111a111111111111",
        "2024-01-01T00:00:00.000000000",
        "",
    ] {
        assert!(!is_found(other), "{other}");
    }
}

#[test]
fn a_bank_account_is_found_with_its_country_s_length_and_check_digits() {
    let is_found = |text: &str| found(&[Forbidden::Iban], "text/plain", text).is_some();
    for account in [
        "DE89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "IBAN DE89 3704 0044 0532 0130 00 BIC",
        "\"GB82WEST12345698765432\"",
        "NO9386011117947",
        "MT84MALT011000012345MTLCAST001S",
        "FR1420041010050500013M02606.",
    ] {
        assert!(is_found(account), "{account}");
    }
    for other in [
        "DE88370400440532013000",
        "DE8937040044053201300",
        "de89370400440532013000",
        "XDE89370400440532013000",
        "xDE89370400440532013000",
        "DE89  3704 0044 0532 0130 00",
        "ZZ89370400440532013000",
        "",
    ] {
        assert!(!is_found(other), "{other}");
    }
}

#[test]
fn addresses_and_patterns_are_found_and_told_apart() {
    let rules = [pattern(r"(?i)\bsecret-\d{3}\b"), Forbidden::Email, pattern("^begin|end$")];
    for (text, expected) in [
        ("mail ada@example.org now", Some(Found::Email)),
        ("ada%40example.org", Some(Found::Email)),
        ("ada\\u0040mail.example.org", Some(Found::Email)),
        ("ada@localhost", None),
        ("@example.org", None),
        ("a SECRET-123!", Some(Found::Pattern)),
        ("secret-1234", None),
        ("xsecret-123", None),
        ("secret-123", Some(Found::Pattern)),
        ("begin here", Some(Found::Pattern)),
        ("the begin", None),
        ("the end", Some(Found::Pattern)),
        ("the end.", None),
    ] {
        assert_eq!(found(&rules, "text/plain", text), expected, "{text}");
    }
}

#[test]
fn paths_of_json_are_found_whatever_is_there() {
    let json = |wanted: &str, text: &str| found(&[path(wanted)], "application/json", text);
    for (wanted, text) in [
        ("$.a", r#"{"a":1}"#),
        ("$.a", r#" { "b" : [1, {"a": 2}] , "a" : null } "#),
        ("$.a.b", r#"{"a":{"b":{}}}"#),
        ("$['a b'].c", r#"{"a b":{"c":false}}"#),
        ("$.a[1]", r#"{"a":[0,"x"]}"#),
        ("$.a[*].b", r#"{"a":[{"c":1},{"b":1}]}"#),
        ("$[0]", "[1]"),
        ("$..b", r#"{"a":[[{"c":{"b":1}}]]}"#),
        ("$.a..b", r#"{"x":{"b":1},"a":{"c":{"b":1}}}"#),
        ("$.*", r#"{"z":1}"#),
        ("$..[2]", r#"{"z":[1,2,3]}"#),
        ("$.ab", r#"{"\u0061b":1}"#),
        ("$.a", "{\"b\":1}\n{\"a\":1}\n"),
        ("$.a", "\u{feff}{\"a\":1}"),
    ] {
        assert_eq!(json(wanted, text), Some(Found::JsonPath), "{wanted} {text}");
    }
    for (wanted, text) in [
        ("$.a", r#"{"b":{"a":1}}"#),
        ("$.a", r#"{"b":"a","c":["a"]}"#),
        ("$.a", r#"["a"]"#),
        ("$.a", r#"{"b":"\"a\":1"}"#),
        ("$.a[0]", r#"{"a":[]}"#),
        ("$.a[0]", r#"{"a":{"0":1}}"#),
        ("$.a[2]", r#"{"a":[1,2],"b":[1,2,3]}"#),
        ("$.a.b", r#"{"a":1,"b":2}"#),
        ("$.a..b", r#"{"b":1,"a":{"c":1},"d":{"b":1}}"#),
        ("$.*", "{}"),
        ("$.a", "12"),
        ("$.a", ""),
    ] {
        assert_eq!(json(wanted, text), None, "{wanted} {text}");
    }
}

#[test]
fn what_cannot_be_read_or_is_too_much_may_not_be_stored() {
    let all = [path("$.a"), Forbidden::Email];
    for text in ["{", "{\"b\":1", "{\"b\"}", "[1}", "{\"b\":1]", "{]", "<html>", "{\"\\x\":1}", "{\"b\":1,,}"]
    {
        assert_eq!(
            found(&all, "application/problem+json; charset=utf-8", text),
            Some(Found::Unreadable),
            "{text}"
        );
        assert_eq!(found(&all, "text/plain", text), None, "not said to be JSON: {text}");
    }
    assert_eq!(found(&all, "text/plain", " [{\"x\":1}, {\"a\":1}]"), None, "$.a is of an object");
    assert_eq!(found(&all, "text/plain", " {\"x\":1, \"a\":1}"), Some(Found::JsonPath), "it looks like JSON");
    assert_eq!(found(&all, "application/json", &"[".repeat(200)), Some(Found::Unreadable));
    assert_eq!(found(&all, "text/plain; charset=\"UTF-16LE\"", "x"), Some(Found::Unreadable));
    let wide = [0xff, 0xfe, b'a', 0];
    assert_eq!(found_in(&rule(&all), "text/plain", wide.chunks(1)), Some(Found::Unreadable));
    let small = ForbiddenRule::compile(&all, 10).unwrap().unwrap();
    assert_eq!(found_in(&small, "text/plain", b"0123456789".chunks(3)), None);
    assert_eq!(found_in(&small, "text/plain", b"0123456789a".chunks(3)), Some(Found::TooLarge));
}

#[test]
fn only_text_is_looked_at() {
    let email = [Forbidden::Email];
    for kind in ["image/png", "Video/mp4", "font/woff2", "application/pdf"] {
        assert_eq!(found(&email, kind, "ada@example.org"), None, "{kind}");
    }
    for kind in ["", "image/svg+xml", "application/x-unknown", "application/octet-stream"] {
        assert_eq!(found(&email, kind, "ada@example.org"), Some(Found::Email), "{kind}");
    }
}

#[test]
fn fields_are_looked_at_too() {
    let rules = [Forbidden::Header { name: "X-Secret".to_owned() }, Forbidden::Email, Forbidden::CardNumber];
    let check = |pairs: &[(&'static str, &str)]| rule(&rules).check_fields(&fields(pairs)).err();
    assert_eq!(check(&[("x-secret", "")]), Some(Found::Header));
    assert_eq!(check(&[("x-user", "ada@example.org")]), Some(Found::Email));
    assert_eq!(check(&[("x-a", "41111111"), ("x-b", "11111111")]), None, "two fields are two texts");
    assert_eq!(check(&[("etag", "\"4111111111111111\""), ("content-type", "text/plain")]), None);
    let none = ForbiddenRule::compile(&[], 1).unwrap();
    assert!(none.is_none());
}

#[test]
fn a_pattern_that_costs_too_much_ends_the_look_and_not_the_gateway() {
    let dear = rule(&[pattern("[01]*1[01]{11}x")]);
    let mut text = String::new();
    let mut number = 1_u32;
    for _ in 0..200_000 {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.push(if number >> 31 == 0 { '0' } else { '1' });
    }
    let begun = std::time::Instant::now();
    assert_eq!(found_in(&dear, "text/plain", text.as_bytes().chunks(1_000)), Some(Found::Unreadable));
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn rules_that_cannot_be_used_are_refused() {
    let bad = [
        pattern("("),
        pattern("[01]{9999}{9999}"),
        path("a"),
        path("$"),
        path("$."),
        path("$.a[x]"),
        path("$.a["),
        path("$.a['b]"),
        Forbidden::Header { name: "a b".to_owned() },
        path(&format!("${}", ".a".repeat(17))),
    ];
    for rule in bad {
        assert_eq!(problems(std::slice::from_ref(&rule), "/forbidden").len(), 1, "{rule:?}");
    }
    let good = [
        pattern(r"\d+"),
        path("$..a['b'][0].*"),
        Forbidden::Iban,
        Forbidden::Header { name: "x".to_owned() },
    ];
    assert!(problems(&good, "/forbidden").is_empty());
    assert_eq!(problems(&vec![Forbidden::Email; 33], "/forbidden")[0].code, "too_many");
}

/// Text with something forbidden in it, or nearly.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        prop::sample::select(vec![
            "4111 1111 1111 1111",
            "5555555555554444",
            "4111111111111112",
            "DE89 3704 0044 0532 0130 00",
            "DE88370400440532013000",
            "ada@example.org",
            "ada@localhost",
            "secret-42",
            "{\"a\":{\"b\":[1,2]}}",
            "{\"a\":[{\"\\u0062\":1}]}",
            "{\"a\":\"b\"}",
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,12}",
        "[0-9 -]{0,20}",
        "\\PC{0,4}",
    ];
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

fn all_rules() -> Vec<Forbidden> {
    vec![
        Forbidden::CardNumber,
        Forbidden::Email,
        Forbidden::Iban,
        pattern(r"secret-\d+|\bno\b"),
        path("$..b"),
    ]
}

/// By the regular expression crate's own search over the whole text.
fn has_address(text: &str) -> bool {
    let address = regex_automata::meta::Regex::new(
        r"(?-u)[A-Za-z0-9._%+'-](?:@|%40|\\u0040)(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2}",
    );
    address.unwrap().is_match(text)
}

proptest! {
    #[test]
    fn however_a_text_is_cut_the_same_is_found(text in text(), cuts in prop::collection::vec(1_usize..9, 1..60)) {
        for one in all_rules() {
            let rule = rule(std::slice::from_ref(&one));
            let whole = found_in(&rule, "text/plain", std::iter::once(text.as_bytes()));
            let mut rest = text.as_bytes();
            let pieces = cuts.iter().cycle().map_while(|cut| {
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                rest = after;
                (!piece.is_empty()).then_some(piece)
            });
            prop_assert_eq!(found_in(&rule, "text/plain", pieces), whole, "{:?}", one);
        }
    }

    #[test]
    fn what_is_put_into_any_text_is_found_at_every_cut(
        before in "[ -~]{0,20}[^A-Za-z0-9 .-]|", after in "([^A-Za-z0-9 .-][ -~]{0,20})?", size in 1_usize..12,
    ) {
        for (one, text, expected) in [
            (Forbidden::CardNumber, "4111-1111-1111-1111", Found::CardNumber),
            (Forbidden::Iban, "GB82 WEST 1234 5698 7654 32", Found::Iban),
            (Forbidden::Email, "ada@example.org", Found::Email),
            (pattern(r"secret-\d+"), "secret-42", Found::Pattern),
        ] {
            let body = format!("{before}{text}{after}");
            prop_assert_eq!(found_in(&rule(&[one]), "text/plain", body.as_bytes().chunks(size)), Some(expected), "{}", body);
        }
    }

    #[test]
    fn addresses_are_what_the_expression_says(text in text()) {
        let is_found = found(&[Forbidden::Email], "text/plain", &text).is_some();
        prop_assert_eq!(is_found, has_address(&text));
    }

    #[test]
    fn a_path_is_there_if_the_parsed_value_has_it(value in value(), size in 1_usize..9) {
        let has = |value: &serde_json::Value| value.pointer("/a/0/b").is_some();
        let is_list = value.pointer("/a").is_some_and(serde_json::Value::is_array);
        let text = serde_json::to_string_pretty(&value).unwrap();
        let rule = rule(&[path("$.a[0].b")]);
        let found = found_in(&rule, "application/json", text.as_bytes().chunks(size));
        prop_assert_eq!(found.is_some(), has(&value) && is_list, "{}", text);
        let anywhere = found_in(&self::rule(&[path("$..b")]), "application/json", text.as_bytes().chunks(size));
        prop_assert_eq!(anywhere.is_some(), has_name(&value, "b"), "{}", text);
    }
}

fn has_name(value: &serde_json::Value, name: &str) -> bool {
    match value {
        serde_json::Value::Object(fields) => {
            fields.contains_key(name) || fields.values().any(|value| has_name(value, name))
        }
        serde_json::Value::Array(items) => items.iter().any(|value| has_name(value, name)),
        _ => false,
    }
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<f32>().prop_map(|number| serde_json::json!(number)),
        "[ab\"\\\\{}\\[\\],:]{0,6}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 30, 4, |inner| {
        let name = prop::sample::select(vec!["a", "b", "c", "a\"b", "\\"]).prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::vec((name, inner), 0..4)
                .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    })
}
