//! Which requests share a stored response, through the front door.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::support::{Rig, Upstream, text};

fn cached(settings: Value) -> Value {
    json!({ "policies": [{ "type": "cache", "settings": settings }] })
}

/// Answers with how many requests there were, and the body that it was sent.
async fn counting() -> Upstream {
    let count = Arc::new(AtomicUsize::new(0));
    Upstream::new(move |request: Request<Incoming>| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        async move {
            let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let said = format!("{number}:{}", String::from_utf8_lossy(&body));
            text(200, &[("cache-control", "max-age=60")], said)
        }
    })
    .await
}

/// Whether the second request is answered by what the first stored.
async fn share(rig: &Rig, first: (&str, &[(&str, &str)]), second: (&str, &[(&str, &str)])) -> bool {
    let before = rig.get(first.0, first.1).await.body;
    let after = rig.get(second.0, second.1).await;
    let hit = after.header("cache-status").contains("hit");
    assert_eq!(hit, after.body == before, "{:?}", after.headers);
    hit
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_in_a_body_is_answered_from_the_cache_where_the_policy_says_so() {
    let upstream = counting().await;
    let mut rig = Rig::start();
    rig.api("q", upstream.address, cached(json!({ "post_max_body_bytes": 16 })));
    rig.api("no", upstream.address, cached(json!({})));
    let ask = async |path: &str, kind: &str, body: &str| {
        let seen = rig.send(Method::POST, path, &[("content-type", kind)], body.to_owned()).await;
        (seen.header("cache-status").to_owned(), String::from_utf8(seen.body.to_vec()).unwrap())
    };
    let (status, first) = ask("/acme/q/search", "a/b", "who?").await;
    assert!(status.starts_with("sluice; fwd=uri-miss; stored; key=") && first == "1:who?", "{status}");
    let (status, again) = ask("/acme/q/search", "a/b", "who?").await;
    assert!(status.starts_with("sluice; hit") && again == first, "{status} {again}");
    assert_eq!(ask("/acme/q/search", "a/b", "what?").await.1, "2:what?");
    assert_eq!(ask("/acme/q/search", "a/c", "who?").await.1, "3:who?", "another type is another question");
    assert_eq!(rig.get("/acme/q/search", &[]).await.body, "4:", "GET asks for something else");
    let long = "a question of more than sixteen bytes";
    for number in [5, 6] {
        let (status, answer) = ask("/acme/q/search", "a/b", long).await;
        assert_eq!((status.as_str(), answer), ("sluice; fwd=method", format!("{number}:{long}")));
    }
    for number in [7, 8] {
        assert_eq!(ask("/acme/no/search", "a/b", "who?").await.1, format!("{number}:who?"));
    }
    // In pieces, of no announced length.
    let chunked = |body: &'static str| {
        let head = "POST /acme/q/search HTTP/1.1\r\nhost: gateway.test\r\nconnection: close\r\ncontent-type: a/b\r\n";
        format!("{head}transfer-encoding: chunked\r\n\r\n{body}0\r\n\r\n")
    };
    let answer = rig.raw(chunked("2\r\nwh\r\n2\r\no?\r\n").as_bytes()).await;
    assert!(answer.contains("sluice; hit"), "{answer}");
    let answer = rig.raw(chunked("a\r\na question\r\n14\r\n in pieces, and long\r\n").as_bytes()).await;
    assert!(answer.contains("fwd=method") && answer.contains("9:a question in pieces, and long"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_post_without_conditions_and_ranges_asks_by_its_body() {
    let none = ("x-own", "1");
    for (method, field, asks) in [
        (Method::POST, none, true),
        (Method::PUT, none, false),
        (Method::PATCH, none, false),
        (Method::POST, ("if-none-match", "\"a\""), false),
        (Method::POST, ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT"), false),
        (Method::POST, ("range", "bytes=0-1"), false),
    ] {
        let upstream = counting().await;
        let mut rig = Rig::start();
        rig.api("q", upstream.address, cached(json!({ "post_max_body_bytes": 16 })));
        for _ in 0..2 {
            rig.send(method.clone(), "/acme/q/search", &[field], "who?").await;
        }
        assert_eq!(upstream.count(), if asks { 1 } else { 2 }, "{method} {field:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_change_nothing_and_other_methods_do_where_questions_are_stored() {
    for (method, body, changes) in [
        (Method::POST, "who?", false),
        (Method::POST, "a question of more than sixteen bytes", false),
        (Method::PUT, "who?", true),
        (Method::DELETE, "", true),
    ] {
        let upstream = counting().await;
        let mut rig = Rig::start();
        rig.api(
            "q",
            upstream.address,
            cached(json!({ "post_max_body_bytes": 16, "write_through": "always" })),
        );
        assert_eq!(rig.get("/acme/q/a", &[]).await.body, "1:");
        let answer = rig.send(method.clone(), "/acme/q/a", &[], body).await;
        let stored = answer.header("cache-status").starts_with("sluice; fwd=method; stored");
        assert_eq!(stored, method == Method::PUT, "{method} {body}");
        assert_eq!(rig.get("/acme/q/a", &[]).await.body != "1:", changes, "{method} {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_questions_live_as_long_as_the_policy_says_of_post() {
    let upstream = Upstream::new(|_| async { text(200, &[], "x") }).await;
    let mut rig = Rig::start();
    for (api, method) in [("post", "POST"), ("get", "GET")] {
        let rules = json!([{ "methods": [method], "ttl_s": 60 }]);
        rig.api(api, upstream.address, cached(json!({ "post_max_body_bytes": 16, "ttl_rules": rules })));
    }
    let is_hit = async |method: Method, path: &str| {
        let mut last = String::new();
        for _ in 0..2 {
            last = rig.send(method.clone(), path, &[], "who?").await.header("cache-status").to_owned();
        }
        last.contains("hit")
    };
    assert!(is_hit(Method::POST, "/acme/post/a").await);
    assert!(!is_hit(Method::POST, "/acme/get/a").await, "the rule is about GET");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_identifies_a_caller_keeps_copies_apart() {
    let upstream = counting().await;
    let mut rig = Rig::start();
    let key = json!({ "type": "key-auth", "settings": { "header": "x-own-key", "forward": true } });
    let cache = json!({ "type": "cache", "settings": {} });
    rig.api("p", upstream.address, json!({ "policies": [key, cache] }));
    for (path, first, second) in [
        ("a", &[("authorization", "one")][..], &[("authorization", "two")][..]),
        ("b", &[("cookie", "a=1"), ("cookie", "b=1")], &[("cookie", "a=1"), ("cookie", "b=2")]),
        ("c", &[("authorization", "x"), ("cookie", "y")], &[("cookie", "x"), ("authorization", "y")]),
        // Nobody's key here, but the upstream sees it.
        ("d", &[("x-own-key", "one")], &[("x-own-key", "two")]),
        ("e", &[("x-own-key", "one")], &[]),
        ("f", &[("authorization", "one")], &[]),
    ] {
        let path = format!("/acme/p/{path}");
        assert!(!share(&rig, (&path, first), (&path, second)).await, "{path}");
        assert!(share(&rig, (&path, first), (&path, first)).await, "{path}");
        // What was said to nobody in particular is for those who have only cookies, too.
        let nobodys = format!("{path}/nobody");
        let only_cookies = first.iter().all(|(name, _)| *name == "cookie");
        assert_eq!(share(&rig, (&nobodys, &[]), (&nobodys, first)).await, only_cookies, "{nobodys}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_one_application_share_where_the_policy_says_so() {
    let upstream = counting().await;
    let mut rig = Rig::start();
    let definition = |settings| json!({ "access": "subscription", "policies": [{ "type": "cache", "settings": settings }] });
    let by_caller = rig.api("caller", upstream.address, definition(json!({})));
    let by_application = rig.api("app", upstream.address, definition(json!({ "separate": "application" })));
    rig.key("one", &[by_caller, by_application]);
    rig.key("two", &[by_caller, by_application]);
    let one_user = &[("x-api-key", "one"), ("authorization", "ann")][..];
    let another_user = &[("x-api-key", "one"), ("authorization", "bob")][..];
    let another_application = &[("x-api-key", "two"), ("authorization", "ann")][..];
    assert!(!share(&rig, ("/acme/caller/a", one_user), ("/acme/caller/a", another_user)).await);
    assert!(share(&rig, ("/acme/app/a", one_user), ("/acme/app/a", another_user)).await);
    assert!(!share(&rig, ("/acme/app/a", one_user), ("/acme/app/a", another_application)).await);

    // Who has no application has copies of his own.
    let open = json!({ "policies": [{ "type": "cache", "settings": { "separate": "application" } }] });
    rig.api("open", upstream.address, open);
    let (ann, bob) = ([("authorization", "ann")], [("authorization", "bob")]);
    assert!(!share(&rig, ("/acme/open/a", &ann), ("/acme/open/a", &bob)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_scheme_chosen_cookies_and_the_query_as_the_policy_chooses() {
    let upstream = counting().await;
    let mut rig = Rig::start();
    rig.settings(json!({ "trusted_proxies": ["127.0.0.1"] }));
    rig.api("all", upstream.address, cached(json!({})));
    let https = &[("x-forwarded-proto", "https")][..];
    assert!(!share(&rig, ("/acme/all/a", &[]), ("/acme/all/a", https)).await);
    assert!(
        !share(&rig, ("/acme/all/b", &[]), ("/acme/all/b?", &[])).await,
        "two resources (RFC 3986 §6.2.3)"
    );
    assert!(!share(&rig, ("/acme/all/c%2Fd", &[]), ("/acme/all/c/d", &[])).await);
    assert!(
        share(&rig, ("/acme/all/%65", &[]), ("/acme/all/e", &[])).await,
        "one resource (RFC 3986 §6.2.2)"
    );
    assert!(!share(&rig, ("/acme/all/f?a=1&b=2", &[]), ("/acme/all/f?b=2&a=1", &[])).await);

    let cookies = json!({ "shared": true, "cookies": ["theme"] });
    rig.api("cookies", upstream.address, cached(cookies));
    let with = |cookie| [("cookie", cookie)];
    assert!(
        share(&rig, ("/acme/cookies/a", &with("theme=x; id=1")), ("/acme/cookies/a", &with("id=2; theme=x")))
            .await
    );
    assert!(!share(&rig, ("/acme/cookies/b", &with("theme=x")), ("/acme/cookies/b", &with("theme=y"))).await);

    rig.api("sorted", upstream.address, cached(json!({ "sort_query": true })));
    assert!(share(&rig, ("/acme/sorted/a?a=1&b=2", &[]), ("/acme/sorted/a?b=2&a=1", &[])).await);
    assert!(!share(&rig, ("/acme/sorted/b?a=1&a=2", &[]), ("/acme/sorted/b?a=2&a=1", &[])).await);

    rig.api("only", upstream.address, cached(json!({ "query": { "mode": "only", "names": ["page"] } })));
    assert!(share(&rig, ("/acme/only/a?page=1&utm=1", &[]), ("/acme/only/a?page=1", &[])).await);
    assert!(!share(&rig, ("/acme/only/b?%70age=1", &[]), ("/acme/only/b?%70age=2", &[])).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_and_a_release_forget_what_was_stored_before() {
    let upstream = counting().await;
    let mut rig = Rig::start();
    rig.api("e", upstream.address, cached(json!({})));
    let body = async |rig: &Rig| rig.get("/acme/e/a", &[]).await.body;
    let first = body(&rig).await;
    rig.api("e", upstream.address, cached(json!({ "ttl_s": 5 })));
    assert_eq!(body(&rig).await, first, "a release alone forgets nothing");
    rig.api("e", upstream.address, cached(json!({ "epoch": 1 })));
    let second = body(&rig).await;
    assert_ne!(second, first);
    rig.revision = 2;
    rig.api("e", upstream.address, cached(json!({ "epoch": 1, "each_release": true })));
    let third = body(&rig).await;
    assert_eq!(body(&rig).await, third);
    rig.revision = 3;
    rig.api("e", upstream.address, cached(json!({ "epoch": 1, "each_release": true })));
    assert_ne!(body(&rig).await, third);
    assert_eq!(upstream.count(), 4);
    assert_eq!(Bytes::from_static(b"4:"), body(&rig).await);
}
