//! Whether what is stored answers a request: each word of the upstream's and of the request's that decides it, by itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Method;
use serde_json::{Value, json};

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
}
