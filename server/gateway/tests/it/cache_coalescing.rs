//! Requests that miss at the same time, and callers who leave while others wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Request;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::support::{Rig, Upstream, exchange, text};

/// An upstream that answers when it is let, once for each permit.
async fn gated(fields: &'static [(&'static str, &'static str)]) -> (Upstream, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let count = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::new(move |_| {
        let (gate, number) = (Arc::clone(&opened), count.fetch_add(1, Ordering::SeqCst) + 1);
        async move {
            gate.acquire().await.unwrap().forget();
            text(200, fields, number.to_string())
        }
    })
    .await;
    (upstream, gate)
}

async fn until(what: &str, is: impl Fn() -> bool) {
    for _ in 0..3_000 {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not so after 30 s: {what}");
}

fn cached() -> serde_json::Value {
    json!({ "policies": [{ "type": "cache", "settings": {} }] })
}

fn open(rig: &Rig) -> u64 {
    rig.shared.stats.connections.load(Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_misses_at_once_are_one_request_of_the_upstream() {
    const CALLERS: usize = 1_000;
    let (upstream, gate) = gated(&[("cache-control", "max-age=60")]).await;
    let mut rig = Rig::start();
    rig.api("co", upstream.address, cached());
    let rig = Arc::new(rig);
    let ask = || {
        let rig = Arc::clone(&rig);
        tokio::spawn(async move { rig.get("/acme/co/a", &[]).await })
    };
    let callers: Vec<_> = (0..CALLERS).map(|_| ask()).collect();
    until("all are there", || open(&rig) >= CALLERS as u64).await;
    gate.add_permits(10);
    for caller in callers {
        let seen = caller.await.unwrap();
        assert_eq!((seen.status.as_u16(), &seen.body[..]), (200, &b"1"[..]));
    }
    assert_eq!(upstream.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_caller_may_leave_before_the_answer_and_the_others_get_theirs() {
    for cacheable in [true, false] {
        let said = if cacheable { "max-age=60" } else { "no-store" };
        let fields: &'static [_] = Box::leak(Box::new([("cache-control", said)]));
        let (upstream, gate) = gated(fields).await;
        let mut rig = Rig::start();
        rig.api("co", upstream.address, cached());
        let rig = Arc::new(rig);
        let address = rig.address();
        let first = tokio::spawn(async move {
            let request = Request::get("/acme/co/a").header("host", "gateway.test");
            exchange(address, request.body(http_body_util::Full::default()).unwrap()).await
        });
        until("the first has asked", || upstream.count() == 1).await;
        let others: Vec<_> = (0..30)
            .map(|_| {
                let rig = Arc::clone(&rig);
                tokio::spawn(async move { rig.get("/acme/co/a", &[]).await.status.as_u16() })
            })
            .collect();
        until("all are there", || open(&rig) >= 31).await;
        first.abort();
        // One of the others asks in its place: without waiting for what the first had asked for.
        until("another has asked", || upstream.count() >= 2).await;
        gate.add_permits(100);
        for other in others {
            assert_eq!(other.await.unwrap(), 200);
        }
        let asked = upstream.count();
        assert!(if cacheable { asked == 2 } else { (31..=32).contains(&asked) }, "{asked} for {fields:?}");
    }
}

/// A request that finds a stale response just before another's fetch ends must not fetch once more.
#[tokio::test(flavor = "multi_thread")]
async fn stale_responses_that_many_ask_for_are_fetched_once_each() {
    const URLS: usize = 60;
    const ROUNDS: usize = 8;
    let upstream = Upstream::new(|head| {
        // What the second fetch brings stays fresh.
        let first = !head.headers().contains_key("if-none-match");
        let said = if first { "max-age=1, stale-while-revalidate=60" } else { "max-age=60" };
        let fields: &'static [_] = Box::leak(Box::new([("cache-control", said), ("etag", "\"a\"")]));
        async move { text(200, fields, "a".to_owned()) }
    })
    .await;
    let mut rig = Rig::start();
    rig.api("co", upstream.address, cached());
    let rig = Arc::new(rig);
    let ask = |url: usize| {
        let rig = Arc::clone(&rig);
        tokio::spawn(async move { rig.get(&format!("/acme/co/{url}"), &[]).await.status.as_u16() })
    };
    for url in 0..URLS {
        assert_eq!(ask(url).await.unwrap(), 200);
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    for url in 0..URLS {
        let callers: Vec<_> = (0..ROUNDS).map(|_| ask(url)).collect();
        for caller in callers {
            assert_eq!(caller.await.unwrap(), 200);
        }
    }
    until("all are fetched anew", || upstream.count() >= 2 * URLS).await;
    assert_eq!(upstream.count(), 2 * URLS);
}
