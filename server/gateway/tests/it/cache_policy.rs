//! The cache policy's word over what the upstream and callers say, through the front door.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Method, Request};
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::support::{Rig, Upstream, text};

type Fields = &'static [(&'static str, &'static str)];

/// A gateway with one API, `/acme/c`, whose upstream counts in its body and answers `/{status}` with that status.
async fn rig(fields: Fields, settings: Value) -> (Rig, Upstream) {
    let count = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::new(move |request: Request<Incoming>| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        let status = request.uri().path().trim_matches('/').parse().unwrap_or(200);
        async move { text(status, fields, number.to_string()) }
    })
    .await;
    let mut rig = Rig::start();
    let policies = json!({ "policies": [{ "type": "cache", "settings": settings }] });
    rig.api("c", upstream.address, policies);
    (rig, upstream)
}

/// Whether a second request is answered from the store.
async fn is_stored(fields: Fields, settings: Value, path: &str) -> bool {
    let (rig, upstream) = rig(fields, settings).await;
    let path = format!("/acme/c{path}");
    rig.get(&path, &[]).await;
    rig.get(&path, &[]).await;
    upstream.count() == 1
}

#[tokio::test(flavor = "multi_thread")]
async fn times_to_live_hold_by_status_and_content_type() {
    let rules = json!({ "ttl_rules": [
        { "statuses": [404], "ttl_s": 60 },
        { "content_types": ["application/json"], "methods": ["GET"], "ttl_s": 60 },
    ] });
    let json: Fields = &[("content-type", "application/json")];
    assert!(is_stored(&[], rules.clone(), "/404").await);
    assert!(is_stored(json, rules.clone(), "/200").await);
    assert!(!is_stored(&[("content-type", "text/html")], rules.clone(), "/200").await);
    assert!(!is_stored(json, json!({ "ttl_rules": [{ "methods": ["POST"], "ttl_s": 60 }] }), "/200").await);
    assert!(!is_stored(&[("cache-control", "no-store")], rules, "/404").await, "the upstream is honoured");
    let errors = json!({ "ttl_rules": [{ "statuses": [410, 503], "ttl_s": 60 }] });
    for (path, stored) in [("/410", true), ("/503", true), ("/500", false)] {
        assert_eq!(is_stored(&[], errors.clone(), path).await, stored, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_keeps_its_status() {
    let errors = json!({ "ttl_rules": [{ "statuses": [404, 503], "ttl_s": 60 }] });
    for status in [404, 503] {
        let (rig, upstream) = rig(&[], errors.clone()).await;
        for fields in [&[][..], &[], &[("cache-control", "max-age=100")]] {
            assert_eq!(rig.get(&format!("/acme/c/{status}"), fields).await.status.as_u16(), status);
        }
        assert_eq!(upstream.count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_honours_overrides_or_ignores_the_upstream() {
    let of = |origin: &str| json!({ "ttl_s": 60, "origin": origin });
    for (said, honour, override_, ignore) in [
        (&[("cache-control", "max-age=0")][..], false, true, true),
        (&[("cache-control", "no-store")], false, false, true),
        (&[("cache-control", "private, max-age=60")], false, false, true),
        (&[("cache-control", "max-age=60")], true, true, true),
    ] {
        for (origin, expected) in [("honour", honour), ("override", override_), ("ignore", ignore)] {
            assert_eq!(is_stored(said, of(origin), "/a").await, expected, "{origin} {said:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_older_than_the_oldest_is_served_whatever_has_become_of_the_upstream() {
    for (settings, expected) in [
        (json!({ "stale_while_revalidate_s": 60, "stale_if_error_s": 60 }), 200),
        (json!({ "stale_while_revalidate_s": 60, "stale_if_error_s": 60, "oldest_s": 1 }), 503),
        (json!({ "stale_while_revalidate_s": 60, "stale_if_error_s": 60, "oldest_s": 30 }), 200),
    ] {
        let count = Arc::new(AtomicUsize::new(0));
        let upstream = Upstream::new(move |_| {
            let status = if count.fetch_add(1, Ordering::SeqCst) == 0 { 200 } else { 503 };
            async move { text(status, &[("cache-control", "max-age=1")], "") }
        })
        .await;
        let mut rig = Rig::start();
        rig.api("c", upstream.address, json!({ "policies": [{ "type": "cache", "settings": settings }] }));
        rig.get("/acme/c/a", &[]).await;
        tokio::time::sleep(Duration::from_millis(1_300)).await;
        let asked = rig.get("/acme/c/a", &[("cache-control", "max-stale")]).await;
        assert_eq!(asked.status.as_u16(), expected, "{settings}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_for_the_policy_is_fetched_for_its_age_and_not_for_the_request() {
    let fields: Fields = &[("cache-control", "max-age=100"), ("age", "5")];
    let (rig, _upstream) = rig(fields, json!({ "oldest_s": 3 })).await;
    rig.get("/acme/c/a", &[]).await;
    let answer = rig.get("/acme/c/a", &[]).await;
    assert!(answer.header("cache-status").starts_with("sluice; fwd=stale"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn strong_consistency_goes_past_the_store_wholly() {
    let (rig, upstream) =
        rig(&[("cache-control", "max-age=60")], json!({ "strong_consistency": true })).await;
    for _ in 0..2 {
        assert_eq!(rig.get("/acme/c/a", &[]).await.header("cache-status"), "sluice; fwd=bypass");
    }
    let asked = rig.get("/acme/c/a", &[("cache-control", "only-if-cached")]).await;
    assert_eq!((asked.status.as_u16(), upstream.count()), (200, 3));
    assert_eq!(rig.shared.cache.entries(), 0);
    let questions = json!({ "strong_consistency": true, "post_max_body_bytes": 16 });
    let (rig, _upstream) = self::rig(&[("cache-control", "max-age=60")], questions).await;
    let asked = rig.send(Method::POST, "/acme/c/a", &[], "who?").await;
    assert_eq!(asked.header("cache-status"), "sluice; fwd=method", "no question is read for the store");
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_directives_count_only_where_the_policy_lets_them() {
    for (settings, expected) in [(json!({}), 2), (json!({ "caller_directives": "ignore" }), 1)] {
        for directive in ["no-cache", "max-age=0", "min-fresh=100", "no-store"] {
            let (rig, upstream) =
                rig(&[("cache-control", "max-age=60"), ("age", "5")], settings.clone()).await;
            rig.get("/acme/c/a", &[]).await;
            rig.get("/acme/c/a", &[("cache-control", directive)]).await;
            assert_eq!(upstream.count(), expected, "{directive} {settings}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_of_responses_are_stored_only_where_the_policy_says_so() {
    let with_cookie: Fields = &[("cache-control", "public, max-age=60"), ("set-cookie", "a=1")];
    for (settings, cookie) in [(json!({}), ""), (json!({ "store_set_cookie": true }), "a=1")] {
        let (rig, upstream) = rig(with_cookie, settings).await;
        assert_eq!(rig.get("/acme/c/a", &[]).await.header("set-cookie"), "a=1");
        assert_eq!((rig.get("/acme/c/a", &[]).await.header("set-cookie"), upstream.count()), (cookie, 1));
    }
    let unmarked: Fields = &[("cache-control", "max-age=60"), ("set-cookie", "a=1")];
    assert!(!is_stored(unmarked, json!({}), "/a").await);
    assert!(is_stored(unmarked, json!({ "store_set_cookie": true }), "/a").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn jitter_shortens_lifetimes_each_in_its_own_way() {
    let (rig, _upstream) = rig(&[("cache-control", "max-age=1000")], json!({ "jitter_percent": 50 })).await;
    let mut seen = std::collections::BTreeSet::new();
    for i in 0..20 {
        let path = format!("/acme/c/{i}x");
        rig.get(&path, &[]).await;
        let status = rig.get(&path, &[]).await.header("cache-status").to_owned();
        let (_, ttl) = status.split_once("ttl=").unwrap();
        let ttl: i64 = ttl.split(';').next().unwrap().parse().unwrap();
        assert!((490..=1000).contains(&ttl), "{status}");
        seen.insert(ttl);
    }
    assert!(seen.len() > 5, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_post_says_of_its_own_url_answers_later_gets_and_is_forgotten_by_the_next_write() {
    let own: Fields = &[("cache-control", "max-age=60"), ("content-location", "/item")];
    let (rig, upstream) = rig(own, json!({})).await;
    let post = async || rig.send(Method::POST, "/acme/c/item", &[], "x").await;
    let posted = post().await;
    let status = posted.header("cache-status");
    assert!(status.starts_with("sluice; fwd=method; stored; key="), "{status}");
    assert_eq!(rig.get("/acme/c/item", &[]).await.body, "1");
    assert_eq!(post().await.body, "2");
    assert_eq!(rig.get("/acme/c/item", &[]).await.body, "2");
    rig.send(Method::DELETE, "/acme/c/item", &[], "").await;
    assert_eq!(rig.get("/acme/c/item", &[]).await.body, "4");
    assert_eq!(upstream.count(), 4);
    rig.send(Method::POST, "/acme/c/other", &[], "x").await;
    assert_eq!(rig.get("/acme/c/other", &[]).await.body, "6", "it speaks of another URL");
}
