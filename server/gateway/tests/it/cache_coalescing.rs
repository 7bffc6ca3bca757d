//! Requests that miss at the same time, and callers who leave while others wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use serde_json::json;
use sluice_contract::ids::PurgeId;
use sluice_contract::journal::{Change, Purge, PurgeScope};
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

/// Four pieces of ten thousand bytes, of which all but the first are sent when they are let, and nothing says how many there are.
async fn in_pieces() -> (Upstream, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let upstream = Upstream::new(move |_| {
        let gate = Arc::clone(&opened);
        let pieces = futures_util::stream::unfold(0, move |number| {
            let gate = Arc::clone(&gate);
            async move {
                if (1..4).contains(&number) {
                    gate.acquire().await.unwrap().forget();
                }
                let piece = Frame::data(Bytes::from(vec![b'0' + number; 10_000]));
                (number < 4).then_some((Ok::<_, std::io::Error>(piece), number + 1))
            }
        });
        let pieces = Box::pin(pieces) as std::pin::Pin<Box<dyn futures_core::Stream<Item = _> + Send + Sync>>;
        let response = http::Response::builder().header("cache-control", "max-age=60");
        let response = response.body(StreamBody::new(pieces).boxed()).unwrap();
        async move { response }
    })
    .await;
    (upstream, gate)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_misses_together_reads_along_though_nobody_knows_how_long_the_body_will_be() {
    for (limit, fits) in [(40_000, true), (15_000, false)] {
        let (upstream, gate) = in_pieces().await;
        let mut rig = Rig::start();
        let settings = json!({ "max_body_bytes": limit });
        rig.api("co", upstream.address, json!({ "policies": [{ "type": "cache", "settings": settings }] }));
        let ask = async || {
            let request = Request::get("/acme/co/a").header("host", "gateway.test");
            exchange(rig.address(), request.body(http_body_util::Full::default()).unwrap()).await.into_body()
        };
        let mut readers = Vec::new();
        for _ in 0..20 {
            readers.push(ask().await);
        }
        // The first of them has two pieces and the others none.
        gate.add_permits(1);
        let mut read = 0;
        while read < 20_000 {
            read += readers[0].frame().await.unwrap().unwrap().into_data().unwrap().len();
        }
        assert_eq!(upstream.count(), 1, "{limit}");
        // Who comes when it is too large asks for himself, at once.
        let late = ask().await;
        assert_eq!(upstream.count(), if fits { 1 } else { 2 }, "{limit}");
        gate.add_permits(5);
        let whole = readers.remove(0).collect().await.unwrap().to_bytes();
        assert_eq!(whole.len(), 40_000 - read);
        for reader in readers.into_iter().chain([late]) {
            let whole = reader.collect().await.unwrap().to_bytes();
            assert_eq!(whole.len(), 40_000, "{limit}");
            assert!((0..4).all(|number| whole[usize::from(number) * 10_000] == b'0' + number));
        }
        assert_eq!(rig.shared.cache.entries(), u64::from(fits));
        assert_eq!(rig.shared.cache.health().arriving.bytes, 0);
    }
}

/// Answers when it is let, with what was asked for and how many have asked; in pieces what is below `/pieces`.
async fn varying() -> (Upstream, Arc<Semaphore>) {
    let (gate, count) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let opened = Arc::clone(&gate);
    let upstream = Upstream::new(move |request: Request<hyper::body::Incoming>| {
        let (gate, number) = (Arc::clone(&opened), count.fetch_add(1, Ordering::SeqCst) + 1);
        let wanted = request.headers()["accept"].to_str().unwrap().to_owned();
        let in_pieces = request.uri().path().starts_with("/pieces");
        async move {
            gate.acquire().await.unwrap().forget();
            let fields = [("cache-control", "max-age=60"), ("vary", "accept")];
            let mut answer = text(200, &fields, format!("{wanted}{number}"));
            if in_pieces {
                let pieces = [wanted, number.to_string()].map(|piece| Ok(Frame::data(Bytes::from(piece))));
                let slow = futures_util::StreamExt::then(futures_util::stream::iter(pieces), async |piece| {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    piece
                });
                *answer.body_mut() = StreamBody::new(Box::pin(slow)).boxed();
            }
            answer
        }
    })
    .await;
    (upstream, gate)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_what_is_not_for_him_or_was_purged_meanwhile_asks_for_himself() {
    for path in ["/whole", "/pieces"] {
        for (second, purged, expected) in [("a", false, "a1"), ("b", false, "b2"), ("a", true, "a2")] {
            let (upstream, gate) = varying().await;
            let mut rig = Rig::start();
            let api = rig.api("co", upstream.address, cached());
            let address = rig.address();
            let ask = |accept: &'static str| {
                tokio::spawn(async move {
                    let request = Request::get(format!("/acme/co{path}")).header("host", "gateway.test");
                    let request = request.header("accept", accept).body(http_body_util::Full::default());
                    let answer = exchange(address, request.unwrap()).await.into_body();
                    answer.collect().await.unwrap().to_bytes()
                })
            };
            let first = ask("a");
            until("the first has asked", || upstream.count() == 1).await;
            if purged {
                let scope = PurgeScope::Api { api };
                let tenant = Some(rig.tenant);
                rig.apply(Change::Purge(Purge {
                    id: PurgeId::generate(),
                    scope,
                    tenant,
                    soft: false,
                    changed: false,
                }));
            }
            let second = ask(second);
            until("both are there", || open(&rig) >= 2).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert_eq!(upstream.count(), 1, "the second waits");
            gate.add_permits(2);
            assert_eq!(first.await.unwrap(), "a1");
            assert_eq!(second.await.unwrap(), expected, "{path}, purged: {purged}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_along_gets_no_cookie_of_who_asked_first() {
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let upstream = Upstream::new(move |_| {
        let gate = Arc::clone(&opened);
        let pieces = futures_util::stream::iter(["a", "b"]);
        let pieces = futures_util::StreamExt::then(pieces, move |piece| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                Ok::<_, std::io::Error>(Frame::data(Bytes::from(piece)))
            }
        });
        let response = http::Response::builder()
            .header("cache-control", "public, max-age=60")
            .header("set-cookie", "session=first")
            .body(StreamBody::new(Box::pin(pieces)).boxed())
            .unwrap();
        async move { response }
    })
    .await;
    let mut rig = Rig::start();
    rig.api("co", upstream.address, cached());
    let ask = async || {
        let request = Request::get("/acme/co/a").header("host", "gateway.test");
        exchange(rig.address(), request.body(http_body_util::Full::default()).unwrap()).await
    };
    let (first, second) = (ask().await, ask().await);
    let said = first.headers()["cache-status"].to_str().unwrap();
    assert!(said.starts_with("sluice; fwd=uri-miss; stored; key="), "{said}");
    gate.add_permits(2);
    for (answer, cookies) in [(first, 1), (second, 0)] {
        assert_eq!(answer.headers().get_all("set-cookie").iter().count(), cookies);
        assert_eq!(answer.collect().await.unwrap().to_bytes(), "ab");
    }
    assert_eq!(upstream.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_insists_on_validation_asks_for_himself_while_another_fetches() {
    let (upstream, gate) = gated(&[("cache-control", "max-age=60")]).await;
    let mut rig = Rig::start();
    rig.api("co", upstream.address, cached());
    let rig = Arc::new(rig);
    let ask = |headers: &'static [(&'static str, &'static str)]| {
        let rig = Arc::clone(&rig);
        tokio::spawn(async move { rig.get("/acme/co/a", headers).await.body })
    };
    let first = ask(&[]);
    until("the first has asked", || upstream.count() == 1).await;
    let second = ask(&[("cache-control", "no-cache")]);
    // Who waits for another's fetch does so for ten seconds.
    let asked = until("the second has asked too", || upstream.count() == 2);
    tokio::time::timeout(Duration::from_secs(5), asked).await.unwrap();
    gate.add_permits(2);
    assert_ne!(first.await.unwrap(), second.await.unwrap());
}

/// What is stored is confirmed with this `Cache-Control` when it is let.
async fn confirming(said: &'static str) -> (Upstream, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let upstream = Upstream::new(move |head| {
        let (gate, confirms) = (Arc::clone(&opened), head.headers().contains_key("if-none-match"));
        async move {
            if !confirms {
                return text(200, &[("cache-control", "no-cache"), ("etag", "\"a\"")], "a");
            }
            gate.acquire().await.unwrap().forget();
            text(304, &[("cache-control", said), ("etag", "\"a\""), ("x-said", said)], "")
        }
    })
    .await;
    (upstream, gate)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_answers_all_who_wait_unless_it_forbids_to_store() {
    for (said, asked) in [("max-age=60", 2), ("no-store", 3)] {
        let (upstream, gate) = confirming(said).await;
        let mut rig = Rig::start();
        rig.api("co", upstream.address, cached());
        let rig = Arc::new(rig);
        assert_eq!(rig.get("/acme/co/a", &[]).await.header("x-said"), "");
        let ask = || {
            let rig = Arc::clone(&rig);
            tokio::spawn(async move { rig.get("/acme/co/a", &[]).await })
        };
        let first = ask();
        until("the first has asked", || upstream.count() == 2).await;
        let second = ask();
        until("both are there", || open(&rig) >= 2).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(upstream.count(), 2, "{said}: the second waits");
        gate.add_permits(2);
        for answer in [first, second] {
            let seen = answer.await.unwrap();
            assert_eq!((&seen.body[..], seen.header("x-said")), (&b"a"[..], said));
        }
        assert_eq!(upstream.count(), asked, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_by_head_does_not_send_those_who_come_after_it_to_the_upstream_one_by_one() {
    let (upstream, gate) = gated(&[("cache-control", "max-age=60")]).await;
    let mut rig = Rig::start();
    rig.api("co", upstream.address, cached());
    let rig = Arc::new(rig);
    gate.add_permits(1);
    rig.send(http::Method::HEAD, "/acme/co/a", &[], Bytes::new()).await;
    let ask = || {
        let rig = Arc::clone(&rig);
        tokio::spawn(async move { rig.get("/acme/co/a", &[]).await.body })
    };
    let callers = [ask(), ask(), ask()];
    until("all are there", || open(&rig) >= 3).await;
    gate.add_permits(3);
    for caller in callers {
        assert_eq!(caller.await.unwrap(), "2");
    }
    assert_eq!(upstream.count(), 2);
}

/// A key whose last body was too large for the store is remembered: its requests go to the upstream side by side.
#[tokio::test(flavor = "multi_thread")]
async fn requests_for_what_was_too_large_do_not_wait_for_one_another_the_next_time() {
    const TOGETHER: usize = 5;
    for announced in [true, false] {
        let (count, all) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Barrier::new(TOGETHER)));
        let upstream = Upstream::new(move |_| {
            let (first, all) = (count.fetch_add(1, Ordering::SeqCst) == 0, Arc::clone(&all));
            async move {
                let together =
                    first || tokio::time::timeout(Duration::from_secs(3), all.wait()).await.is_ok();
                let body = if together { "x" } else { "alone" }.repeat(1_000);
                let mut answer = text(200, &[("cache-control", "max-age=60")], body.clone());
                if !announced {
                    let piece = Ok(Frame::data(Bytes::from(body)));
                    *answer.body_mut() = StreamBody::new(futures_util::stream::iter([piece])).boxed();
                }
                answer
            }
        })
        .await;
        let mut rig = Rig::start();
        let settings = json!({ "max_body_bytes": 500 });
        rig.api("c", upstream.address, json!({ "policies": [{ "type": "cache", "settings": settings }] }));
        assert_eq!(rig.get("/acme/c/a", &[]).await.body.len(), 1_000);
        let asked = futures_util::future::join_all((0..TOGETHER).map(|_| rig.get("/acme/c/a", &[]))).await;
        for seen in asked {
            assert_eq!(seen.body.len(), 1_000, "announced: {announced}");
        }
        assert_eq!(rig.shared.cache.entries(), 0);
    }
}
