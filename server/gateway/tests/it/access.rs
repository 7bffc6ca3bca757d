//! Routes, keys, subscriptions, limits, CORS, and changes to messages.

use chrono::{Duration, Utc};
use http::Method;
use serde_json::json;
use sluice_contract::journal::Change;

use crate::support::{Rig, Start, Upstream};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_a_subscription_is_let_in_and_everybody_else_is_told_why_not() {
    let upstream = Upstream::echo().await;
    let mut rig = Rig::start();
    let api = rig.api("orders", upstream.address, json!({ "access": "subscription" }));
    let other = rig.api("other", upstream.address, json!({ "access": "subscription" }));
    let good = rig.key("good-key", &[api]);
    rig.key("elsewhere-key", &[other]);
    let mut expired = rig.key("expired-key", &[api]);
    expired.expires_at = Some(Utc::now() - Duration::seconds(1));
    rig.apply(Change::CredentialSet(Box::new(expired)));
    let mut suspended = rig.key("suspended-key", &[api]);
    suspended.subscriptions[0].suspended = true;
    rig.apply(Change::CredentialSet(Box::new(suspended)));
    let mut stranger = rig.key("stranger-key", &[api]);
    stranger.tenant = sluice_contract::ids::TenantId::generate();
    rig.apply(Change::CredentialSet(Box::new(stranger)));

    let missing = rig.get("/acme/orders/a", &[]).await;
    assert_eq!((missing.status.as_u16(), missing.code().as_str()), (401, "missing_key"));
    assert_eq!(missing.header("www-authenticate"), "ApiKey header=\"x-api-key\"");
    for (key, status, code) in [
        ("wrong-key", 401, "unknown_key"),
        ("stranger-key", 401, "unknown_key"),
        ("expired-key", 401, "expired_key"),
        ("elsewhere-key", 403, "not_subscribed"),
        ("suspended-key", 403, "subscription_suspended"),
    ] {
        let seen = rig.get("/acme/orders/a", &[("x-api-key", key)]).await;
        assert_eq!((seen.status.as_u16(), seen.code().as_str()), (status, code), "{key}");
    }
    assert_eq!(upstream.count(), 0);
    let let_in = rig.get("/acme/orders/a", &[("X-API-Key", "good-key")]).await;
    assert_eq!(let_in.status, 200);
    assert!(let_in.json()["headers"].get("x-api-key").is_none(), "the upstream does not see the key");

    let calls = rig.calls(7).await;
    let record = calls.iter().find(|call| call.status == 200).unwrap();
    assert_eq!(record.application, Some(good.application));
    assert_eq!(record.subscription, Some(good.subscriptions[0].subscription));
    assert_eq!(record.plan, Some(good.subscriptions[0].plan));
    assert_eq!(calls.iter().filter(|call| call.error.is_some()).count(), 6);

    rig.apply(Change::CredentialRemoved { hash: good.hash });
    assert_eq!(rig.get("/acme/orders/a", &[("x-api-key", "good-key")]).await.code(), "unknown_key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_the_query_is_seen_by_nobody_after_the_gateway() {
    let upstream = Upstream::echo().await;
    let mut rig = Rig::start();
    let policies = json!([{ "type": "key-auth", "settings": { "query": "key", "bearer": true } }]);
    let api = rig.api("q", upstream.address, json!({ "access": "subscription", "policies": policies }));
    rig.key("secret-key", &[api]);
    let seen = rig.get("/acme/q/a?x=1&key=secret-key&y=2", &[]).await;
    assert_eq!(seen.json()["query"], "x=1&y=2");
    let bearer = rig.get("/acme/q/a", &[("authorization", "Bearer secret-key")]).await;
    assert!(bearer.json()["headers"].get("authorization").is_none());
    let wrong = rig.get("/acme/q/a?key=wrong-key", &[]).await;
    assert_eq!(wrong.code(), "unknown_key");
    assert_eq!(wrong.header("www-authenticate"), "Bearer");
    let calls = rig.calls(3).await;
    let written = serde_json::to_string(&calls).unwrap();
    assert!(!written.contains("secret-key") && !written.contains("wrong-key"), "{written}");
    assert!(calls.iter().any(|call| call.query.as_deref() == Some("x=1&y=2")));
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_plan_application_api_and_environment_hold_at_once() {
    let upstream = Upstream::echo().await;
    let mut rig = Rig::start();
    let limit = |requests: u64| json!({ "type": "rate-limit", "settings": { "requests": requests, "period_s": 3600 } });
    let api = rig.api("limited", upstream.address, json!({ "access": "subscription" }));
    let mut entry = rig.key("k", &[api]);
    entry.subscriptions[0].policies = vec![serde_json::from_value(limit(3)).unwrap()];
    rig.apply(Change::CredentialSet(Box::new(entry.clone())));
    for remaining in ["2", "1", "0"] {
        let seen = rig.get("/acme/limited/a", &[("x-api-key", "k")]).await;
        assert_eq!(seen.status, 200);
        assert!(
            seen.header("ratelimit").starts_with(&format!("\"plan\";r={remaining};t=")),
            "{:?}",
            seen.headers
        );
        assert_eq!(seen.header("ratelimit-policy"), "\"plan\";q=3;w=3600");
    }
    let refused = rig.get("/acme/limited/a", &[("x-api-key", "k")]).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (429, "rate_limited"));
    assert!((1..=1200).contains(&refused.header("retry-after").parse::<u32>().unwrap()));
    assert_eq!(refused.json()["retry"], true);

    // The same key set again does not refill; a larger application limit is not what refuses.
    entry.policies = vec![serde_json::from_value(limit(100)).unwrap()];
    rig.apply(Change::CredentialSet(Box::new(entry.clone())));
    assert_eq!(rig.get("/acme/limited/a", &[("x-api-key", "k")]).await.status, 429);
    let mut second = rig.key("k2", &[api]);
    second.application = entry.application;
    second.policies = vec![serde_json::from_value(limit(2)).unwrap()];
    rig.apply(Change::CredentialSet(Box::new(second)));
    // Refusals by the plan gave back what they took from the application: both of its requests are left.
    let statuses = [
        rig.get("/acme/limited/a", &[("x-api-key", "k2")]).await.status.as_u16(),
        rig.get("/acme/limited/a", &[("x-api-key", "k2")]).await.status.as_u16(),
        rig.get("/acme/limited/a", &[("x-api-key", "k2")]).await.status.as_u16(),
    ];
    assert_eq!(statuses, [200, 200, 429]);

    rig.api(
        "open",
        upstream.address,
        json!({ "policies": [limit(2)], "routes": [
        { "id": "a", "path": "/a" },
        { "id": "b", "path": "/b", "policies": [limit(1)] },
    ] }),
    );
    let mut statuses = Vec::new();
    for path in ["/a", "/b", "/b", "/a", "/a"] {
        statuses.push(rig.get(&format!("/acme/open{path}"), &[]).await.status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 429, 200, 429], "a route's own limit replaces the API's");
    rig.settings(json!({ "policies": [
        { "type": "rate-limit", "settings": { "requests": 1, "period_s": 3600, "per": "everyone" } },
    ] }));
    rig.api("free", upstream.address, json!({}));
    assert_eq!(rig.get("/acme/free/a", &[]).await.status, 200);
    assert_eq!(rig.get("/acme/free/b", &[]).await.status, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn preflights_are_answered_before_authentication_and_refusals_can_be_read_by_pages() {
    let upstream = Upstream::echo().await;
    let mut rig = Rig::start();
    rig.api("cors", upstream.address, json!({
        "access": "subscription",
        "routes": [{ "id": "put", "methods": ["PUT"], "path": "/a" }, { "id": "options", "methods": ["OPTIONS"], "path": "/b" }],
        "policies": [{ "type": "cors", "settings": { "origins": ["https://app.test"], "expose": ["x-total"] } }],
    }));
    let ask = [("origin", "https://app.test"), ("access-control-request-method", "PUT")];
    let allowed = rig.send(Method::OPTIONS, "/acme/cors/a", &ask, "").await;
    assert_eq!(allowed.status, 204);
    assert_eq!(allowed.header("access-control-allow-origin"), "https://app.test");
    assert_eq!(allowed.header("access-control-allow-methods"), "PUT");
    let evil = [("origin", "https://evil.test"), ("access-control-request-method", "PUT")];
    let refused = rig.send(Method::OPTIONS, "/acme/cors/a", &evil, "").await;
    assert!(!refused.headers.contains_key("access-control-allow-origin"));
    let wrong = [("origin", "https://app.test"), ("access-control-request-method", "DELETE")];
    assert_eq!(rig.send(Method::OPTIONS, "/acme/cors/a", &wrong, "").await.status, 405);
    let unauthorised = rig.send(Method::PUT, "/acme/cors/a", &[("origin", "https://app.test")], "").await;
    assert_eq!(
        (unauthorised.status.as_u16(), unauthorised.header("access-control-allow-origin")),
        (401, "https://app.test")
    );
    assert_eq!(unauthorised.header("access-control-expose-headers"), "x-total");
    assert_eq!(upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_are_rewritten_and_headers_changed_as_the_policies_say() {
    let upstream = Upstream::echo().await;
    let mut rig = Rig::start();
    rig.api("change", upstream.address, json!({
        "upstreams": [{ "name": "main", "targets": [{ "url": format!("http://{}/base/", upstream.address) }] }],
        "routes": [
            { "id": "user", "path": "/users/{id}/files/{*path}", "policies": [
                { "type": "rewrite", "settings": { "path": "/v2/{path}/of/{id}" } },
            ] },
            { "id": "plain", "path": "/plain" },
        ],
        "policies": [{ "type": "headers", "settings": {
            "request": { "remove": ["user-agent"], "set": [{ "name": "x-team", "value": "a" }] },
            "response": { "remove": ["content-type"], "add": [{ "name": "x-served", "value": "yes" }] },
        } }],
    }));
    let seen =
        rig.get("/acme/change/users/a%2Fb/files/x/y?q=1", &[("user-agent", "u"), ("x-team", "b")]).await;
    let saw = seen.json();
    assert_eq!(
        (saw["path"].as_str().unwrap(), saw["query"].as_str().unwrap()),
        ("/base/v2/x/y/of/a%2Fb", "q=1")
    );
    assert_eq!(saw["headers"]["x-team"], json!(["a"]));
    assert!(saw["headers"].get("user-agent").is_none());
    assert_eq!(seen.header("x-served"), "yes");
    assert!(!seen.headers.contains_key("content-type"));
    assert_eq!(rig.get("/acme/change/plain", &[]).await.json()["path"], "/base/plain");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_cannot_be_spelled_past_its_route() {
    let upstream = Upstream::echo().await;
    let mut rig = Rig::start();
    rig.api(
        "spell",
        upstream.address,
        json!({ "routes": [
        { "id": "admin", "path": "/admin/{*rest}", "access": "subscription" },
        { "id": "all", "path": "/{*rest}" },
    ] }),
    );
    for path in [
        "/acme/spell/admin/x",
        "/acme/spell/%61dmin/x",
        "/acme/spell/public/../admin/x",
        "/acme/spell/public/%2e%2e/admin/x",
        "/acme/spell//admin//x",
        "/acme/spell/./admin/x",
        "/acme/other/../spell/admin/x",
    ] {
        assert_eq!(rig.get(path, &[]).await.code_or_status(), "missing_key", "{path}");
    }
    assert_eq!(rig.get("/acme/spell/a//b", &[]).await.json()["path"], "/a//b");
    assert_eq!(rig.get("/acme/spell/a%2fb", &[]).await.json()["path"], "/a%2Fb");
    assert_eq!(rig.get("/acme/spell/%zz", &[]).await.code(), "bad_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn apis_answer_under_their_prefix_or_on_their_own_host_and_say_what_is_wrong() {
    let upstream = Upstream::echo().await;
    let mut rig = Rig::start();
    let api = rig.api(
        "own",
        upstream.address,
        json!({
            "hosts": ["Api.Acme.test"],
            "routes": [{ "id": "get", "methods": ["GET"], "path": "/a/{id}" }],
        }),
    );
    let own = rig.get("/a/1", &[("host", "API.acme.test:8000")]).await;
    assert_eq!(own.json()["path"], "/a/1");
    assert_eq!(rig.get("/acme/own/a/1", &[("host", "other.test")]).await.json()["path"], "/a/1");
    assert_eq!(rig.send(Method::HEAD, "/acme/own/a/1", &[], "").await.status, 200);
    let wrong = rig.send(Method::POST, "/acme/own/a/1", &[], "").await;
    assert_eq!((wrong.code().as_str(), wrong.header("allow")), ("method_not_allowed", "GET, HEAD"));
    assert_eq!(rig.get("/acme/own/b", &[]).await.code(), "unknown_route");
    assert_eq!(rig.get("/acme/nothing/b", &[]).await.code(), "unknown_api");
    assert_eq!(rig.get("/", &[]).await.code(), "unknown_api");
    rig.apply(Change::ApiWithdrawn { api });
    assert_eq!(rig.get("/acme/own/a/1", &[]).await.code(), "unknown_api");
    assert_eq!(rig.get("/a/1", &[("host", "api.acme.test")]).await.code(), "unknown_api");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_somebody_could_have_read_on_the_way_is_refused_unless_allowed() {
    let upstream = Upstream::echo().await;
    let far = ("x-forwarded-for", "203.0.113.9");
    for plain_keys in [false, true] {
        let mut rig = Rig::with(Start { plain_keys, ..Start::default() });
        let api = rig.api("closed", upstream.address, json!({ "access": "subscription" }));
        rig.key("k1", &[api]);
        let key = ("x-api-key", "k1");
        assert_eq!(rig.get("/acme/closed/a", &[key]).await.status, 200, "from this machine");
        // Nobody's word counts before the proxy is trusted.
        assert_eq!(rig.get("/acme/closed/a", &[key, far]).await.status, 200);
        rig.settings(json!({ "trusted_proxies": ["127.0.0.1"] }));
        for (fields, secure) in [
            (vec![far], false),
            (vec![far, ("x-forwarded-proto", "http")], false),
            (vec![far, ("x-forwarded-proto", "https, http")], false),
            (vec![far, ("x-forwarded-proto", "https")], true),
            (vec![("forwarded", "for=203.0.113.9;proto=https")], true),
            (vec![("forwarded", "for=203.0.113.9;proto=http"), ("x-forwarded-proto", "https")], false),
        ] {
            let seen = rig.get("/acme/closed/a", &[&[key], fields.as_slice()].concat()).await;
            let expected = if secure || plain_keys { "200 OK" } else { "key_over_http" };
            assert_eq!(seen.code_or_status(), expected, "{fields:?}");
        }
        let without = rig.get("/acme/closed/a", &[far]).await;
        assert_eq!(without.code(), "missing_key");
    }
}
