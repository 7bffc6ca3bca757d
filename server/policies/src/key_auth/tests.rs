use http::{HeaderMap, HeaderValue};
use sluice_contract::rest::policy_types::PolicyScope;

use super::runtime::Place;
use super::{KeyAuth, KeyRule};

fn rule(settings: serde_json::Value) -> KeyRule {
    KeyRule::compile(crate::parse::<KeyAuth>(&settings).unwrap()).unwrap()
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|&(n, v)| (n.parse().unwrap(), HeaderValue::from_str(v).unwrap())).collect()
}

#[test]
fn the_header_comes_before_the_bearer_token_and_the_query() {
    let rule = rule(serde_json::json!({ "bearer": true, "query": "key" }));
    let all = headers(&[("x-api-key", "h"), ("authorization", "Bearer b")]);
    assert_eq!(&*rule.find(&all, Some("key=q")).unwrap().key, b"h");
    let found = headers(&[("authorization", "bearer b")]);
    assert_eq!(rule.find(&found, Some("key=q")).unwrap().place, Place::Bearer);
    assert_eq!(&*rule.find(&HeaderMap::new(), Some("a=1&key=q%2Dz")).unwrap().key, b"q-z");
    assert_eq!(rule.find(&HeaderMap::new(), Some("keys=q")), None);
}

#[test]
fn a_bearer_token_or_a_query_is_not_looked_at_unless_allowed() {
    let rule = rule(serde_json::json!({}));
    let found = headers(&[("authorization", "Bearer b")]);
    assert_eq!(rule.find(&found, Some("x-api-key=q")), None);
}

#[test]
fn the_key_is_taken_out_of_query_and_headers() {
    let rule = rule(serde_json::json!({ "query": "key" }));
    assert_eq!(rule.strip_query(Some("a=1&key=s&b=2&%6bey=t")), Some(Some("a=1&b=2".to_owned())));
    assert_eq!(rule.strip_query(Some("key=s")), Some(None));
    assert_eq!(rule.strip_query(Some("a=1")), None);
    let mut sent = headers(&[("x-api-key", "h"), ("authorization", "Basic x")]);
    rule.strip_headers(&mut sent, Some(Place::Header));
    assert!(!sent.contains_key("x-api-key") && sent.contains_key("authorization"));
}

#[test]
fn names_that_are_not_names_are_refused_with_their_place() {
    let settings = serde_json::json!({ "header": "a b", "query": "a&b" });
    let problems = crate::validate("key-auth", PolicyScope::Api, &settings);
    let pointers: Vec<_> = problems.iter().map(|p| p.pointer.as_str()).collect();
    assert_eq!(pointers, ["/settings/header", "/settings/query"]);
}
