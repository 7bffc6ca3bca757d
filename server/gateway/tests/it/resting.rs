//! Targets that fail are left alone, as the upstream's breaker says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Rig, Upstream, eventually, nobody, text};

/// An upstream that answers with the status that is set.
async fn answering(status: &Arc<AtomicU16>) -> Upstream {
    let status = Arc::clone(status);
    Upstream::new(move |_| {
        let status = status.load(Ordering::SeqCst);
        async move { text(status, &[("cache-control", "max-age=1")], status.to_string()) }
    })
    .await
}

/// A definition with these targets, of which one that fails twice is left alone for so many seconds.
fn with_breaker(targets: &[SocketAddr], open_s: u32) -> Value {
    let targets: Vec<_> = targets.iter().map(|at| json!({ "url": format!("http://{at}") })).collect();
    json!({ "upstreams": [{
        "name": "main",
        "targets": targets,
        "breaker": { "failures": 2, "open_s": open_s },
    }] })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_fails_is_left_alone_until_it_answers_again() {
    let status = Arc::new(AtomicU16::new(503));
    let upstream = answering(&status).await;
    let mut rig = Rig::start();
    rig.api("a", upstream.address, with_breaker(&[upstream.address], 3));
    for _ in 0..2 {
        assert_eq!(rig.get("/acme/a/x", &[]).await.body, "503", "the upstream's own answer");
    }
    let opened = Instant::now();
    let seen = rig.get("/acme/a/x", &[]).await;
    assert_eq!((seen.status.as_u16(), seen.code().as_str()), (503, "upstream_resting"));
    assert!(matches!(seen.header("retry-after"), "1" | "2" | "3"), "{}", seen.header("retry-after"));
    assert_eq!(rig.shared.stats.rested.load(Ordering::SeqCst), 1);
    assert_eq!(upstream.count(), 2, "it is not asked");
    let calls = rig.calls(3).await;
    let refused = calls.iter().find(|call| call.error.as_deref() == Some("upstream_resting")).unwrap();
    assert_eq!(refused.target, None);

    status.store(200, Ordering::SeqCst);
    eventually("it is asked again", async || rig.get("/acme/a/x", &[]).await.status == 200).await;
    assert!(opened.elapsed() >= Duration::from_millis(2_900), "{:?}", opened.elapsed());
    for _ in 0..3 {
        assert_eq!(rig.get("/acme/a/x", &[]).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_failure_of_the_target_counts_and_no_other() {
    let (status, fine) = (Arc::new(AtomicU16::new(200)), Upstream::echo().await);
    let own = answering(&status).await;
    let silent = Upstream::new(|_| std::future::pending()).await;
    let mut rig = Rig::start();
    rig.api("refused", fine.address, with_breaker(&[nobody().await], 60));
    let mut impatient = with_breaker(&[silent.address], 60);
    impatient["upstreams"][0]["timeouts"] = json!({ "first_byte_ms": 300 });
    rig.api("silent", fine.address, impatient);
    for api in ["refused", "silent"] {
        let path = format!("/acme/{api}/x");
        let (first, second) = (rig.get(&path, &[]).await, rig.get(&path, &[]).await);
        assert_ne!([first.code(), second.code()], ["upstream_resting", "upstream_resting"]);
        assert_eq!(rig.get(&path, &[]).await.code(), "upstream_resting", "{api}");
    }
    rig.api("own", fine.address, with_breaker(&[own.address], 60));
    for other in [500, 404, 429, 200] {
        status.store(other, Ordering::SeqCst);
        for _ in 0..3 {
            assert_eq!(rig.get("/acme/own/x", &[]).await.body, other.to_string());
        }
    }
    for bad in [502, 503, 504] {
        let (api, path) = (format!("own-{bad}"), format!("/acme/own-{bad}/x"));
        rig.api(&api, fine.address, with_breaker(&[own.address], 60));
        for now in [bad, 200, bad, bad] {
            status.store(now, Ordering::SeqCst);
            assert_eq!(rig.get(&path, &[]).await.body, now.to_string(), "one failure is not two");
        }
        assert_eq!(rig.get(&path, &[]).await.code(), "upstream_resting", "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_body_breaks_off_is_no_failure_of_the_target() {
    let upstream = Upstream::echo().await;
    let mut rig = Rig::start();
    rig.api("a", upstream.address, with_breaker(&[upstream.address], 60));
    for _ in 0..3 {
        let mut client = TcpStream::connect(rig.address()).await.unwrap();
        let request =
            "POST /acme/a/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\nno size\r\n";
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    assert_eq!(rig.get("/acme/a/x", &[]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_targets_take_the_calls_of_one_that_is_left_alone() {
    let (bad, good) = (Arc::new(AtomicU16::new(503)), Arc::new(AtomicU16::new(200)));
    let (bad, good) = (answering(&bad).await, answering(&good).await);
    let mut rig = Rig::start();
    rig.api("a", bad.address, with_breaker(&[bad.address, good.address], 60));
    let mut failed = 0;
    for _ in 0..20 {
        failed += usize::from(rig.get("/acme/a/x", &[]).await.status != 200);
    }
    assert_eq!((failed, bad.count(), good.count()), (2, 2, 18));
    // What was counted outlives a release.
    rig.api("a", bad.address, with_breaker(&[bad.address, good.address], 60));
    for _ in 0..4 {
        assert_eq!(rig.get("/acme/a/x", &[]).await.status, 200);
    }
    assert_eq!(bad.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_stands_in_for_an_upstream_that_is_left_alone() {
    let status = Arc::new(AtomicU16::new(200));
    let upstream = answering(&status).await;
    let mut rig = Rig::start();
    let mut definition = with_breaker(&[upstream.address], 60);
    definition["policies"] = json!([{ "type": "cache", "settings": {} }]);
    rig.api("a", upstream.address, definition);
    assert_eq!(rig.get("/acme/a/kept", &[]).await.body, "200");
    status.store(503, Ordering::SeqCst);
    for n in 0..2 {
        assert_eq!(rig.get(&format!("/acme/a/other/{n}"), &[]).await.status, 503);
    }
    eventually("what is stored is stale, and served (RFC 9111 §4.2.4)", async || {
        let seen = rig.get("/acme/a/kept", &[]).await;
        assert_eq!((seen.status.as_u16(), seen.body.as_ref()), (200, &b"200"[..]));
        seen.header("cache-status").starts_with("sluice; hit; ttl=-")
    })
    .await;
    assert_eq!(rig.get("/acme/a/never", &[]).await.code(), "upstream_resting");
    assert_eq!(upstream.count(), 3, "it is not asked");
}
