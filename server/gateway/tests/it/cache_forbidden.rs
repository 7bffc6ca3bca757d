//! What a response must not have to be stored: it is passed on all the same, and nothing of it stays.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Semaphore;

use crate::support::{Rig, Upstream, eventually, exchange, text};

type Fields = &'static [(&'static str, &'static str)];

const CARD: &str = "paid with 4111 1111 1111 1111 today";

/// A gateway with `/acme/c`, whose upstream says these fields and this body: at once, or below `/pieces` three bytes at a time.
async fn rig(fields: Fields, body: impl Into<Bytes>, settings: Value) -> (Rig, Upstream) {
    let (rig, upstream, _) = gated(fields, body, settings).await;
    (rig, upstream)
}

/// The same; below `/gated` nothing of a body comes without a permit.
async fn gated(fields: Fields, body: impl Into<Bytes>, settings: Value) -> (Rig, Upstream, Arc<Semaphore>) {
    let body: Bytes = body.into();
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let upstream = Upstream::new(move |request: Request<Incoming>| {
        let body = body.clone();
        let (in_pieces, waits) =
            (request.uri().path().starts_with("/pieces"), request.uri().path() == "/gated");
        let gate = Arc::clone(&opened);
        async move {
            let mut answer = text(200, &[("cache-control", "public, max-age=60")], body.clone());
            for (name, value) in fields {
                answer.headers_mut().insert(*name, value.parse().unwrap());
            }
            if in_pieces || waits {
                let pieces: Vec<_> =
                    body.chunks(3).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
                let pieces = futures_util::stream::iter(pieces);
                let slow = futures_util::StreamExt::then(pieces, move |piece| {
                    let gate = Arc::clone(&gate);
                    async move {
                        match waits {
                            true => gate.acquire().await.unwrap().forget(),
                            false => tokio::time::sleep(Duration::from_millis(2)).await,
                        }
                        piece
                    }
                });
                *answer.body_mut() = StreamBody::new(slow).boxed();
                answer.headers_mut().insert("content-length", body.len().into());
            }
            answer
        }
    })
    .await;
    let mut rig = Rig::start();
    rig.api("c", upstream.address, json!({ "policies": [{ "type": "cache", "settings": settings }] }));
    (rig, upstream, gate)
}

/// Asks for `/gated`, whose body comes when its head is here.
async fn get_gated(rig: &Rig, gate: &Semaphore) -> (HeaderMap, Bytes) {
    let request = Request::get("/acme/c/gated").header("host", "gateway.test");
    let answer = exchange(rig.address(), request.body(Full::default()).unwrap()).await;
    gate.add_permits(100);
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    // What was not needed is for nobody.
    gate.forget_permits(100);
    (head.headers, body)
}

fn forbid(what: Value) -> Value {
    json!({ "forbidden": [what] })
}

fn refused(rig: &Rig, reason: &str) -> u64 {
    rig.shared.cache.refused().find(|(name, _)| *name == reason).unwrap().1
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rule_finds_is_passed_on_and_not_stored_and_why_is_said_and_counted() {
    let json_type: Fields = &[("content-type", "application/json")];
    let cases: [(Fields, &str, Value, &str); 7] = [
        (&[], CARD, json!({ "what": "card_number" }), "card_number"),
        (&[], "write to ada@example.org!", json!({ "what": "email" }), "email"),
        (&[], "to DE89 3704 0044 0532 0130 00.", json!({ "what": "iban" }), "iban"),
        (&[], "id secret-123.", json!({ "what": "pattern", "expression": "secret-\\d+" }), "pattern"),
        (
            json_type,
            r#"{"user":{"ssn":"1"}}"#,
            json!({ "what": "json_path", "path": "$.user.ssn" }),
            "json_path",
        ),
        (&[("x-secret", "1")], "anything", json!({ "what": "header", "name": "X-Secret" }), "header"),
        (json_type, "{ broken", json!({ "what": "json_path", "path": "$.a" }), "unreadable"),
    ];
    for (fields, body, what, reason) in cases {
        let (rig, upstream, gate) = gated(fields, body, forbid(what)).await;
        for asked in 1..=4 {
            let passed = asked > 2;
            let (headers, seen) = if passed {
                get_gated(&rig, &gate).await
            } else {
                let answer = rig.get("/acme/c/a", &[]).await;
                (answer.headers, answer.body)
            };
            assert_eq!(seen, body, "{reason}");
            // The fields are known before the body is passed on.
            let looking = passed && reason != "header";
            let detail = if looking { "looking".to_owned() } else { format!("forbidden:{reason}") };
            let status = headers["cache-status"].to_str().unwrap();
            assert_eq!(status, format!("sluice; fwd=uri-miss; detail={detail}"), "{reason} {asked}");
            eventually("it is counted", async || refused(&rig, reason) == asked).await;
            assert_eq!((upstream.count() as u64, rig.shared.cache.entries()), (asked, 0), "{reason} {asked}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_nothing_of_it_is_stored_as_ever() {
    let rules = json!({ "forbidden": [
        { "what": "card_number" }, { "what": "email" }, { "what": "iban" }, { "what": "header", "name": "x-secret" },
        { "what": "pattern", "expression": "secret-\\d+" }, { "what": "json_path", "path": "$.user.ssn" },
    ] });
    for (fields, body) in [
        (&[("content-type", "application/json")][..], r#"{"user":{"name":"4111111111111112"}}"#),
        (&[("content-type", "image/png")], CARD),
        (&[], ""),
    ] {
        for path in ["/acme/c/a", "/acme/c/pieces"] {
            let (rig, upstream) = rig(fields, body, rules.clone()).await;
            for _ in 0..3 {
                assert_eq!(rig.get(path, &[]).await.body, body);
            }
            assert_eq!(upstream.count(), 1, "{path} {body}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn encoded_bodies_are_decoded_for_the_look_and_those_that_cannot_be_are_not_stored() {
    let encoded: Fields = &[("content-encoding", "gzip")];
    let stored = async |fields: Fields, body: Vec<u8>, most: u64| {
        let mut found = Vec::new();
        for path in ["/acme/c/a", "/acme/c/pieces"] {
            let settings = json!({ "forbidden": [{ "what": "card_number" }], "forbidden_max_bytes": most });
            let (rig, _upstream) = rig(fields, body.clone(), settings).await;
            assert_eq!(rig.get(path, &[]).await.body, body, "whatever becomes of it, it is passed on");
            let why = || rig.shared.cache.refused().find(|(_, count)| *count > 0).map(|(name, _)| name);
            eventually("it is known", async || why().is_some() || rig.shared.cache.entries() > 0).await;
            found.push(why().unwrap_or("stored"));
        }
        assert_eq!(found[0], found[1], "at once and in pieces");
        found[0]
    };
    assert_eq!(stored(encoded, gzip("nothing of it"), 1_000).await, "stored");
    assert_eq!(stored(encoded, gzip(CARD), 1_000).await, "card_number");
    assert_eq!(stored(encoded, gzip(&"a".repeat(1_001)), 1_000).await, "too_large");
    assert_eq!(stored(encoded, b"no gzip at all".to_vec(), 1_000).await, "unreadable");
    assert_eq!(stored(&[("content-encoding", "x-own")], b"anything".to_vec(), 1_000).await, "unreadable");
    let wide: Fields = &[("content-type", "text/plain; charset=utf-16")];
    assert_eq!(stored(wide, b"anything".to_vec(), 1_000).await, "unreadable");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_waits_gets_what_was_not_looked_at() {
    for (body, shares) in [(CARD, false), ("nothing of it that anybody would mind", true)] {
        let (rig, upstream) = rig(&[], body, forbid(json!({ "what": "card_number" }))).await;
        let rig = Arc::new(rig);
        let ask = |_| {
            let rig = Arc::clone(&rig);
            tokio::spawn(async move { rig.get("/acme/c/pieces", &[]).await })
        };
        for caller in (0..10).map(ask).collect::<Vec<_>>() {
            assert_eq!(caller.await.unwrap().body, body);
        }
        assert_eq!(upstream.count(), if shares { 1 } else { 10 });
        assert_eq!(rig.shared.cache.entries(), u64::from(shares));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_rules_leave_nothing_of_what_was_stored_without_them() {
    let (mut rig, upstream) = rig(&[], CARD, json!({})).await;
    rig.get("/acme/c/a", &[]).await;
    rig.get("/acme/c/a", &[]).await;
    assert_eq!(upstream.count(), 1);
    let policies = |settings: Value| json!({ "policies": [{ "type": "cache", "settings": settings }] });
    rig.api("c", upstream.address, policies(forbid(json!({ "what": "card_number" }))));
    for asked in 2..=3 {
        rig.get("/acme/c/a", &[]).await;
        assert_eq!(upstream.count(), asked);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn caches_downstream_are_told_no_other_words_of_what_was_not_stored() {
    let settings = json!({
        "forbidden": [{ "what": "card_number" }],
        "browsers": { "mode": "set", "say": { "directives": "max-age=7", "within_freshness": false } },
    });
    let as_it_is = "public, max-age=60";
    for (body, changed) in [(CARD, as_it_is), ("nothing", "max-age=7")] {
        let (rig, _upstream, gate) = gated(&[], body, settings.clone()).await;
        for _ in 0..2 {
            assert_eq!(rig.get("/acme/c/a", &[]).await.header("cache-control"), changed, "{body}");
        }
        assert_eq!(get_gated(&rig, &gate).await.0["cache-control"], as_it_is, "{body}: not yet looked at");
        let is_known = || refused(&rig, "card_number") >= 3 || rig.shared.cache.entries() == 2;
        eventually("what it has is known", async || is_known()).await;
        assert_eq!(get_gated(&rig, &gate).await.0["cache-control"], changed, "{body}");
        let head = rig.send(Method::HEAD, "/acme/c/other", &[], "").await;
        assert_eq!(head.header("cache-control"), as_it_is, "nobody has looked at it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_are_announced_to_nobody_where_they_are_dropped() {
    for settings in [json!({}), forbid(json!({ "what": "card_number" }))] {
        let (rig, _) = rig(&[("trailer", "x-sum")], "nothing forbidden", settings).await;
        for path in ["/acme/c/whole", "/acme/c/pieces"] {
            for how in ["fetched", "stored"] {
                assert_eq!(rig.get(path, &[]).await.header("trailer"), "", "{path}, {how}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_gets_the_whole_of_a_large_body_that_is_not_stored_for_what_is_in_it() {
    let body = [CARD.as_bytes(), &vec![b' '; 8 << 20]].concat();
    let settings = json!({ "forbidden": [{ "what": "card_number" }], "max_body_bytes": 16 << 20 });
    let (rig, _) = rig(&[], body.clone(), settings).await;
    let mut client = tokio::net::TcpStream::connect(rig.address()).await.unwrap();
    client
        .write_all(b"GET /acme/c/a HTTP/1.1\r\nhost: gateway.test\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let (mut seen, mut piece) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        tokio::time::sleep(Duration::from_millis(1)).await;
        match client.read(&mut piece).await.unwrap() {
            0 => break,
            read => seen.extend_from_slice(&piece[..read]),
        }
    }
    assert!(seen.ends_with(&body), "{}", seen.len());
    assert_eq!(rig.shared.cache.entries(), 0);
}
