//! The response cache through the front door.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use serde_json::{Value, json};
use sluice_contract::calls::CacheOutcome;
use sluice_contract::ids::{ApiId, PurgeId};
use sluice_contract::journal::{Change, Purge, PurgeScope};

use crate::support::{Answer, Rig, Seen, Upstream, text};

fn cached(settings: Value) -> Value {
    json!({ "policies": [{ "type": "cache", "settings": settings }] })
}

/// An upstream that counts in its body and answers with these fields.
async fn counting(fields: &'static [(&'static str, &'static str)]) -> Upstream {
    let count = Arc::new(AtomicUsize::new(0));
    Upstream::new(move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        async move { text(200, fields, number.to_string()) }
    })
    .await
}

fn purge(scope: PurgeScope) -> Change {
    Change::Purge(Purge { id: PurgeId::generate(), scope, tenant: None, soft: false, changed: false })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_response_is_served_again_with_its_age_and_status() {
    let upstream = counting(&[("cache-control", "max-age=60"), ("x-own", "1")]).await;
    let mut rig = Rig::start();
    rig.api("c", upstream.address, cached(json!({})));
    let first = rig.get("/acme/c/a?x=1", &[]).await;
    let status = first.header("cache-status");
    assert!(status.starts_with("sluice; fwd=uri-miss; stored; key=") && first.body == "1", "{first:?}");
    let second = rig.get("/acme/c/a?x=1", &[]).await;
    assert_eq!((&second.body[..], second.header("x-own")), (&b"1"[..], "1"));
    assert!(
        second.header("cache-status").starts_with("sluice; hit; ttl="),
        "{}",
        second.header("cache-status")
    );
    assert!(second.header("age").parse::<u64>().unwrap() <= 1);
    assert_ne!(second.header("x-request-id"), first.header("x-request-id"));
    let head = rig.send(Method::HEAD, "/acme/c/a?x=1", &[], "").await;
    assert!(head.header("cache-status").contains("hit") && head.body.is_empty());
    assert_eq!(rig.get("/acme/c/a?x=2", &[]).await.body, "2", "another query is another response");
    assert_eq!(upstream.count(), 2);
    let outcomes: Vec<_> = rig.calls(4).await.iter().map(|call| call.cache).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == CacheOutcome::Hit).count(), 2, "{outcomes:?}");
    assert!(rig.shared.cache.entries() <= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_says_nothing_is_stored_only_when_the_policy_says_how_long() {
    let upstream = counting(&[]).await;
    let mut rig = Rig::start();
    rig.api("silent", upstream.address, cached(json!({})));
    rig.api("ttl", upstream.address, cached(json!({ "ttl_s": 60 })));
    rig.api("none", upstream.address, json!({}));
    for (slug, hits) in [("silent", false), ("ttl", true), ("none", false)] {
        let path = format!("/acme/{slug}/a");
        let first = rig.get(&path, &[]).await;
        let second = rig.get(&path, &[]).await;
        assert_eq!(first.body == second.body, hits, "{slug}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_do_not_see_each_other_s_responses_unless_they_are_public() {
    for (fields, settings, shared) in [
        (&[("cache-control", "max-age=60")][..], json!({}), false),
        (&[("cache-control", "max-age=60, public")], json!({}), true),
        (&[("cache-control", "s-maxage=60")], json!({}), true),
        (&[], json!({ "ttl_s": 60 }), false),
        (&[], json!({ "ttl_s": 60, "shared": true }), true),
    ] {
        let upstream = counting(fields).await;
        let mut rig = Rig::start();
        let definition =
            json!({ "access": "subscription", "policies": [{ "type": "cache", "settings": settings }] });
        let api = rig.api("c", upstream.address, definition);
        rig.key("one", &[api]);
        rig.key("two", &[api]);
        let get = async |key: &str, more: &[(&str, &str)]| {
            let headers = [&[("x-api-key", key)][..], more].concat();
            rig.get("/acme/c/a", &headers).await.body
        };
        let first = get("one", &[]).await;
        assert_eq!(get("one", &[]).await, first, "{fields:?}");
        assert_eq!(get("two", &[]).await == first, shared, "{fields:?}");
        assert_eq!(get("one", &[("authorization", "Bearer person-1")]).await == first, shared, "{fields:?}");
        assert_eq!(get("one", &[("cookie", "session=1")]).await == first, shared, "{fields:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_vary_by_what_the_upstream_and_the_policy_name() {
    let upstream = Upstream::new(|request: Request<Incoming>| async move {
        let language =
            request.headers().get("accept-language").map_or("none", |v| v.to_str().unwrap()).to_owned();
        text(200, &[("cache-control", "max-age=60"), ("vary", "accept-language")], language)
    })
    .await;
    let mut rig = Rig::start();
    rig.api("v", upstream.address, cached(json!({ "vary_headers": ["x-tier"] })));
    for _ in 0..2 {
        for language in ["de", "fr"] {
            let seen = rig.get("/acme/v/a", &[("accept-language", language), ("user-agent", "x")]).await;
            assert_eq!(seen.body, language);
        }
    }
    assert_eq!(upstream.count(), 2, "both variants are kept");
    rig.get("/acme/v/a", &[("accept-language", "de"), ("x-tier", "gold")]).await;
    assert_eq!(upstream.count(), 3);
    let miss = rig.get("/acme/v/a", &[("accept-language", "it")]).await;
    let status = miss.header("cache-status");
    assert!(status.starts_with("sluice; fwd=vary-miss; stored; key="), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_responses_are_validated_and_clients_get_304() {
    let upstream = Upstream::new(|request: Request<Incoming>| async move {
        let fields = [("cache-control", "max-age=0"), ("etag", "\"v1\""), ("x-time", "new")];
        if request.headers().get("if-none-match").is_some_and(|tag| tag == "\"v1\"") {
            return text(304, &fields, "");
        }
        text(200, &[("cache-control", "max-age=0"), ("etag", "\"v1\""), ("x-time", "old")], "body")
    })
    .await;
    let mut rig = Rig::start();
    rig.api("v", upstream.address, cached(json!({})));
    rig.get("/acme/v/a", &[]).await;
    let again = rig.get("/acme/v/a", &[]).await;
    assert_eq!((again.status.as_u16(), &again.body[..], again.header("x-time")), (200, &b"body"[..], "new"));
    let status = again.header("cache-status");
    assert!(status.starts_with("sluice; fwd=stale; fwd-status=304; stored; key="), "{status}");
    let insisted = rig.get("/acme/v/a", &[("cache-control", "no-cache")]).await;
    assert!(
        insisted.header("cache-status").starts_with("sluice; fwd=request; fwd-status=304"),
        "{insisted:?}"
    );
    let same = rig.get("/acme/v/a", &[("if-none-match", "W/\"v1\"")]).await;
    assert_eq!((same.status.as_u16(), same.body.len(), same.header("etag")), (304, 0, "\"v1\""));
    let outcomes: Vec<_> = rig.calls(4).await.iter().map(|call| call.cache).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == CacheOutcome::Revalidated).count(), 3);

    let fresh = counting(&[("cache-control", "max-age=60"), ("etag", "\"f\"")]).await;
    rig.api("f", fresh.address, cached(json!({})));
    let first = rig.get("/acme/f/a", &[("if-none-match", "\"f\"")]).await;
    assert_eq!(first.status, 304, "the whole response was fetched and the condition answered here");
    assert_eq!(rig.get("/acme/f/a", &[]).await.body, "1");
    assert_eq!(fresh.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validation_may_bring_other_fields_that_tell_requests_apart() {
    let upstream = Upstream::new(|request: Request<Incoming>| async move {
        let kind = request.headers().get("x-kind").map_or("", |kind| kind.to_str().unwrap()).to_owned();
        let fields = [("cache-control", "max-age=60"), ("etag", "\"a\""), ("vary", "x-kind")];
        match request.headers().contains_key("if-none-match") {
            true if kind == "one" => text(304, &fields, ""),
            true => text(200, &fields, kind),
            false => text(200, &fields[..2], kind),
        }
    })
    .await;
    let mut rig = Rig::start();
    rig.api("v", upstream.address, cached(json!({})));
    let get = async |kind: &str, said: &str| {
        rig.get("/acme/v/a", &[("x-kind", kind), ("cache-control", said)]).await
    };
    assert_eq!(get("one", "").await.body, "one");
    assert_eq!(get("two", "").await.body, "one", "nothing says that they differ");
    assert!(get("one", "no-cache").await.header("cache-status").contains("fwd-status=304"));
    let two = get("two", "").await;
    assert!(two.header("cache-status").contains("fwd=vary-miss"), "{two:?}");
    assert!(get("one", "").await.header("cache-status").contains("hit"));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_may_ask_for_more_than_the_cache_has() {
    let upstream = counting(&[("cache-control", "max-age=60"), ("age", "10")]).await;
    let mut rig = Rig::start();
    rig.api("c", upstream.address, cached(json!({})));
    let get = async |field: &str, value: &str| rig.get("/acme/c/a", &[(field, value)]).await;
    assert_eq!(get("cache-control", "only-if-cached").await.code(), "not_cached");
    assert_eq!(get("x", "y").await.body, "1");
    assert_eq!(get("cache-control", "max-age=30").await.body, "1");
    assert_eq!(get("cache-control", "only-if-cached").await.body, "1");
    assert_eq!(get("cache-control", "max-age=5").await.body, "2");
    assert_eq!(get("cache-control", "min-fresh=55").await.body, "3");
    assert_eq!(get("pragma", "no-cache").await.body, "4");
    assert_eq!(get("cache-control", "no-store").await.body, "5");
    assert_eq!(get("x", "y").await.body, "4", "what was not to be stored was not");
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_cut_from_what_is_stored_and_never_stored_themselves() {
    let fields = &[("cache-control", "max-age=60"), ("etag", "\"a\"")];
    let upstream = Upstream::new(move |_| async move { text(200, fields, "0123456789".to_owned()) }).await;
    let mut rig = Rig::start();
    rig.api("c", upstream.address, cached(json!({})));
    let get = async |range: &str| rig.get("/acme/c/a", &[("range", range)]).await;
    let unstored = get("bytes=2-4").await;
    assert_eq!(
        (unstored.header("cache-status"), unstored.status.as_u16()),
        ("sluice; fwd=bypass", 200),
        "this upstream knows no ranges"
    );
    rig.get("/acme/c/a", &[]).await;
    assert_eq!(upstream.count(), 2);

    let part = get("bytes=2-4").await;
    assert_eq!(
        (part.status.as_u16(), &part.body[..], part.header("content-range")),
        (206, &b"234"[..], "bytes 2-4/10")
    );
    assert_eq!(part.header("content-length"), "3");
    assert!(part.header("cache-status").starts_with("sluice; hit"));
    let beyond = get("bytes=10-").await;
    assert_eq!(
        (beyond.status.as_u16(), &beyond.body[..], beyond.header("content-range")),
        (416, &b""[..], "bytes */10")
    );
    let parts = get("bytes=0-1,4-5").await;
    assert!(parts.header("content-type").starts_with("multipart/byteranges; boundary="));
    assert_eq!((parts.status.as_u16(), parts.header("content-range")), (206, ""));
    let other = rig.get("/acme/c/a", &[("range", "bytes=2-4"), ("if-range", "\"b\"")]).await;
    assert_eq!((other.status.as_u16(), &other.body[..]), (200, &b"0123456789"[..]));
    let same = rig.get("/acme/c/a", &[("range", "bytes=2-4"), ("if-none-match", "\"a\"")]).await;
    assert_eq!((same.status.as_u16(), &same.body[..]), (304, &b""[..]));
    assert_eq!(upstream.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_response_is_served_at_once_while_one_fetch_brings_the_next() {
    let count = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::new(move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        // What the fetch behind the answer brings stays fresh: it is not to be fetched behind another answer.
        let said = if number < 3 { "max-age=1, stale-while-revalidate=60" } else { "max-age=60" };
        let fields: &'static [_] = Box::leak(Box::new([("cache-control", said)]));
        async move { text(200, fields, number.to_string()) }
    })
    .await;
    let mut rig = Rig::start();
    rig.api("c", upstream.address, cached(json!({})));
    assert_eq!(rig.get("/acme/c/a", &[]).await.body, "1");
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(rig.get("/acme/c/a", &[("cache-control", "max-age=0")]).await.body, "2", "who insists waits");
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let stale = rig.get("/acme/c/a", &[]).await;
    assert_eq!(stale.body, "2");
    assert!(
        stale.header("cache-status").starts_with("sluice; hit; ttl=-")
            || stale.header("cache-status").contains("ttl=0;")
    );
    let mut asked = 3;
    loop {
        asked += 1;
        let body = rig.get("/acme/c/a", &[]).await.body;
        if body == "3" {
            break;
        }
        assert!(body == "2" && asked < 500, "{body:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(upstream.count(), 3, "one fetch brings the next");
    let calls = rig.calls(asked).await;
    assert_eq!(calls.len(), asked, "the fetch behind an answer is no call");
    assert!(calls.iter().any(|call| call.cache == CacheOutcome::Stale));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_response_stands_in_for_an_error_where_somebody_has_said_so() {
    for (said, settings, expected) in [
        ("max-age=1, stale-if-error=60", json!({}), 200),
        ("max-age=1", json!({ "stale_if_error_s": 60 }), 200),
        ("max-age=1", json!({}), 503),
        ("max-age=1, must-revalidate, stale-if-error=60", json!({}), 503),
    ] {
        let count = Arc::new(AtomicUsize::new(0));
        let upstream = Upstream::new(move |_| {
            let status = if count.fetch_add(1, Ordering::SeqCst) == 0 { 200 } else { 503 };
            let fields: &'static [_] = Box::leak(Box::new([("cache-control", said)]));
            async move { text(status, fields, status.to_string()) }
        })
        .await;
        let mut rig = Rig::start();
        rig.api("c", upstream.address, cached(settings));
        assert_eq!(rig.get("/acme/c/a", &[]).await.status.as_u16(), 200);
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        assert_eq!(rig.get("/acme/c/a", &[]).await.status.as_u16(), expected, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_requests_that_miss_together_share_one_fetch() {
    for announced in [true, false] {
        let upstream = Upstream::new(move |_| slow_body(announced)).await;
        let mut rig = Rig::start();
        rig.api("co", upstream.address, cached(json!({})));
        let rig = Arc::new(rig);
        let requests: Vec<_> = (0..100)
            .map(|_| {
                let rig = Arc::clone(&rig);
                tokio::spawn(async move { rig.get("/acme/co/a", &[]).await })
            })
            .collect();
        for request in requests {
            let seen = request.await.unwrap();
            assert_eq!((seen.status.as_u16(), seen.body.len()), (200, 40_000));
        }
        assert_eq!(upstream.count(), 1, "announced length: {announced}");
        let calls = rig.calls(100).await;
        let coalesced = calls.iter().filter(|call| call.cache == CacheOutcome::Coalesced).count();
        assert!(coalesced >= 50, "{coalesced}");
    }
}

async fn slow_body(announced: bool) -> Answer {
    tokio::time::sleep(Duration::from_millis(100)).await;
    let pieces = futures_util::stream::unfold(0, |number| async move {
        if number == 4 {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        Some((Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![b'x'; 10_000]))), number + 1))
    });
    let body = StreamBody::new(
        Box::pin(pieces) as std::pin::Pin<Box<dyn futures_core::Stream<Item = _> + Send + Sync>>
    );
    let mut response = http::Response::builder().header("cache-control", "max-age=60");
    if announced {
        response = response.header("content-length", 40_000);
    }
    response.body(BodyExt::boxed(body)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_for_what_cannot_be_stored_do_not_wait_for_one_another() {
    let upstream = Upstream::new(|_| async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        text(200, &[("cache-control", "no-store")], "x")
    })
    .await;
    let mut rig = Rig::start();
    rig.api("un", upstream.address, cached(json!({})));
    rig.get("/acme/un/a", &[]).await;
    let rig = Arc::new(rig);
    let begun = std::time::Instant::now();
    let requests: Vec<_> = (0..20)
        .map(|_| {
            let rig = Arc::clone(&rig);
            tokio::spawn(async move { rig.get("/acme/un/a", &[]).await.status })
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap(), 200);
    }
    assert!(begun.elapsed() < Duration::from_millis(1_000), "{:?}", begun.elapsed());
    assert_eq!(upstream.count(), 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_does_not_spoil_the_fill_and_a_body_too_large_is_passed_whole() {
    let upstream = Upstream::new(move |_| slow_body(true)).await;
    let mut rig = Rig::start();
    rig.api("co", upstream.address, cached(json!({})));
    rig.api("small", upstream.address, cached(json!({ "max_body_bytes": 39_999 })));
    let address = rig.address();
    let request = Request::get("/acme/co/a")
        .header("host", "gateway.test")
        .body(http_body_util::Full::default())
        .unwrap();
    let response = crate::support::exchange(address, request).await;
    drop(response);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let seen = rig.get("/acme/co/a", &[]).await;
    assert!(seen.header("cache-status").contains("hit"), "{:?}", seen.headers);
    assert_eq!(upstream.count(), 1);
    for _ in 0..2 {
        assert_eq!(rig.get("/acme/small/a", &[]).await.body.len(), 40_000);
    }
    assert_eq!(upstream.count(), 3);

    let chunked = Upstream::new(move |_| slow_body(false)).await;
    rig.api("chunked", chunked.address, cached(json!({ "max_body_bytes": 15_000 })));
    for _ in 0..2 {
        assert_eq!(rig.get("/acme/chunked/a", &[]).await.body.len(), 40_000);
    }
    assert_eq!(chunked.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn purges_by_url_and_api_remove_every_caller_s_copy_and_nothing_else() {
    let upstream = counting(&[("cache-control", "max-age=60")]).await;
    let mut rig = Rig::start();
    let definition = json!({ "access": "subscription", "policies": [{ "type": "cache", "settings": {} }] });
    let api = rig.api("p", upstream.address, definition.clone());
    let other = rig.api("other", upstream.address, definition);
    rig.key("one", &[api, other]);
    rig.key("two", &[api, other]);
    let paths = ["/acme/p/a?x=1", "/acme/p/a", "/acme/other/a"];
    let all = async |rig: &Rig| {
        let mut bodies = Vec::new();
        for path in paths {
            for key in ["one", "two"] {
                bodies.push(
                    String::from_utf8(rig.get(path, &[("x-api-key", key)]).await.body.to_vec()).unwrap(),
                );
            }
        }
        bodies
    };
    let before = all(&rig).await;
    assert_eq!(all(&rig).await, before);
    rig.apply(purge(PurgeScope::Url { api, path: "/a?x=1".to_owned() }));
    let after_url = all(&rig).await;
    assert!(after_url[..2].iter().zip(&before).all(|(new, old)| new != old), "{after_url:?}");
    assert_eq!(after_url[2..], before[2..]);
    rig.apply(purge(PurgeScope::Api { api }));
    let after_api = all(&rig).await;
    assert!(after_api[..4].iter().zip(&after_url).all(|(new, old)| new != old), "{after_api:?}");
    assert_eq!(after_api[4..], before[4..]);
    assert_eq!(all(&rig).await, after_api, "what is fetched after a purge is stored again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fill_that_is_in_flight_does_not_bring_back_what_was_purged() {
    let upstream = Upstream::new(|_| async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        text(200, &[("cache-control", "max-age=60")], "old")
    })
    .await;
    let mut rig = Rig::start();
    let api: ApiId = rig.api("late", upstream.address, cached(json!({})));
    let address = rig.address();
    let request = Request::get("/acme/late/a")
        .header("host", "gateway.test")
        .body(http_body_util::Full::default())
        .unwrap();
    let fill = tokio::spawn(async move { crate::support::exchange(address, request).await.status() });
    tokio::time::sleep(Duration::from_millis(100)).await;
    rig.apply(purge(PurgeScope::Url { api, path: "/a".to_owned() }));
    assert_eq!(fill.await.unwrap(), 200);
    let after = rig.get("/acme/late/a", &[]).await;
    assert!(after.header("cache-status").contains("fwd="), "{:?}", after.headers);
    assert_eq!(upstream.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsafe_method_that_succeeds_forgets_the_url_and_one_that_fails_does_not() {
    let count = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::new(move |request: Request<Incoming>| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            if request.method() == Method::GET {
                return text(200, &[("cache-control", "max-age=60")], number.to_string());
            }
            let failed = request.uri().query() == Some("fail");
            text(if failed { 500 } else { 204 }, &[("location", "/b")], "")
        }
    })
    .await;
    let mut rig = Rig::start();
    rig.api("u", upstream.address, cached(json!({ "query": { "mode": "none" } })));
    let get = async |path: &str| rig.get(path, &[]).await.body;
    let (a, b, c) = (get("/acme/u/a").await, get("/acme/u/b").await, get("/acme/u/c").await);
    rig.send(Method::POST, "/acme/u/a?fail", &[], "").await;
    assert_eq!(get("/acme/u/a").await, a);
    let posted = rig.send(Method::POST, "/acme/u/a", &[], "x").await;
    assert_eq!(posted.header("cache-status"), "sluice; fwd=method");
    assert_ne!(get("/acme/u/a").await, a);
    assert_ne!(get("/acme/u/b").await, b, "the response named it");
    assert_eq!(get("/acme/u/c").await, c);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forgotten_is_what_a_change_names_on_the_same_host() {
    let count = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::new(move |request: Request<Incoming>| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            if request.method() == Method::GET {
                return text(200, &[("cache-control", "max-age=60")], number.to_string());
            }
            let named = request.headers().get("x-named").map_or("", |named| named.to_str().unwrap());
            text(303, &[("location", named)], "")
        }
    })
    .await;
    let mut rig = Rig::start();
    rig.api("u", upstream.address, cached(json!({})));
    let target = format!("http://{}/b", upstream.address);
    let network_path = format!("//{}/b#top", upstream.address);
    for (method, named, own_forgotten, named_forgotten) in [
        (Method::POST, "", true, false),
        (Method::OPTIONS, "/b", false, false),
        (Method::POST, "/b", true, true),
        (Method::POST, "/acme/u/b", true, true),
        (Method::POST, "/acme/ub", true, false),
        (Method::POST, "http://GATEWAY.test/acme/u/b", true, true),
        (Method::POST, &target, true, true),
        (Method::POST, &network_path, true, true),
        (Method::POST, "b", true, true),
        (Method::POST, "x/../b", true, true),
        (Method::POST, "?b", true, false),
        (Method::POST, "//elsewhere.test/b", true, false),
        (Method::POST, "http://elsewhere.test/b", true, false),
        (Method::POST, "http://elsewhere.test/acme/u/b", true, false),
    ] {
        let (own, other) = (rig.get("/acme/u/a", &[]).await.body, rig.get("/acme/u/b", &[]).await.body);
        let changed = rig.send(method.clone(), "/acme/u/a", &[("x-named", named)], "").await;
        assert_eq!(changed.status, 303);
        let now = (rig.get("/acme/u/a", &[]).await.body, rig.get("/acme/u/b", &[]).await.body);
        assert_eq!((now.0 != own, now.1 != other), (own_forgotten, named_forgotten), "{method} {named}");
    }
    let page = rig.get("/acme/u/a?page=2", &[]).await.body;
    rig.send(Method::POST, "/acme/u/a", &[("x-named", "?page=2")], "").await;
    assert_ne!(rig.get("/acme/u/a?page=2", &[]).await.body, page, "another query of the same path");
    let root = rig.get("/acme/u", &[]).await.body;
    rig.send(Method::POST, "/acme/u/a", &[("x-named", "/acme/u")], "").await;
    assert_ne!(rig.get("/acme/u", &[]).await.body, root, "the API's base itself");
    let below =
        json!([{ "name": "main", "targets": [{ "url": format!("http://{}/v1/", upstream.address) }] }]);
    let mut settings = cached(json!({ "query": { "mode": "none" } }));
    settings["upstreams"] = below;
    rig.api("below", upstream.address, settings);
    for (named, forgotten) in [("/v1/b", true), ("b?at=http://x", true), ("/v1b", false), ("/v2/b", false)] {
        let before = rig.get("/acme/below/b", &[]).await.body;
        rig.send(Method::POST, "/acme/below/a", &[("x-named", named)], "").await;
        assert_eq!(rig.get("/acme/below/b", &[]).await.body != before, forgotten, "{named}");
    }
}

/// Which headers the request carried that what is stored was got by is not known of a change.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_forgets_the_url_as_it_stands_beside_what_belongs_to_the_key_of_one_route() {
    let upstream = counting(&[("cache-control", "max-age=60")]).await;
    let mut rig = Rig::start();
    let without_query = json!([{ "type": "cache", "settings": { "query": { "mode": "none" } } }]);
    let with_query = json!([{ "type": "cache", "settings": {} }]);
    let routes = json!({ "routes": [
        { "id": "two", "path": "/{*path}", "headers": [{ "name": "x-two" }], "policies": with_query },
        { "id": "one", "path": "/{*path}", "policies": without_query.clone() },
    ] });
    rig.api("h", upstream.address, routes);
    let get = async |headers: &[(&str, &str)]| rig.get("/acme/h/a?x=1", headers).await.body;
    let (one, two) = (get(&[]).await, get(&[("x-two", "")]).await);
    assert_eq!((get(&[]).await, get(&[("x-two", "")]).await), (one.clone(), two.clone()));
    rig.send(Method::PUT, "/acme/h/a?x=1", &[], "x").await;
    assert_ne!(get(&[]).await, one);
    assert_ne!(get(&[("x-two", "")]).await, two);
    let routes = json!({ "routes": [
        { "id": "two", "path": "/a", "methods": ["GET"], "headers": [{ "name": "x-two" }], "policies": without_query },
        { "id": "one", "path": "/{*path}" },
    ] });
    let api = rig.api("only", upstream.address, routes);
    let get = async |rig: &Rig| rig.get("/acme/only//a?x=1", &[("x-two", "")]).await.body;
    let before = get(&rig).await;
    assert_eq!(get(&rig).await, before);
    rig.send(Method::PUT, "/acme/only//a?y=2", &[], "x").await;
    let now = get(&rig).await;
    assert_ne!(now, before, "whatever headers it was got by");
    rig.apply(purge(PurgeScope::Url { api, path: "//a?z=3".to_owned() }));
    assert_ne!(get(&rig).await, now, "by a purge, too");
}

/// Each operation is a route of its own, and the policy is attached to that which reads.
#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_is_not_cached_itself_forgets_what_another_has_stored_of_the_url() {
    let count = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::new(move |request: Request<Incoming>| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            if request.method() == Method::GET {
                return text(200, &[("cache-control", "max-age=60")], number.to_string());
            }
            let failed = request.uri().query() == Some("fail");
            text(if failed { 500 } else { 201 }, &[("location", "/items/b?x=2")], "")
        }
    })
    .await;
    let mut rig = Rig::start();
    let without_query = json!([{ "type": "cache", "settings": { "query": { "mode": "none" } } }]);
    rig.api(
        "o",
        upstream.address,
        json!({ "routes": [
            { "id": "read", "methods": ["GET"], "path": "/items/{id}", "policies": without_query },
            { "id": "write", "methods": ["PUT", "DELETE"], "path": "/items/{id}" },
            { "id": "add", "methods": ["POST"], "path": "/items" },
        ] }),
    );
    let get = async |id: &str| rig.get(&format!("/acme/o/items/{id}?x=1"), &[]).await.body;
    let (mut a, b, c) = (get("a").await, get("b").await, get("c").await);
    assert_eq!(get("a").await, a);
    rig.send(Method::PUT, "/acme/o/items/a?fail", &[], "x").await;
    assert_eq!(get("a").await, a, "it failed");
    for method in [Method::PUT, Method::DELETE] {
        let answer = rig.send(method.clone(), "/acme/o/items/a?y=3", &[], "x").await;
        assert_eq!(answer.headers.get("cache-status"), None, "the operation has no policy");
        let now = get("a").await;
        assert_ne!(now, a, "{method}");
        a = now;
    }
    assert_ne!(get("b").await, b, "the response named it");
    assert_eq!(get("c").await, c);
    let b = get("b").await;
    rig.send(Method::POST, "/acme/o/items", &[], "x").await;
    assert_ne!(get("b").await, b, "from a URL that is not cached, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_response_stands_in_when_the_upstream_is_gone_unless_it_must_not() {
    for (fields, expected) in [
        (&[("cache-control", "max-age=0"), ("etag", "\"a\"")][..], 200),
        (&[("cache-control", "max-age=0, must-revalidate"), ("etag", "\"a\"")], 502),
    ] {
        let served = Arc::new(AtomicUsize::new(0));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let fields_text: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let counted = Arc::clone(&served);
        tokio::spawn(async move {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut buffer = [0; 2048];
                let _ = stream.read(&mut buffer).await;
                if counted.fetch_add(1, Ordering::SeqCst) == 0 {
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\n{fields_text}content-length: 2\r\nconnection: close\r\n\r\nok"
                    );
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            }
        });
        let mut rig = Rig::start();
        rig.api("gone", address, cached(json!({})));
        assert_eq!(rig.get("/acme/gone/a", &[]).await.status, 200);
        let second = rig.get("/acme/gone/a", &[]).await;
        assert_eq!(second.status, expected, "{fields:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_word_from_the_control_plane_stored_responses_are_validated_first() {
    let upstream = counting(&[("cache-control", "max-age=60")]).await;
    let mut rig = Rig::start();
    rig.api("d", upstream.address, cached(json!({})));
    let first = rig.get("/acme/d/a", &[]).await.body;
    rig.shared.switches.link_stale.store(true, Ordering::Relaxed);
    assert_ne!(rig.get("/acme/d/a", &[]).await.body, first);
    rig.shared.switches.link_stale.store(false, Ordering::Relaxed);
    let hit = rig.get("/acme/d/a", &[]).await;
    assert!(hit.header("cache-status").contains("hit"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_of_purged_responses_is_given_back() {
    let body = vec![b'x'; 100_000];
    let upstream = Upstream::new(move |_| {
        let body = body.clone();
        async move { text(200, &[("cache-control", "max-age=60")], body) }
    })
    .await;
    let mut rig = Rig::start();
    let api = rig.api("gone", upstream.address, cached(json!({})));
    rig.api("kept", upstream.address, cached(json!({})));
    let cache = Arc::clone(&rig.shared.cache);
    // The cache does its sums now and then.
    let until = async |what: &str, rig: &Rig, is: &dyn Fn(u64) -> bool| {
        for _ in 0..100 {
            if is(cache.bytes()) {
                return;
            }
            rig.get("/acme/kept/a", &[]).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{what}: {} bytes", cache.bytes());
    };
    rig.get("/acme/gone/a", &[]).await;
    rig.get("/acme/gone/b", &[]).await;
    until("stored", &rig, &|bytes| bytes > 300_000).await;
    rig.apply(purge(PurgeScope::Url { api, path: "/b".to_owned() }));
    until("one is purged", &rig, &|bytes| (200_000..210_000).contains(&bytes)).await;
    rig.apply(purge(PurgeScope::Api { api }));
    until("an API is purged", &rig, &|bytes| (100_000..110_000).contains(&bytes)).await;
    assert_eq!(upstream.count(), 3);
    rig.get("/acme/kept/a", &[]).await;
    assert_eq!(upstream.count(), 3, "what was not purged is still there");
}

/// Most answers from the store have their fields written once for all; one for which something has to be looked at does not.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_whose_fields_are_written_already_is_the_same_as_one_whose_are_not() {
    let fields: &[(&str, &str)] = &[
        ("cache-control", "max-age=60"),
        ("age", "7"),
        ("via", "1.1 near"),
        ("x-request-id", "theirs"),
        ("x-two", "1"),
        ("x-two", "2"),
        ("cache-status", "near; hit"),
    ];
    let upstream = Upstream::new(move |_| async move { text(200, fields, "body") }).await;
    let mut rig = Rig::start();
    rig.api("c", upstream.address, cached(json!({})));
    rig.get("/acme/c/a", &[]).await;
    let (plain, other) = (rig.get("/acme/c/a", &[]).await, rig.get("/acme/c/a", &[("pragma", "x")]).await);
    for seen in [&plain, &other] {
        assert_ne!(seen.header("x-request-id"), "theirs");
        let ids = seen.headers.get_all("x-request-id").iter().count();
        assert_eq!((seen.status.as_u16(), &seen.body[..], ids), (200, &b"body"[..], 1));
        assert_eq!(seen.header("via"), "1.1 near, 1.1 sluice");
        let status: Vec<_> = seen.headers.get_all("cache-status").iter().collect();
        assert!(status[0] == "near; hit" && status[1].to_str().unwrap().starts_with("sluice; hit; ttl=5"));
    }
    let without_id = |seen: &Seen| {
        let mut headers = seen.headers.clone();
        headers.remove("x-request-id");
        headers
    };
    assert_eq!(without_id(&plain), without_id(&other));
    assert_eq!(upstream.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_recorded_with_why_the_upstream_was_asked() {
    let vary = [("cache-control", "max-age=60"), ("vary", "x-kind")];
    let upstream = Upstream::new(move |request| async move {
        match request.uri().path() {
            "/stale" => text(200, &[("cache-control", "max-age=0"), ("etag", "\"v\"")], "x"),
            _ => text(200, &vary, "x"),
        }
    })
    .await;
    let mut rig = Rig::start();
    rig.api("c", upstream.address, cached(json!({})));
    rig.api("strong", upstream.address, cached(json!({ "strong_consistency": true })));
    rig.api("plain", upstream.address, json!({}));
    let asked = [
        (Method::GET, "/acme/c/a", vec![], CacheOutcome::Miss),
        (Method::GET, "/acme/c/a", vec![], CacheOutcome::Hit),
        (Method::GET, "/acme/c/a", vec![("x-kind", "other")], CacheOutcome::VaryMiss),
        (Method::GET, "/acme/c/a", vec![("cache-control", "no-cache")], CacheOutcome::Request),
        (Method::GET, "/acme/c/a", vec![("cache-control", "min-fresh=90")], CacheOutcome::Request),
        (Method::GET, "/acme/c/a", vec![("cache-control", "no-store")], CacheOutcome::Bypass),
        (Method::GET, "/acme/c/b", vec![("cache-control", "only-if-cached")], CacheOutcome::Miss),
        (Method::GET, "/acme/c/stale", vec![], CacheOutcome::Miss),
        (Method::GET, "/acme/c/stale", vec![], CacheOutcome::Expired),
        (Method::POST, "/acme/c/a", vec![], CacheOutcome::Method),
        (Method::GET, "/acme/strong/a", vec![], CacheOutcome::Bypass),
        (Method::GET, "/acme/plain/a", vec![], CacheOutcome::Uncached),
        (Method::GET, "/acme/nowhere/a", vec![], CacheOutcome::Uncached),
    ];
    for (i, (method, path, headers, _)) in asked.iter().enumerate() {
        let id = i.to_string();
        let headers = [&headers[..], &[("x-request-id", &*id)]].concat();
        rig.send(method.clone(), path, &headers, "").await;
    }
    let mut calls = rig.calls(asked.len()).await;
    calls.sort_by_key(|call| call.request_id.parse::<usize>().unwrap());
    for (call, (method, path, headers, wanted)) in calls.iter().zip(&asked) {
        assert_eq!(call.cache, *wanted, "{method} {path} {headers:?}");
    }
}
