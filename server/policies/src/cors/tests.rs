use http::{HeaderMap, HeaderValue};
use sluice_contract::rest::policy_types::PolicyScope;

use super::{Cors, CorsRule};

fn rule(settings: serde_json::Value) -> CorsRule {
    CorsRule::compile(crate::parse::<Cors>(&settings).unwrap()).unwrap()
}

fn allowed(rule: &CorsRule, origin: &'static str) -> Option<HeaderValue> {
    let mut response = HeaderMap::new();
    rule.mark(Some(&HeaderValue::from_static(origin)), &mut response);
    response.get("access-control-allow-origin").cloned()
}

#[test]
fn only_named_origins_are_allowed_and_the_answer_varies() {
    let rule =
        rule(serde_json::json!({ "origins": ["https://a.test", "https://*.b.test"], "credentials": true }));
    assert_eq!(allowed(&rule, "https://a.test").unwrap(), "https://a.test");
    assert_eq!(allowed(&rule, "https://x.y.b.test").unwrap(), "https://x.y.b.test");
    assert_eq!(allowed(&rule, "https://b.test"), None);
    assert_eq!(allowed(&rule, "https://evilb.test"), None);
    assert_eq!(allowed(&rule, "http://a.test"), None);
    let mut response = HeaderMap::new();
    rule.mark(None, &mut response);
    assert_eq!(response.get("vary").unwrap(), "Origin");
}

#[test]
fn what_the_upstream_allows_does_not_leak_through() {
    let rule = rule(serde_json::json!({ "origins": ["https://a.test"] }));
    let mut response = HeaderMap::new();
    response.insert("access-control-allow-origin", "*".parse().unwrap());
    rule.mark(Some(&HeaderValue::from_static("https://evil.test")), &mut response);
    assert!(!response.contains_key("access-control-allow-origin"));
}

#[test]
fn a_preflight_names_methods_and_echoes_headers_when_none_are_set() {
    let rule = rule(serde_json::json!({}));
    let mut request = HeaderMap::new();
    request.insert("access-control-request-headers", "x-one, x-two".parse().unwrap());
    let origin = HeaderValue::from_static("https://a.test");
    let answer = rule.preflight(&request, &origin, &HeaderValue::from_static("GET, PUT"));
    assert_eq!(answer["access-control-allow-origin"], "*");
    assert_eq!(answer["access-control-allow-methods"], "GET, PUT");
    assert_eq!(answer["access-control-allow-headers"], "x-one, x-two");
    assert_eq!(answer["access-control-max-age"], "600");
}

#[test]
fn credentials_with_any_origin_are_refused() {
    let problems = crate::validate("cors", PolicyScope::Api, &serde_json::json!({ "credentials": true }));
    assert_eq!(problems[0].pointer, "/settings/credentials");
}
