//! What a request is said to be found by and to become, against what becomes of one that is sent.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use sluice_contract::ids::{ApiId, TenantId};
use sluice_contract::questions::{Ask, Reply};
use sluice_contract::rest::cache::{
    CacheAudience, CacheCallerKind, CacheReason, CacheRequest, CacheState, ExplainedRequest,
};
use sluice_gateway::questions::answer;

use crate::cache_inside::look_up;
use crate::support::{Rig, Upstream, text};

pub async fn explain(rig: &Rig, api: ApiId, tenant: TenantId, request: Value) -> ExplainedRequest {
    let request: CacheRequest = serde_json::from_value(request).unwrap();
    match answer(&rig.shared, tenant, Ask::CacheKey { api, request: Box::new(request) }).await {
        Reply::CacheKey(explained) => *explained,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_the_key_that_it_is_said_to_have_whatever_the_policy_makes_keys_of() {
    let upstream = Upstream::new(|_| async { text(200, &[("cache-control", "max-age=60")], "x") }).await;
    let mut rig = Rig::start();
    let api = rig.api("a", upstream.address, json!({}));
    let application = rig.key("one", &[api]).application;
    let host = "gateway.test";
    let cases = [
        (json!({}), json!([]), vec![("x-api-key", "one")], true),
        (json!({ "sort_query": true, "epoch": 9 }), json!([]), vec![], false),
        (
            json!({ "query": { "mode": "only", "names": ["b"] }, "cookies": ["c"] }),
            json!([]),
            vec![("cookie", "c=1; d=2")],
            false,
        ),
        (
            json!({ "each_release": true }),
            json!([{ "type": "rewrite", "settings": { "path": "/new/{*path}" } }]),
            vec![],
            false,
        ),
        (
            json!({ "separate": "application", "confirmed": ["separate"] }),
            json!([]),
            vec![("x-api-key", "one"), ("authorization", "Basic eA==")],
            true,
        ),
        (json!({}), json!([]), vec![("authorization", "Basic eA==")], false),
    ];
    for (index, (settings, policies, headers, with_key)) in cases.into_iter().enumerate() {
        let routes = json!([{ "id": "all", "path": "/{*path}", "policies": policies }]);
        let cache = json!([{ "type": "cache", "settings": settings }]);
        rig.revision += 1;
        rig.api("a", upstream.address, json!({ "policies": cache, "routes": routes }));
        let path = format!("/items/{index}?b=2&a=1");
        rig.get(&format!("/acme/a{path}"), &headers).await;
        let told = look_up(&rig, api, &path, rig.tenant).await;
        assert_eq!(told.entries.len(), 1, "{settings}: {told:?}");
        let fields: Vec<_> = headers
            .iter()
            .filter(|(name, _)| *name != "x-api-key")
            .map(|(name, value)| json!({ "name": name, "value": value }))
            .collect();
        let request = json!({ "host": host, "path": path, "headers": fields, "application": with_key.then_some(application),
            "response_headers": [{ "name": "cache-control", "value": "max-age=60" }] });
        let explained = explain(&rig, api, rig.tenant, request).await;
        let own = &explained.keys[0];
        assert_eq!(own.hash, told.entries[0].key_hash, "{settings}");
        assert_eq!(Some(&own.key), told.entries[0].key.as_ref(), "{settings}");
        let entry = own.entry.as_ref().unwrap();
        assert_eq!(
            (entry.state, own.usable, explained.cached),
            (CacheState::Fresh, true, true),
            "{settings}"
        );
        assert_eq!(explained.stored.unwrap().for_whom, told.entries[0].for_whom, "{settings}");
        assert_eq!((explained.reasons, explained.route.as_deref()), (vec![], Some("all")), "{settings}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_in_a_body_has_the_key_that_its_body_makes() {
    let upstream = Upstream::new(|_| async { text(200, &[("cache-control", "max-age=60")], "x") }).await;
    let mut rig = Rig::start();
    let policy = json!({ "policies": [{ "type": "cache", "settings": { "post_max_body_bytes": 5 } }] });
    let api = rig.api("a", upstream.address, policy);
    let plain = [("content-type", "text/plain")];
    rig.send(Method::POST, "/acme/a/search", &plain, Bytes::from_static(b"what?")).await;
    let told = look_up(&rig, api, "/search", rig.tenant).await;
    let ask = |body: &str| {
        json!({ "method": "POST", "host": "gateway.test", "path": "/search", "body": body,
            "headers": [{ "name": "content-type", "value": "text/plain" }] })
    };
    let explained = explain(&rig, api, rig.tenant, ask("what?")).await;
    assert_eq!(explained.keys[0].hash, told.entries[0].key_hash);
    assert!(explained.keys[0].entry.is_some() && explained.cached);
    let other = explain(&rig, api, rig.tenant, ask("who?")).await;
    assert_ne!(other.keys[0].hash, told.entries[0].key_hash);
    assert!(other.keys[0].entry.is_none());
    let long = explain(&rig, api, rig.tenant, ask("whatever?")).await;
    assert_eq!((long.cached, long.reasons), (false, vec![CacheReason::Body]));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_post_asks_by_its_body_and_only_where_the_policy_says_so() {
    let upstream = Upstream::new(|_| async { text(200, &[("cache-control", "max-age=60")], "x") }).await;
    let mut rig = Rig::start();
    let routes = json!([
        { "id": "asks", "path": "/asks", "policies": [{ "type": "cache",
            "settings": { "post_max_body_bytes": 5, "caller_directives": "ignore", "ttl_s": 9,
                "ttl_rules": [{ "methods": ["POST"], "ttl_s": 7 }] } }] },
        { "id": "plain", "path": "/plain", "policies": [{ "type": "cache", "settings": {} }] },
    ]);
    let api = rig.api("a", upstream.address, json!({ "routes": routes }));
    let explained = async |method: &str, path: &str, body: &str| {
        let request = json!({ "method": method, "host": "gateway.test", "path": path, "body": body,
            "headers": [{ "name": "cache-control", "value": "no-store" }] });
        explain(&rig, api, rig.tenant, request).await
    };

    rig.get("/acme/a/asks", &[]).await;
    let got = explained("GET", "/asks", "").await;
    assert!(got.keys[0].entry.is_some(), "the body is no part of its key");
    assert_eq!(
        (&got.reasons[..], got.stored.unwrap().lifetime_s),
        (&[][..], 9),
        "what callers say is ignored"
    );
    let long = explained("GET", "/asks", "whatever?").await;
    assert_eq!((long.reasons, long.cached), (vec![CacheReason::Body], false));
    let asked = explained("POST", "/asks", "what?").await;
    assert_eq!((&asked.reasons[..], asked.stored.unwrap().lifetime_s), (&[][..], 7));

    let secure = json!({ "host": "gateway.test", "path": "/plain", "https": true });
    let secure = explain(&rig, api, rig.tenant, secure).await;
    assert_eq!((secure.keys[0].key.scheme.as_str(), got.keys[0].key.scheme.as_str()), ("https", "http"));

    let (told, same) =
        (explained("POST", "/plain", "what?").await, explained("POST", "/plain", "who?").await);
    assert_eq!(told.keys[0].hash, same.keys[0].hash);
    assert_eq!(told.reasons, [CacheReason::Method, CacheReason::NoStore]);
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_request_goes_past_the_cache_and_why_its_response_would_not_stay_is_said() {
    let upstream = Upstream::new(|_| async { text(200, &[], "x") }).await;
    let mut rig = Rig::start();
    let routes = json!([
        { "id": "cached", "path": "/cached", "policies": [{ "type": "cache", "settings": { "ttl_s": 30, "stale_while_revalidate_s": 5 } }] },
        { "id": "strong", "path": "/strong", "policies": [{ "type": "cache", "settings": { "strong_consistency": true } }] },
        { "id": "plain", "path": "/plain", "methods": ["GET"] },
    ]);
    let api = rig.api("a", upstream.address, json!({ "routes": routes }));
    let field = |name: &str, value: &str| json!([{ "name": name, "value": value }]);
    let none = json!([]);
    for (method, path, headers, cached, reasons) in [
        ("GET", "/cached", none.clone(), true, vec![]),
        ("GET", "/nowhere", none.clone(), false, vec![CacheReason::NoRoute]),
        ("POST", "/plain", none.clone(), false, vec![CacheReason::NoRoute]),
        ("GET", "/plain", none.clone(), false, vec![CacheReason::NoPolicy]),
        ("GET", "/strong", none.clone(), false, vec![CacheReason::StrongConsistency]),
        ("PUT", "/cached", none.clone(), false, vec![CacheReason::Method]),
        ("GET", "/cached", field("cache-control", "no-store"), false, vec![CacheReason::NoStore]),
        ("GET", "/cached", field("if-match", "\"a\""), false, vec![CacheReason::Condition]),
        ("GET", "/cached", field("range", "bytes=0-1"), true, vec![CacheReason::Range]),
        (
            "GET",
            "/cached",
            field("cache-control", "no-cache, only-if-cached"),
            true,
            vec![CacheReason::Validates, CacheReason::OnlyIfCached],
        ),
        ("HEAD", "/cached", none.clone(), true, vec![CacheReason::Head]),
    ] {
        let request = json!({ "method": method, "path": path, "headers": headers });
        let explained = explain(&rig, api, rig.tenant, request).await;
        assert_eq!((explained.cached, &explained.reasons), (cached, &reasons), "{method} {path} {headers}");
        let stays = cached && method == "GET" && !reasons.contains(&CacheReason::Range);
        assert_eq!(explained.stored.is_some(), stays, "{method} {path} {headers}");
    }
    let storing = async |headers: &Value, status: u16, says: &str| {
        let request = json!({ "path": "/cached", "headers": headers, "response_status": status,
            "response_headers": field("cache-control", says) });
        explain(&rig, api, rig.tenant, request).await
    };
    let plain = storing(&none, 200, "").await.stored.unwrap();
    assert_eq!(
        (plain.for_whom, plain.lifetime_s, plain.stale_while_revalidate_s),
        (CacheAudience::Anonymous, 30, 5)
    );
    let known = storing(&field("authorization", "Basic eA=="), 200, "").await;
    assert_eq!(known.stored.unwrap().for_whom, CacheAudience::Caller);
    assert_eq!(known.keys[0].key.caller.kind, CacheCallerKind::Credentials);
    let open = storing(&field("authorization", "Basic eA=="), 200, "public, max-age=7, must-revalidate")
        .await
        .stored
        .unwrap();
    assert_eq!((open.for_whom, open.lifetime_s, open.must_revalidate), (CacheAudience::Everyone, 7, true));
    for (status, says) in [(200, "no-store"), (200, "private"), (206, "max-age=5")] {
        let told = storing(&none, status, says).await;
        assert_eq!((told.stored, told.reasons), (None, vec![CacheReason::NotStorable]), "{status} {says}");
    }
    let request = json!({ "path": "/cached" });
    let stranger = explain(&rig, api, TenantId::generate(), request).await;
    assert_eq!((stranger.route, stranger.reasons), (None, vec![CacheReason::NoRoute]));
    assert!(stranger.keys.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_to_nobody_in_particular_is_not_for_who_has_credentials() {
    let upstream = Upstream::new(|_| async { text(200, &[("cache-control", "max-age=60")], "x") }).await;
    let mut rig = Rig::start();
    let api = rig.api("a", upstream.address, json!({ "policies": [{ "type": "cache", "settings": {} }] }));
    rig.get("/acme/a/x", &[]).await;
    let request = json!({ "path": "/x", "host": "gateway.test",
        "headers": [{ "name": "authorization", "value": "Basic never-told" }] });
    let explained = explain(&rig, api, rig.tenant, request).await;
    let [own, shared] = &explained.keys[..] else { panic!("{explained:?}") };
    assert!(own.entry.is_none() && !own.usable);
    assert!(shared.entry.is_some() && !shared.usable, "{shared:?}");
    assert!(!serde_json::to_string(&explained).unwrap().contains("never-told"));
}
