use std::time::Duration;

use http::{Method, StatusCode};
use sluice_contract::rest::policy_types::PolicyScope;

use super::{Cache, CacheRule, OriginSays};

fn rule(settings: serde_json::Value) -> CacheRule {
    CacheRule::compile(crate::parse::<Cache>(&settings).unwrap()).unwrap()
}

#[test]
fn the_key_holds_the_parameters_that_the_policy_chooses() {
    let key = |query: serde_json::Value| {
        let rule = rule(serde_json::json!({ "query": query }));
        rule.query_key(Some("b=2&a=1&c")).into_owned()
    };
    assert_eq!(key(serde_json::json!({ "mode": "all" })), "b=2&a=1&c");
    assert_eq!(key(serde_json::json!({ "mode": "none" })), "");
    assert_eq!(key(serde_json::json!({ "mode": "only", "names": ["a", "z"] })), "a=1");
    assert_eq!(key(serde_json::json!({ "mode": "except", "names": ["a", "z"] })), "b=2&c");
}

fn ttl(rule: &CacheRule, method: &Method, status: u16, content_type: Option<&str>) -> Option<u64> {
    let status = StatusCode::from_u16(status).unwrap();
    rule.ttl(method, status, content_type).map(|ttl| ttl.as_secs())
}

#[test]
fn the_time_to_live_holds_for_the_named_statuses_only() {
    let rule = rule(serde_json::json!({ "ttl_s": 60, "statuses": [200, 404] }));
    assert_eq!(ttl(&rule, &Method::GET, 404, None), Some(60));
    assert_eq!(ttl(&rule, &Method::GET, 201, None), None);
}

#[test]
fn the_first_rule_that_covers_a_response_says_how_long_it_lives() {
    let rule = rule(serde_json::json!({ "ttl_s": 60, "ttl_rules": [
        { "statuses": [404, 410], "ttl_s": 5 },
        { "content_types": ["image/*"], "ttl_s": 3600 },
        { "content_types": ["application/json"], "methods": ["POST"], "ttl_s": 7 },
    ] }));
    let get = Method::GET;
    assert_eq!(ttl(&rule, &get, 404, Some("image/png")), Some(5), "the first counts");
    assert_eq!(ttl(&rule, &get, 200, Some("Image/PNG; q=1")), Some(3600));
    assert_eq!(ttl(&rule, &Method::POST, 200, Some("application/json;charset=utf-8")), Some(7));
    assert_eq!(ttl(&rule, &get, 200, Some("application/json")), Some(60), "another method");
    assert_eq!(ttl(&rule, &get, 200, None), Some(60), "no type is no image");
    assert_eq!(ttl(&rule, &get, 500, None), None);
}

#[test]
fn lifetimes_stay_within_the_bounds_and_jitter_only_shortens_them() {
    let bounded = rule(serde_json::json!({ "min_ttl_s": 10, "max_ttl_s": 60, "oldest_s": 30 }));
    let of = |seconds| bounded.bounded(Duration::from_secs(seconds)).as_secs();
    assert_eq!((of(5), of(20), of(100)), (10, 20, 30), "what is too old to serve is not fresh");
    let jittered = rule(serde_json::json!({ "jitter_percent": 20 }));
    let of = |draw| jittered.jittered(Duration::from_secs(100), draw).as_millis();
    assert_eq!((of(0), of(20_000), of(20_001)), (100_000, 80_000, 100_000));
    let none = rule(serde_json::json!({}));
    assert_eq!(none.jittered(Duration::from_secs(100), 12_345), Duration::from_secs(100));
}

#[test]
fn what_is_said_before_of_overriding_still_holds() {
    let read = |settings: serde_json::Value| crate::parse::<Cache>(&settings).unwrap().origin;
    assert_eq!(read(serde_json::json!({ "override_origin": true, "ttl_s": 1 })), OriginSays::Ignore);
    assert_eq!(read(serde_json::json!({ "override_origin": false })), OriginSays::Honour);
    assert_eq!(read(serde_json::json!({ "origin": "override", "ttl_s": 1 })), OriginSays::Override);
    assert_eq!(read(serde_json::json!({})), OriginSays::Honour);
}

#[test]
fn what_cannot_be_stored_or_bounded_is_refused() {
    let settings = serde_json::json!({
        "origin": "ignore", "statuses": [200, 206], "min_ttl_s": 9, "max_ttl_s": 8, "jitter_percent": 51,
        "confirmed": ["origin"],
    });
    let problems = crate::validate("cache", PolicyScope::Api, &settings);
    let pointers: Vec<_> = problems.iter().map(|p| p.pointer.as_str()).collect();
    assert_eq!(
        pointers,
        ["/settings/ttl_s", "/settings/min_ttl_s", "/settings/jitter_percent", "/settings/statuses/1"]
    );
    let rules = serde_json::json!({ "ttl_rules": [
        { "statuses": [304], "methods": ["PUT", "GET", "HEAD", "POST"], "content_types": ["json", "a/b c", "image/*"], "ttl_s": 31_536_001 },
    ] });
    let problems = crate::validate("cache", PolicyScope::Api, &rules);
    let pointers: Vec<_> = problems.iter().map(|p| p.pointer.as_str()).collect();
    let expected = ["ttl_s", "statuses/0", "methods/0", "methods/2", "content_types/0", "content_types/1"]
        .map(|at| format!("/settings/ttl_rules/0/{at}"));
    assert_eq!(pointers, expected);
}

#[test]
fn the_staleness_that_readers_may_see_is_told_in_words() {
    let down = "up to 1 day older while the upstream cannot be reached";
    let more = "The upstream can allow more staleness.";
    let told = [
        (
            serde_json::json!({ "strong_consistency": true, "ttl_s": 9, "stale_if_error_s": 9 }),
            "Readers never see stale data: nothing is stored, every call goes to the upstream.".to_owned(),
        ),
        (
            serde_json::json!({}),
            format!("Readers may see data as old as the upstream allows, {down}. {more}"),
        ),
        (
            serde_json::json!({ "ttl_s": 30 }),
            format!(
                "Readers may see data up to 30 s old, or older where the upstream allows it, {down}. {more}"
            ),
        ),
        (
            serde_json::json!({ "heuristic": true, "max_ttl_s": 90, "stale_if_error_s": 0 }),
            format!("Readers may see data up to 90 s old. {more}"),
        ),
        (
            serde_json::json!({ "heuristic": true, "ttl_s": 5, "stale_if_error_s": 0 }),
            format!("Readers may see data up to 1 day old, or older where the upstream allows it. {more}"),
        ),
        (
            serde_json::json!({ "origin": "override", "ttl_s": 5, "min_ttl_s": 9, "stale_if_error_s": 0 }),
            format!("Readers may see data up to 9 s old, or older where the upstream allows it. {more}"),
        ),
        (
            serde_json::json!({ "origin": "ignore", "ttl_s": 60, "ttl_rules": [{ "ttl_s": 7200 }], "heuristic": true }),
            format!("Readers may see data up to 2 h old, {down}."),
        ),
        (
            serde_json::json!({ "origin": "ignore", "ttl_s": 30, "stale_if_error_s": 0, "stale_while_revalidate_s": 0 }),
            "Readers may see data up to 30 s old.".to_owned(),
        ),
        (
            serde_json::json!({ "max_ttl_s": 90, "stale_while_revalidate_s": 30, "stale_if_error_s": 172_800 }),
            format!(
                "Readers may see data up to 90 s old, up to 30 s older while a new response is fetched, \
                 up to 2 days older while the upstream fails or cannot be reached. {more}"
            ),
        ),
    ];
    for (settings, words) in told {
        assert_eq!(super::staleness_of("cache", &settings).unwrap(), words, "{settings}");
    }
}

#[test]
fn the_oldest_age_ends_every_staleness() {
    let words = |settings: serde_json::Value| crate::parse::<Cache>(&settings).unwrap().staleness();
    let all = "Readers may see data up to 30 s old.";
    assert_eq!(words(serde_json::json!({ "oldest_s": 30 })), all);
    assert_eq!(
        words(serde_json::json!({ "oldest_s": 30, "ttl_s": 10, "stale_while_revalidate_s": 90 })),
        all
    );
    assert_eq!(words(serde_json::json!({ "oldest_s": 30, "max_ttl_s": 30 })), all);
    assert_eq!(
        words(serde_json::json!({ "oldest_s": 3600, "max_ttl_s": 30, "stale_if_error_s": 0 })),
        "Readers may see data up to 30 s old, but never more than 1 h old. The upstream can allow more staleness."
    );
}

#[test]
fn other_kinds_and_settings_that_are_not_whole_say_nothing() {
    assert_eq!(super::staleness_of("cors", &serde_json::json!({})), None);
    assert_eq!(super::staleness_of("cache", &serde_json::json!({ "ttl_s": "no" })), None);
    assert!(super::staleness_of("cache", &serde_json::Value::Null).is_some(), "no settings are the defaults");
    assert!(super::sharing_of("cors", &serde_json::json!({ "shared": true })).is_empty());
}

#[test]
fn what_shows_one_caller_s_data_to_others_has_to_be_said_twice() {
    let unsaid = |settings: &serde_json::Value| -> Vec<String> {
        let problems = crate::validate("cache", PolicyScope::Api, settings);
        assert!(problems.iter().all(|it| it.pointer == "/settings/confirmed" && it.code == "unconfirmed"));
        problems.into_iter().map(|it| it.message.split('`').nth(1).unwrap().to_owned()).collect()
    };
    assert!(unsaid(&serde_json::json!({ "ttl_s": 60, "cookies": ["theme"] })).is_empty());
    let each = [
        ("shared", serde_json::json!({ "shared": true })),
        ("separate", serde_json::json!({ "separate": "application" })),
        ("store_set_cookie", serde_json::json!({ "store_set_cookie": true })),
        ("origin", serde_json::json!({ "origin": "ignore", "ttl_s": 1 })),
    ];
    for (name, mut settings) in each {
        assert_eq!(unsaid(&settings), [name]);
        let named: Vec<_> = super::sharing_of("cache", &settings).iter().map(|it| it.name()).collect();
        assert_eq!(named, [name]);
        settings["confirmed"] = serde_json::json!([name]);
        assert!(unsaid(&settings).is_empty(), "{name} is said twice");
        settings["strong_consistency"] = serde_json::json!(true);
        settings["confirmed"] = serde_json::json!([]);
        assert!(unsaid(&settings).is_empty(), "what is not stored is not shared");
    }
    let more = serde_json::json!({ "shared": true, "store_set_cookie": true, "confirmed": ["shared"] });
    assert_eq!(unsaid(&more), ["store_set_cookie"], "what was confirmed covers no other setting");
}

#[test]
fn what_was_released_before_the_question_is_served() {
    let rule = rule(serde_json::json!({ "shared": true }));
    assert!(rule.shared);
}
