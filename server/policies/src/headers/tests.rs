use http::HeaderMap;
use sluice_contract::rest::policy_types::PolicyScope;

use super::{HeaderRules, Headers};

#[test]
fn headers_are_removed_then_set_then_added() {
    let settings = serde_json::json!({ "request": {
        "remove": ["X-Old"],
        "set": [{ "name": "x-one", "value": "1" }],
        "add": [{ "name": "x-one", "value": "2" }],
    } });
    let rules = HeaderRules::compile(crate::parse::<Headers>(&settings).unwrap()).unwrap();
    let mut sent = HeaderMap::new();
    sent.insert("x-old", "x".parse().unwrap());
    sent.insert("x-one", "0".parse().unwrap());
    rules.request.apply(&mut sent);
    assert!(!sent.contains_key("x-old"));
    assert_eq!(sent.get_all("x-one").iter().collect::<Vec<_>>(), ["1", "2"]);
}

#[test]
fn framing_headers_and_line_breaks_are_refused() {
    let settings = serde_json::json!({ "response": {
        "remove": ["Transfer-Encoding"],
        "set": [{ "name": "x-a", "value": "a\r\nb: c" }],
    } });
    let problems = crate::validate("headers", PolicyScope::Route, &settings);
    let pointers: Vec<_> = problems.iter().map(|p| p.pointer.as_str()).collect();
    assert_eq!(pointers, ["/settings/response/remove/0", "/settings/response/set/0/value"]);
}
