//! What is said between one hop and the next: fields that end here, and those that the gateway adds.

use http::Request;
use hyper::body::Incoming;
use serde_json::json;

use crate::support::{Rig, Upstream, text};

#[tokio::test(flavor = "multi_thread")]
async fn the_caller_s_trace_and_request_id_go_on() {
    let upstream = Upstream::echo().await;
    let mut rig = Rig::start();
    rig.api("echo", upstream.address, json!({}));
    let sent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let seen = rig
        .get("/acme/echo/a", &[("traceparent", sent), ("tracestate", "a=b"), ("x-request-id", "mine-1")])
        .await;
    assert_eq!(seen.header("x-request-id"), "mine-1");
    let saw = seen.json();
    let traceparent = saw["headers"]["traceparent"][0].as_str().unwrap();
    assert!(traceparent.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && traceparent.ends_with("-01"));
    assert_ne!(traceparent, sent, "the gateway's own span is the parent");
    assert_eq!(saw["headers"]["tracestate"], json!(["a=b"]));
    let fresh = rig.get("/acme/echo/a", &[("tracestate", "a=b"), ("x-request-id", "with space")]).await;
    assert!(fresh.json()["headers"].get("tracestate").is_none());
    assert_ne!(fresh.header("x-request-id"), "with space");
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarding_headers_are_believed_from_trusted_proxies_only() {
    let upstream = Upstream::echo().await;
    let mut rig = Rig::start();
    rig.api("echo", upstream.address, json!({}));
    let forged = [("x-forwarded-for", "198.51.100.7, 10.0.0.9"), ("x-forwarded-proto", "https")];
    let seen = rig.get("/acme/echo/a", &forged).await.json();
    assert_eq!(seen["headers"]["x-forwarded-for"], json!(["127.0.0.1"]));
    assert_eq!(seen["headers"]["x-forwarded-proto"], json!(["http"]));

    rig.settings(json!({ "trusted_proxies": ["127.0.0.1", "10.0.0.0/8"] }));
    let seen = rig.get("/acme/echo/a", &forged).await.json();
    assert_eq!(seen["headers"]["x-forwarded-for"], json!(["198.51.100.7, 10.0.0.9, 127.0.0.1"]));
    assert_eq!(seen["headers"]["x-forwarded-proto"], json!(["https"]));
    let calls = rig.calls(2).await;
    let mut addresses: Vec<_> = calls.iter().map(|call| call.client_ip.as_str()).collect();
    addresses.sort_unstable();
    assert_eq!(addresses, ["127.0.0.1", "198.51.100.7"]);
}

/// However it is said: written as it is, joined with what was said before, changed by a rule, or over HTTP/2.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_adds_is_said_once_whatever_was_said_before() {
    let upstream = Upstream::echo().await;
    let mut rig = Rig::start();
    rig.api("echo", upstream.address, json!({}));
    let rules =
        json!({ "request": { "remove": ["x-forwarded-for"], "set": [{ "name": "via", "value": "us" }] } });
    rig.api("ruled", upstream.address, json!({ "policies": [{ "type": "headers", "settings": rules }] }));
    let h2 = json!({ "name": "main", "protocol": "http2", "targets": [{ "url": format!("http://{}", upstream.address) }] });
    rig.api("h2", upstream.address, json!({ "upstreams": [h2] }));
    let said = [
        ("x-request-id", "not usable"),
        ("traceparent", "nonsense"),
        ("tracestate", "a=b"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-host", "forged.test"),
        ("forwarded", "for=192.0.2.1"),
    ];
    for (api, more, via, forwarded_for) in [
        ("echo", None, "1.1 sluice", Some("127.0.0.1")),
        ("echo", Some(("via", "1.0 far")), "1.0 far, 1.1 sluice", Some("127.0.0.1")),
        ("ruled", None, "us", None),
        ("h2", None, "1.1 sluice", Some("127.0.0.1")),
    ] {
        for said in [&said[..0], &said] {
            let sent: Vec<_> = said.iter().copied().chain(more).collect();
            let seen = rig.get(&format!("/acme/{api}/a"), &sent).await;
            let saw = &seen.json()["headers"];
            assert_eq!(saw["via"], json!([via]), "{api} {sent:?}");
            assert_eq!(saw.get("x-forwarded-for"), forwarded_for.map(|one| json!([one])).as_ref());
            assert_eq!(saw["x-forwarded-proto"], json!(["http"]));
            assert_eq!(saw["x-forwarded-host"], json!(["gateway.test"]));
            assert_eq!(saw["forwarded"], json!(["for=127.0.0.1;host=\"gateway.test\";proto=http"]));
            assert_eq!(saw["x-request-id"], json!([seen.header("x-request-id")]), "{api} {sent:?}");
            assert_eq!(saw["traceparent"].as_array().map(Vec::len), Some(1), "{api} {sent:?}");
            assert!(saw.get("tracestate").is_none());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_for_one_hop_end_at_the_gateway_both_ways() {
    let upstream = Upstream::new(|request: Request<Incoming>| async move {
        let secret =
            request.headers().contains_key("x-secret") || request.headers().contains_key("keep-alive");
        let cookie = request.headers().get("cookie").map_or("", |value| value.to_str().unwrap()).to_owned();
        let fields = [
            ("x-saw", cookie.as_str()),
            ("connection", "x-internal"),
            ("x-internal", "1"),
            ("te", "x"),
            ("x-kept", "1"),
        ];
        text(if secret { 500 } else { 200 }, &fields, "")
    })
    .await;
    let mut rig = Rig::start();
    rig.api("hop", upstream.address, json!({}));
    let sent = [
        ("connection", "keep-alive, x-secret"),
        ("keep-alive", "timeout=5"),
        ("x-secret", "1"),
        ("cookie", "a=1; __Host-sluice=secret"),
    ];
    let seen = rig.get("/acme/hop/a", &sent).await;
    assert_eq!(seen.status, 200);
    assert_eq!(seen.header("x-saw"), "a=1");
    assert!(!seen.headers.contains_key("x-internal") && !seen.headers.contains_key("te"));
    assert_eq!(seen.header("x-kept"), "1");
}
