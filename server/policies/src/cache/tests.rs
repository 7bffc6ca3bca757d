use http::StatusCode;
use sluice_contract::rest::policy_types::PolicyScope;

use super::{Cache, CacheRule};

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

#[test]
fn the_time_to_live_holds_for_the_named_statuses_only() {
    let rule = rule(serde_json::json!({ "ttl_s": 60, "statuses": [200, 404] }));
    assert_eq!(rule.ttl(StatusCode::NOT_FOUND).map(|ttl| ttl.as_secs()), Some(60));
    assert_eq!(rule.ttl(StatusCode::CREATED), None);
}

#[test]
fn overriding_needs_a_time_to_live_and_partial_answers_are_not_stored() {
    let settings = serde_json::json!({ "override_origin": true, "statuses": [200, 206] });
    let problems = crate::validate("cache", PolicyScope::Api, &settings);
    let pointers: Vec<_> = problems.iter().map(|p| p.pointer.as_str()).collect();
    assert_eq!(pointers, ["/settings/ttl_s", "/settings/statuses/1"]);
}
