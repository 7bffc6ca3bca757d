//! Who is said to be let in, against who is.

use serde_json::{Value, json};
use sluice_contract::ids::ApiId;
use sluice_contract::journal::{Change, CredentialEntry};
use sluice_contract::questions::{Ask, Reply};
use sluice_contract::rest::cache::{AccessRefusal, ExplainedAccess, ExplainedRequest};
use sluice_gateway::questions::answer;

use crate::support::{Rig, Upstream, text};

async fn explained(rig: &Rig, api: ApiId, request: Value) -> ExplainedRequest {
    let request = Box::new(serde_json::from_value(request).unwrap());
    match answer(&rig.shared, rig.tenant, Ask::CacheKey { api, request }).await {
        Reply::CacheKey(explained) => *explained,
        other => panic!("{other:?}"),
    }
}

async fn explain(rig: &Rig, api: ApiId, request: Value) -> ExplainedAccess {
    explained(rig, api, request).await.access.unwrap()
}

fn limited(kind: &str, requests: u32) -> Value {
    json!([{ "type": kind, "settings": { "requests": requests, "period_s": 3600 } }])
}

fn set(rig: &mut Rig, entry: &CredentialEntry) {
    rig.apply(Change::CredentialSet(Box::new(entry.clone())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_said_to_be_answered_with_what_they_are_answered_with() {
    let upstream = Upstream::new(|_| async { text(200, &[], "x") }).await;
    let mut rig = Rig::start();
    let routes =
        json!([{ "id": "all", "path": "/{*path}" }, { "id": "open", "path": "/open", "access": "public" }]);
    let api = rig.api("a", upstream.address, json!({ "access": "subscription", "routes": routes }));
    let other = rig.api("b", upstream.address, json!({}));
    let good = rig.key("good", &[api]);
    let mut suspended = rig.key("suspended", &[api]);
    suspended.subscriptions[0].suspended = true;
    set(&mut rig, &suspended);
    let mut expired = rig.key("expired", &[api]);
    expired.expires_at = Some("2020-01-01T00:00:00Z".parse().unwrap());
    set(&mut rig, &expired);
    let stranger = rig.key("stranger", &[other]);
    let mut of_another = rig.key("of-another-tenant", &[api]);
    of_another.tenant = sluice_contract::ids::TenantId::generate();
    set(&mut rig, &of_another);
    let cases = [
        ("good", &good, None),
        ("suspended", &suspended, Some(AccessRefusal::SubscriptionSuspended)),
        ("expired", &expired, Some(AccessRefusal::ExpiredKey)),
        ("stranger", &stranger, Some(AccessRefusal::NotSubscribed)),
    ];
    for (key, entry, refusal) in cases {
        let carried = json!([{ "name": "x-api-key", "value": key }]);
        let by_key = explain(&rig, api, json!({ "path": "/x", "headers": carried })).await;
        let by_name = explain(&rig, api, json!({ "path": "/x", "application": entry.application })).await;
        assert_eq!((by_key.refusal, &by_key), (refusal, &by_name), "{key}");
        assert_eq!(
            by_key.plan,
            entry
                .subscriptions
                .iter()
                .find(|it| it.api == api && refusal != Some(AccessRefusal::ExpiredKey))
                .map(|it| it.plan)
        );
        let code = refusal.map(|refusal| serde_json::to_value(refusal).unwrap());
        let seen = rig.get("/acme/a/x", &[("x-api-key", key)]).await;
        assert_eq!(code.is_none(), seen.status == 200, "{key}");
        if let Some(code) = code {
            assert_eq!(seen.json()["code"], code, "{key}");
        }
        let open = explain(&rig, api, json!({ "path": "/open", "application": entry.application })).await;
        assert_eq!(open.refusal, None, "{key}: anybody may");
    }
    let nobody = explain(&rig, api, json!({ "path": "/x" })).await;
    assert_eq!(nobody.refusal, Some(AccessRefusal::MissingKey));
    for unknown in ["wrong", "of-another-tenant"] {
        let carried = json!([{ "name": "x-api-key", "value": unknown }]);
        let told = explain(&rig, api, json!({ "path": "/x", "headers": carried })).await;
        assert_eq!(told.refusal, Some(AccessRefusal::UnknownKey), "{unknown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_that_a_request_carries_says_whose_response_it_finds_whoever_is_assumed() {
    let upstream = Upstream::new(|_| async { text(200, &[("cache-control", "max-age=60")], "x") }).await;
    let mut rig = Rig::start();
    let policies = json!([{ "type": "cache", "settings": {} }]);
    let api = rig.api("a", upstream.address, json!({ "access": "subscription", "policies": policies }));
    let good = rig.key("good", &[api]);
    let other = rig.key("other", &[api]);
    assert_eq!(rig.get("/acme/a/x", &[("x-api-key", "good")]).await.status, 200);
    for (key, application, finds) in [
        (Some("good"), None, true),
        (Some("good"), Some(&other), true),
        (None, Some(&good), true),
        (None, Some(&other), false),
        (Some("other"), Some(&good), false),
        (Some("wrong"), Some(&good), false),
    ] {
        let headers: Vec<_> =
            key.map(|key| json!({ "name": "x-api-key", "value": key })).into_iter().collect();
        let request = json!({ "path": "/x", "host": "gateway.test", "headers": headers,
            "application": application.map(|entry| entry.application) });
        let explained = explained(&rig, api, request).await;
        let found = explained.keys.iter().any(|key| key.usable && key.entry.is_some());
        assert_eq!(found, finds, "{key:?} {:?}", explained.keys);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_each_limit_is_told_and_nothing_taken_from_it() {
    let upstream = Upstream::new(|_| async { text(200, &[], "x") }).await;
    let mut rig = Rig::start();
    let routes =
        json!([{ "id": "all", "path": "/{*path}" }, { "id": "open", "path": "/open", "access": "public" }]);
    let api = rig.api(
        "a",
        upstream.address,
        json!({ "access": "subscription", "routes": routes, "policies": limited("rate-limit", 5) }),
    );
    let mut entry = rig.key("one", &[api]);
    entry.subscriptions[0].policies = serde_json::from_value(limited("rate-limit", 2)).unwrap();
    set(&mut rig, &entry);
    let ask = json!({ "path": "/x", "application": entry.application });
    for used in 0..=2_u64 {
        for _ in 0..3 {
            let told = explain(&rig, api, ask.clone()).await;
            let left: Vec<_> = told.limits.iter().map(|it| (&*it.name, it.requests, it.remaining)).collect();
            assert_eq!(left, [("api", 5, Some(5 - used)), ("plan", 2, Some(2 - used))]);
            assert_eq!(told.refusal, (used == 2).then_some(AccessRefusal::RateLimited));
            assert_eq!(told.limits[1].retry_s.is_some(), used == 2);
        }
        let status = rig.get("/acme/a/x", &[("x-api-key", "one")]).await.status;
        assert_eq!(status, if used < 2 { 200 } else { 429 });
    }
    let open = explain(&rig, api, json!({ "path": "/open" })).await;
    assert_eq!((open.refusal, open.limits[0].remaining), (None, None), "it counts by address");
}
