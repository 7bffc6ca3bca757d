//! Whether what is stored answers a request: each word of the upstream's and of the request's that decides it, by itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{Method, Request};
use hyper::body::Incoming;
use serde_json::{Value, json};
use sluice_contract::calls::CacheOutcome;

use crate::support::{Rig, Seen, Upstream, text};

/// What the upstream says first: `Cache-Control`, and how old its answer is.
type Said = (&'static str, &'static str);

fn cached(settings: Value) -> Value {
    json!({ "policies": [{ "type": "cache", "settings": settings }] })
}

/// Answers the first request as said and the others with a status, and counts in its body.
async fn upstream(said: Said, then: u16) -> Upstream {
    let count = Arc::new(AtomicUsize::new(0));
    Upstream::new(move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        async move {
            let fields = [("cache-control", said.0), ("age", said.1), ("etag", "\"e\"")];
            if number == 1 { text(200, &fields, "1") } else { text(then, &[], number.to_string()) }
        }
    })
    .await
}

/// A gateway that has stored what was said.
async fn stored(said: Said, then: u16) -> (Rig, Upstream) {
    let upstream = upstream(said, then).await;
    let mut rig = Rig::start();
    rig.api("c", upstream.address, cached(json!({})));
    assert_eq!(rig.get("/acme/c/a", &[]).await.body, "1");
    (rig, upstream)
}

async fn ask(rig: &Rig, directives: &str) -> Seen {
    let fields = [("cache-control", directives)];
    rig.get("/acme/c/a", if directives.is_empty() { &[] } else { &fields }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_answers_where_neither_side_forbids_it() {
    const BEHIND: &str = "max-age=100, stale-while-revalidate=60";
    for (said, age, directives, answers) in [
        ("max-age=100", "5", "", true),
        ("max-age=100, no-cache", "5", "", false),
        ("max-age=100", "105", "", false),
        ("max-age=100", "105", "max-stale", true),
        ("max-age=100", "105", "max-stale=60", true),
        ("max-age=100", "105", "max-stale=2", false),
        ("max-age=100, must-revalidate", "105", "max-stale=60", false),
        ("max-age=100, immutable", "5", "max-age=0", true),
        ("max-age=100, immutable", "105", "max-age=50, max-stale=60", false),
        (BEHIND, "105", "", true),
        (BEHIND, "165", "", false),
        (BEHIND, "105", "max-age=50", false),
        (BEHIND, "105", "no-cache", false),
        (BEHIND, "105", "min-fresh=1", false),
        ("max-age=100, stale-while-revalidate=60, must-revalidate", "105", "", false),
        ("max-age=100, stale-while-revalidate=60, no-cache", "105", "", false),
    ] {
        let (rig, _upstream) = stored((said, age), 200).await;
        let seen = ask(&rig, directives).await;
        assert_eq!(seen.body == "1", answers, "{said}, {age} s old, asked with `{directives}`: {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_stale_is_served_at_once_to_head_or_without_word_from_the_control_plane() {
    let (rig, _upstream) = stored(("max-age=100, stale-while-revalidate=60", "105"), 200).await;
    let head = rig.send(Method::HEAD, "/acme/c/a", &[], "").await;
    assert!(head.header("cache-status").contains("fwd=stale"), "{head:?}");
    let (rig, _upstream) = stored(("max-age=100, stale-while-revalidate=60", "105"), 200).await;
    rig.shared.switches.link_stale.store(true, Ordering::Relaxed);
    assert_eq!(ask(&rig, "").await.body, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_fresh_and_yet_asked_for_again_is_said_to_be_stale_where_nobody_insists_on_it() {
    let (rig, _upstream) = stored(("max-age=100", "5"), 200).await;
    assert!(ask(&rig, "min-fresh=99").await.header("cache-status").contains("fwd=request"));
    let (rig, _upstream) = stored(("max-age=100", "5"), 200).await;
    rig.shared.switches.link_stale.store(true, Ordering::Relaxed);
    assert!(ask(&rig, "").await.header("cache-status").contains("fwd=stale"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_that_only_the_upstream_can_judge_and_a_body_go_past_what_is_stored() {
    let (rig, upstream) = stored(("max-age=100", "5"), 200).await;
    for (headers, body) in [(&[("if-match", "\"e\"")][..], ""), (&[], "x")] {
        let seen = rig.send(Method::GET, "/acme/c/a", headers, body).await;
        assert!(seen.header("cache-status").contains("fwd=bypass"), "{seen:?}");
    }
    assert_eq!(upstream.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_answers_over_http2_with_its_fields() {
    let (rig, upstream) = stored(("max-age=100", "5"), 200).await;
    let stream = tokio::net::TcpStream::connect(rig.address()).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(executor, hyper_util::rt::TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://gateway.test/acme/c/a");
    let seen = sender
        .send_request(request.body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap())
        .await
        .unwrap();
    let field = |name: &str| seen.headers().get(name).map_or("", |value| value.to_str().unwrap());
    assert!(field("cache-status").contains("; hit"), "{seen:?}");
    assert_eq!((field("etag"), field("cache-control"), upstream.count()), ("\"e\"", "max-age=100", 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_stands_in_for_an_error_where_neither_side_forbids_it() {
    const IF_ERROR: &str = "max-age=100, stale-if-error=60";
    for (said, age, directives, then, stands_in) in [
        (IF_ERROR, "105", "", 500, true),
        (IF_ERROR, "105", "", 504, true),
        (IF_ERROR, "105", "", 501, false),
        (IF_ERROR, "105", "", 404, false),
        (IF_ERROR, "165", "", 500, false),
        (IF_ERROR, "105", "no-cache", 500, false),
        ("max-age=100, stale-if-error=60, must-revalidate", "105", "", 500, false),
        ("max-age=100, stale-if-error=60, no-cache", "105", "", 500, false),
        ("max-age=100", "105", "", 500, false),
        ("max-age=100", "105", "stale-if-error=60", 500, true),
        ("max-age=100", "165", "stale-if-error=60", 500, false),
        ("max-age=100, stale-if-error=2", "105", "stale-if-error=60", 500, true),
        ("max-age=100, must-revalidate", "105", "stale-if-error=60", 500, false),
    ] {
        let (rig, _upstream) = stored((said, age), then).await;
        let seen = ask(&rig, directives).await;
        let case = format!("{said}, {age} s old, asked with `{directives}`, {then}: {seen:?}");
        assert_eq!(seen.status.as_u16(), if stands_in { 200 } else { then }, "{case}");
        assert_eq!(seen.body == "1", stands_in, "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_stands_in_for_an_upstream_that_is_gone_and_for_none_that_is_not_allowed() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let not_allowed: SocketAddr = "169.254.1.1:80".parse().unwrap();
    for (address, heard, status) in [(gone, true, 200), (gone, false, 502), (not_allowed, true, 502)] {
        let (mut rig, _upstream) = stored(("max-age=100", "105"), 200).await;
        rig.api("c", address, cached(json!({})));
        rig.shared.switches.link_stale.store(!heard, Ordering::Relaxed);
        assert_eq!(ask(&rig, "").await.status.as_u16(), status, "{address}, heard: {heard}");
    }
    for (directives, status) in [("", 502), ("stale-if-error=60", 200), ("stale-if-error=2", 502)] {
        let (mut rig, _upstream) = stored(("max-age=100, stale-if-error=1", "105"), 200).await;
        rig.api("c", gone, cached(json!({})));
        assert_eq!(ask(&rig, directives).await.status.as_u16(), status, "`{directives}`");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_recorded_and_said_as_it_was() {
    const BEHIND: &str = "max-age=100, stale-while-revalidate=60";
    const IF_ERROR: &str = "max-age=100, stale-if-error=60";
    for (said, age, directives, then, recorded, status) in [
        ("max-age=100", "5", "", 200, CacheOutcome::Hit, "sluice; hit"),
        ("max-age=100", "105", "max-stale", 200, CacheOutcome::Stale, "sluice; hit"),
        (BEHIND, "105", "", 200, CacheOutcome::Stale, "sluice; hit"),
        (IF_ERROR, "105", "", 500, CacheOutcome::Stale, "sluice; hit"),
        ("max-age=100", "105", "", 304, CacheOutcome::Revalidated, "sluice; fwd=stale; fwd-status=304"),
        ("max-age=100", "105", "", 404, CacheOutcome::Expired, "sluice; fwd=stale"),
        ("max-age=100", "5", "no-cache", 200, CacheOutcome::Request, "sluice; fwd=request"),
        ("max-age=100, no-cache", "5", "", 404, CacheOutcome::Expired, "sluice; fwd=stale"),
        ("max-age=100", "5", "no-store", 200, CacheOutcome::Bypass, "sluice; fwd=bypass"),
    ] {
        let (rig, _upstream) = stored((said, age), then).await;
        let case = format!("{said}, {age} s old, asked with `{directives}`, {then}");
        let answer = ask(&rig, directives).await;
        assert!(answer.header("cache-status").starts_with(status), "{case}: {answer:?}");
        let calls = rig.calls(2).await;
        assert!(calls.iter().any(|call| call.cache == recorded), "{case}: {calls:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_head_renews_what_it_describes_and_makes_stale_what_it_does_not() {
    for (age, status, tag, answers) in [
        ("105", 200, "\"e\"", true),
        ("105", 404, "\"e\"", false),
        ("5", 200, "\"e\"", true),
        ("5", 200, "\"f\"", false),
        ("5", 404, "\"f\"", true),
    ] {
        let count = Arc::new(AtomicUsize::new(0));
        let upstream = Upstream::new(move |request: Request<Incoming>| {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            let fields = move |age, tag| [("cache-control", "max-age=100"), ("age", age), ("etag", tag)];
            async move {
                match *request.method() {
                    Method::HEAD => text(status, &fields("0", tag), "1"),
                    _ if number == 1 => text(200, &fields(age, "\"e\""), "1"),
                    _ => text(200, &[], "2"),
                }
            }
        })
        .await;
        let mut rig = Rig::start();
        rig.api("c", upstream.address, cached(json!({})));
        ask(&rig, "").await;
        let head = rig.send(Method::HEAD, "/acme/c/a", &[("cache-control", "no-cache")], "").await;
        assert_eq!((head.status.as_u16(), upstream.count()), (status, 2));
        assert_eq!(ask(&rig, "").await.body == "1", answers, "{age} s old, HEAD says {status} and {tag}");
    }
}

/// A gateway with a stored response that is stale and has a tag, a date and a field, whose upstream confirms it with these fields.
async fn confirmed(fields: &'static [(&'static str, &'static str)], settings: Value) -> (Rig, Upstream) {
    let count = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::new(move |_| {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            let stored =
                [("cache-control", "max-age=100"), ("age", "105"), ("etag", "\"e\""), ("x-own", "1")];
            if first { text(200, &stored, "1") } else { text(304, fields, "") }
        }
    })
    .await;
    let mut rig = Rig::start();
    rig.api("c", upstream.address, cached(settings));
    (rig, upstream)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_confirmed_takes_the_fields_of_its_own_version_and_is_stored_again_where_that_may_be() {
    for (fields, own, again) in [
        (&[("etag", "\"e\""), ("cache-control", "max-age=100"), ("x-own", "2")][..], "2", true),
        (&[("cache-control", "max-age=100"), ("x-own", "2")], "2", true),
        // Of another version: nothing says that this one is fresh for longer.
        (&[("etag", "\"f\""), ("cache-control", "max-age=200"), ("x-own", "2")], "1", true),
        (&[("etag", "\"e\""), ("cache-control", "no-store"), ("x-own", "2")], "2", false),
    ] {
        let (rig, upstream) = confirmed(fields, json!({})).await;
        ask(&rig, "").await;
        let answer = ask(&rig, "").await;
        let case = format!("{fields:?}: {answer:?}");
        assert_eq!((&answer.body[..], answer.header("x-own")), (&b"1"[..], own), "{case}");
        assert_eq!(answer.header("cache-status").contains("; stored"), again, "{case}");
        assert_eq!(upstream.count(), 2);
        ask(&rig, "").await;
        assert_eq!(upstream.count(), if again { 2 } else { 3 }, "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_confirmed_without_leave_to_store_stays_as_it_was() {
    let count = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::new(move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        async move {
            match number {
                1 => text(200, &[("cache-control", "no-cache"), ("etag", "\"e\"")], "1"),
                2 => text(304, &[("cache-control", "no-store"), ("etag", "\"e\""), ("x-said", "once")], ""),
                _ => text(304, &[("cache-control", "no-cache"), ("etag", "\"e\"")], ""),
            }
        }
    })
    .await;
    let mut rig = Rig::start();
    rig.api("c", upstream.address, cached(json!({})));
    for said in ["", "once", ""] {
        let seen = ask(&rig, "").await;
        assert_eq!((&seen.body[..], seen.header("x-said")), (&b"1"[..], said));
    }
    assert_eq!(upstream.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_confirmed_stays_whose_it_was() {
    const CONFIRMS: &[(&str, &str)] = &[("cache-control", "max-age=100")];
    const SHARES: &[(&str, &str)] = &[("cache-control", "public, max-age=100")];
    let get = async |rig: &Rig, who: &'static str| rig.get("/acme/c/a", &[("authorization", who)]).await;
    // One caller's own copy.
    let (rig, upstream) = confirmed(CONFIRMS, json!({})).await;
    get(&rig, "one").await;
    get(&rig, "one").await;
    assert!(get(&rig, "one").await.header("cache-status").contains("hit"), "it is fresh for him again");
    assert_eq!(upstream.count(), 2);
    get(&rig, "two").await;
    assert_eq!(upstream.count(), 3, "and nobody else's");
    // Everybody's, which one caller's request has confirmed.
    let (rig, upstream) = confirmed(SHARES, json!({ "shared": true, "confirmed": ["shared"] })).await;
    for who in ["one", "one", "two"] {
        assert_eq!(get(&rig, who).await.body, "1");
    }
    assert_eq!(upstream.count(), 2);
}
