//! Heads that were answered from the store before and come again: what they mean is not found out anew, and yet nothing of what
//! is asked each time is left out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Method, Request};
use hyper::body::Incoming;
use serde_json::{Value, json};
use sluice_contract::calls::{CacheOutcome, Call};
use sluice_contract::ids::PurgeId;
use sluice_contract::journal::{Change, Purge, PurgeScope};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{Rig, Start, Upstream, text};

const FRESH: &[(&str, &str)] = &[("cache-control", "max-age=60")];

/// One thread: each has a memory of its own.
fn rig() -> Rig {
    Rig::with(Start { threads: 1, plain_keys: true, ..Start::default() })
}

fn cached() -> Value {
    json!({ "policies": [{ "type": "cache", "settings": { "ttl_s": 60 } }] })
}

/// Counts in its body, and says what language it was asked for.
async fn counting(fields: &'static [(&'static str, &'static str)]) -> Upstream {
    let count = Arc::new(AtomicUsize::new(0));
    Upstream::new(move |request: Request<Incoming>| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        let language =
            request.headers().get("accept-language").map(|value| value.to_str().unwrap().to_owned());
        async move { text(200, fields, format!("{number}{}", language.unwrap_or_default())) }
    })
    .await
}

/// Whether the call was answered from the store without its head being read: there was nothing to decide.
fn is_repeat(call: &Call) -> bool {
    let has = |name| call.stages.iter().any(|stage| stage.stage == name);
    has("cache") && !has("decide")
}

/// Gets a path so often that its head is understood, and then once more. The last body.
async fn get_often(rig: &Rig, path: &str, headers: &[(&str, &str)]) -> String {
    for _ in 0..3 {
        rig.get(path, headers).await;
    }
    let last = rig.get(path, headers).await;
    String::from_utf8(last.body.to_vec()).unwrap()
}

/// How many of the calls so far were repeats.
async fn repeats(rig: &Rig, calls: usize) -> usize {
    rig.calls(calls).await.iter().filter(|call| is_repeat(call)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_comes_again_is_answered_and_recorded_like_the_first() {
    let upstream = counting(FRESH).await;
    let mut rig = rig();
    let api = rig.api("c", upstream.address, cached());
    let mut ids = Vec::new();
    for round in 0..5 {
        let seen =
            rig.get("/acme/c/a?x=1", &[("user-agent", "poller/1"), ("connection", "keep-alive")]).await;
        assert_eq!((seen.status.as_u16(), &seen.body[..]), (200, &b"1"[..]));
        if round > 0 {
            assert!(seen.header("cache-status").starts_with("sluice; hit; ttl="), "{seen:?}");
            assert!(seen.header("age").parse::<u64>().unwrap() <= 5);
            assert_eq!((seen.header("via"), seen.header("cache-control")), ("1.1 sluice", "max-age=60"));
        }
        ids.push(seen.header("x-request-id").to_owned());
    }
    let told = crate::cache_inside::look_up(&rig, api, "/a?x=1", rig.tenant).await;
    assert_eq!(told.entries[0].hits, Some(4), "whoever looks it up is told of all");
    let calls = rig.calls(5).await;
    let (first, repeated): (Vec<_>, Vec<_>) = calls.iter().partition(|call| !is_repeat(call));
    assert_eq!((first.len(), repeated.len()), (2, 3), "{calls:?}");
    for call in repeated {
        assert_eq!((call.cache, call.api, call.status), (CacheOutcome::Hit, Some(api), 200));
        assert_eq!(
            (&call.method, &call.path, &call.query),
            (&first[1].method, &first[1].path, &first[1].query)
        );
        assert_eq!((&call.host, &call.user_agent), (&first[1].host, &first[1].user_agent));
        assert_eq!((&call.route, &call.client_ip, call.bytes_out), (&first[1].route, &first[1].client_ip, 1));
        assert!(call.trace_id.is_some() && call.stages.iter().any(|stage| stage.stage == "cache"));
    }
    let mut recorded: Vec<_> = calls.iter().map(|call| call.id.to_string()).collect();
    recorded.sort();
    ids.sort();
    assert_eq!(recorded, ids, "each has an id of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_changed_since_a_head_came_counts() {
    let (upstream, other) = (counting(FRESH).await, counting(FRESH).await);
    let mut rig = rig();
    let api = rig.api("c", upstream.address, cached());
    let purge = |soft| {
        let scope = PurgeScope::Api { api };
        Change::Purge(Purge { id: PurgeId::generate(), scope, tenant: None, soft, changed: false })
    };
    assert_eq!(get_often(&rig, "/acme/c/a", &[]).await, "1");
    rig.apply(purge(false));
    assert_eq!(get_often(&rig, "/acme/c/a", &[]).await, "2");
    rig.apply(purge(true));
    assert_eq!(get_often(&rig, "/acme/c/a", &[]).await, "3", "it is validated");
    rig.shared.switches.link_stale.store(true, Ordering::Relaxed);
    assert_eq!(rig.get("/acme/c/a", &[]).await.body, "4", "a purge may have been missed");
    rig.shared.switches.link_stale.store(false, Ordering::Relaxed);
    assert_eq!(get_often(&rig, "/acme/c/a", &[]).await, "4");
    rig.shared.switches.refuse_all.store(true, Ordering::Relaxed);
    assert_eq!(rig.get("/acme/c/a", &[]).await.code(), "not_ready");
    rig.shared.switches.refuse_all.store(false, Ordering::Relaxed);
    rig.api("c", other.address, json!({ "access": "subscription", "policies": cached()["policies"] }));
    assert_eq!(rig.get("/acme/c/a", &[]).await.code(), "missing_key", "it was released anew");
    rig.api("c", other.address, json!({ "routes": [{ "id": "b", "path": "/b" }] }));
    assert_eq!(rig.get("/acme/c/a", &[]).await.code(), "unknown_route");
    rig.api("c", other.address, cached());
    assert_eq!(get_often(&rig, "/acme/c/a", &[]).await, "4", "what was stored is everybody's still");
    let headers = json!({ "type": "headers", "settings": { "response": { "set": [{ "name": "x-by", "value": "rule" }] } } });
    rig.settings(json!({ "policies": [headers] }));
    assert_eq!(rig.get("/acme/c/a", &[]).await.header("x-by"), "rule", "the environment has a rule for all");
    assert!(repeats(&rig, 20).await >= 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_s_limits_hold_for_heads_that_others_may_send() {
    let upstream = counting(FRESH).await;
    let mut rig = rig();
    rig.api("c", upstream.address, cached());
    rig.settings(json!({ "limits": { "header_count": 1 } }));
    let mut early = TcpStream::connect(rig.address()).await.unwrap();
    let small = b"GET /acme/c/a HTTP/1.1\r\nHost: gateway.test\r\n\r\n";
    let large = b"GET /acme/c/a HTTP/1.1\r\nHost: gateway.test\r\nAccept: */*\r\n\r\n";
    assert!(said(&mut early, small).await.starts_with("HTTP/1.1 200"));
    rig.settings(json!({}));
    for _ in 0..4 {
        assert!(from([127, 0, 0, 1], rig.address(), large).await.starts_with("HTTP/1.1 200"));
    }
    assert!(said(&mut early, large).await.starts_with("HTTP/1.1 431"));
    assert!(repeats(&rig, 5).await >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_stops_says_so_to_whom_it_knows() {
    let upstream = counting(FRESH).await;
    let slow = Upstream::new(|_| async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        text(200, &[], "")
    })
    .await;
    let mut rig = rig();
    rig.api("c", upstream.address, cached());
    rig.api("slow", slow.address, json!({}));
    let head = b"GET /acme/c/a HTTP/1.1\r\nHost: gateway.test\r\n\r\n";
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    for _ in 0..4 {
        assert!(!said(&mut stream, head).await.contains("connection: close"));
    }
    // A call in flight keeps the connection while the gateway stops.
    let both = [&b"GET /acme/slow/a HTTP/1.1\r\nHost: gateway.test\r\n\r\n"[..], head].concat();
    stream.write_all(&both).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let running = rig.running;
    tokio::task::spawn_blocking(move || running.stop(Duration::from_secs(5))).await.unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert_eq!(
        (rest.matches("HTTP/1.1 200").count(), rest.matches("connection: close").count()),
        (1, 1),
        "{rest}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_body_come_again_and_fields_that_depend_on_the_call_are_found_each_time() {
    let empty = Upstream::new(|_| async { text(200, FRESH, "") }).await;
    let limited = counting(&[("cache-control", "max-age=60"), ("ratelimit", "\"own\";r=7;t=9")]).await;
    let mut rig = rig();
    rig.api("empty", empty.address, cached());
    rig.api("limited", limited.address, cached());
    for _ in 0..4 {
        let seen = rig.get("/acme/empty/a", &[]).await;
        assert_eq!((seen.status.as_u16(), seen.header("content-length"), seen.body.len()), (200, "0", 0));
        let seen = rig.get("/acme/limited/a", &[]).await;
        assert_eq!((seen.header("ratelimit"), &seen.body[..]), ("\"own\";r=7;t=9", &b"1"[..]));
    }
    assert_eq!((empty.count(), limited.count(), repeats(&rig, 8).await), (1, 1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_longer_fresh_is_fetched_though_its_head_is_known() {
    let upstream = counting(&[("cache-control", "max-age=3")]).await;
    let mut rig = rig();
    rig.api("c", upstream.address, json!({ "policies": [{ "type": "cache", "settings": {} }] }));
    assert_eq!(get_often(&rig, "/acme/c/a", &[]).await, "1");
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    assert_eq!(rig.get("/acme/c/a", &[]).await.body, "2");
    assert!(repeats(&rig, 5).await >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_count_every_time_a_head_comes() {
    let upstream = counting(FRESH).await;
    let mut rig = rig();
    let limit = json!({ "type": "rate-limit", "settings": { "requests": 6, "period_s": 3600 } });
    let policies = json!({ "policies": [limit, cached()["policies"][0]] });
    rig.api("c", upstream.address, policies);
    for left in (0..6).rev() {
        let seen = rig.get("/acme/c/a", &[]).await;
        assert_eq!(seen.status, 200);
        assert!(seen.header("ratelimit").contains(&format!(";r={left};")), "{}", seen.header("ratelimit"));
    }
    for _ in 0..2 {
        let refused = rig.get("/acme/c/a", &[]).await;
        assert_eq!(
            (refused.code().as_str(), refused.header("retry-after").is_empty()),
            ("rate_limited", false)
        );
    }
    let calls = rig.calls(8).await;
    assert_eq!(calls.iter().filter(|call| is_repeat(call)).count(), 4);
    assert_eq!(calls.iter().filter(|call| call.error.as_deref() == Some("rate_limited")).count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_mean_more_than_their_words_are_read_each_time() {
    let upstream = counting(FRESH).await;
    let mut rig = rig();
    let api = rig.api("c", upstream.address, cached());
    rig.key("known-key", &[api]);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    let long = "x".repeat(1_100);
    for (path, headers) in [
        ("/acme/c/a", ("traceparent", trace)),
        ("/acme/c/a", ("x-request-id", "of-the-client")),
        ("/acme/c/a", ("cookie", "a=1")),
        ("/acme/c/a", ("authorization", "Bearer x")),
        ("/acme/c/a", ("x-api-key", "known-key")),
        ("/acme/c/a", ("x-api-key", "unknown-key")),
        ("/acme/c/a", ("cache-control", "max-age=30")),
        ("/acme/c/a", ("range", "bytes=0-0")),
        ("/acme/c/a", ("if-none-match", "\"x\"")),
        ("/acme/c/a", ("connection", "close")),
        ("/acme/c/a", ("te", "trailers")),
        ("/acme/c/a", ("content-length", "0")),
        ("/acme/c/a", ("x-long", &long)),
    ] {
        let seen = get_often(&rig, path, &[headers]).await;
        assert!(!seen.is_empty());
        let calls = rig.calls(4).await;
        assert!(calls.iter().all(|call| !is_repeat(call)), "{headers:?}: {calls:?}");
    }
    for _ in 0..4 {
        assert_eq!(rig.send(Method::HEAD, "/acme/c/a", &[], "").await.status, 200);
        let old = rig.raw(b"GET /acme/c/a HTTP/1.0\r\nHost: gateway.test\r\n\r\n").await;
        assert!(old.contains("connection: close"), "{old}");
    }
    assert_eq!(repeats(&rig, 8).await, 0);
    // The key in the query is not part of what is recorded.
    let rule = json!({ "type": "key-auth", "settings": { "query": "key" } });
    rig.api("q", upstream.address, json!({ "policies": [rule, cached()["policies"][0]] }));
    get_often(&rig, "/acme/q/a?key=unknown", &[]).await;
    let calls = rig.calls(4).await;
    assert!(calls.iter().all(|call| !is_repeat(call) && call.query.is_none()), "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_speaks_for_others_is_heard_each_time() {
    let upstream = counting(FRESH).await;
    let mut rig = rig();
    rig.api("c", upstream.address, cached());
    // Known while nobody is trusted; the same head then comes through a proxy.
    get_often(&rig, "/acme/c/a", &[("x-forwarded-for", "192.0.2.7")]).await;
    assert!(repeats(&rig, 4).await > 0);
    rig.settings(json!({ "trusted_proxies": ["127.0.0.1"] }));
    get_often(&rig, "/acme/c/a", &[("x-forwarded-for", "192.0.2.7")]).await;
    let calls = rig.calls(4).await;
    assert!(calls.iter().all(|call| call.client_ip == "192.0.2.7" && !is_repeat(call)), "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_head_means_from_a_proxy_is_not_what_it_means_from_others() {
    let upstream = counting(FRESH).await;
    let mut rig = rig();
    rig.api("c", upstream.address, cached());
    rig.settings(json!({ "trusted_proxies": ["127.0.0.2"] }));
    let head = b"GET /acme/c/a HTTP/1.1\r\nHost: gateway.test\r\nX-Forwarded-Proto: https\r\n\r\n";
    let from = |last| from([127, 0, 0, last], rig.address(), head);
    for _ in 0..4 {
        assert!(from(2).await.ends_with("\r\n\r\n1"), "over HTTPS, as the proxy says");
    }
    for _ in 0..8 {
        assert!(from(1).await.ends_with("\r\n\r\n2"), "not over HTTPS, whatever somebody says");
    }
    assert!(from(2).await.ends_with("\r\n\r\n1"));
    assert!(repeats(&rig, 13).await >= 2);
}

/// What comes back for a head from this address.
async fn from(address: [u8; 4], gateway: std::net::SocketAddr, head: &[u8]) -> String {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((address, 0).into()).unwrap();
    said(&mut socket.connect(gateway).await.unwrap(), head).await
}

/// What comes back for a head on this connection.
async fn said(stream: &mut TcpStream, head: &[u8]) -> String {
    stream.write_all(head).await.unwrap();
    let mut buffer = vec![0; 4_096];
    let read = stream.read(&mut buffer).await.unwrap();
    String::from_utf8_lossy(&buffer[..read]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn more_heads_than_are_remembered_are_told_apart() {
    let upstream = Upstream::new(|request: Request<Incoming>| async move {
        text(200, FRESH, request.uri().path().to_owned())
    })
    .await;
    let mut rig = rig();
    rig.api("c", upstream.address, cached());
    for _ in 0..2 {
        for number in 0..400 {
            let body = get_often(&rig, &format!("/acme/c/{number}"), &[]).await;
            assert_eq!(body, format!("/{number}"));
        }
    }
    assert!(repeats(&rig, 3_200).await >= 800);
    assert_eq!(upstream.count(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_told_what_they_may_do_and_rules_for_headers_hold() {
    let upstream = counting(FRESH).await;
    let mut rig = rig();
    let cors = json!({ "type": "cors", "settings": { "origins": ["https://a.test"] } });
    let headers = json!({ "type": "headers", "settings": { "response": { "set": [{ "name": "x-by", "value": "rule" }] } } });
    rig.api("cors", upstream.address, json!({ "policies": [cors, cached()["policies"][0]] }));
    rig.api("rule", upstream.address, json!({ "policies": [headers, cached()["policies"][0]] }));
    for _ in 0..4 {
        let seen = rig.get("/acme/cors/a", &[("origin", "https://a.test")]).await;
        assert_eq!(seen.header("access-control-allow-origin"), "https://a.test");
        assert_eq!(rig.get("/acme/rule/a", &[]).await.header("x-by"), "rule");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn variants_are_told_apart_by_the_words() {
    let upstream = counting(&[("cache-control", "max-age=60"), ("vary", "accept-language")]).await;
    let mut rig = rig();
    rig.api("c", upstream.address, cached());
    for _ in 0..2 {
        assert_eq!(get_often(&rig, "/acme/c/a", &[("accept-language", "de")]).await, "1de");
        assert_eq!(get_often(&rig, "/acme/c/a", &[("accept-language", "en")]).await, "2en");
    }
    assert!(repeats(&rig, 16).await >= 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_follow_one_another_on_a_connection_are_answered_in_their_order() {
    let upstream = counting(FRESH).await;
    let large = Upstream::new(|_| async { text(200, FRESH, vec![b'x'; 300_000]) }).await;
    let mut rig = rig();
    rig.api("c", upstream.address, cached());
    rig.api("large", large.address, cached());
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: gateway.test\r\n\r\n");
    let (small, large) = (get("/acme/c/a"), get("/acme/large/a"));
    let post =
        "POST /acme/c/b HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 20\r\n\r\nGET /acme/c/a HTTP/1\r\n";
    for head in [&small, &large] {
        for _ in 0..3 {
            rig.raw_for(head.as_bytes(), Duration::from_millis(100)).await;
        }
    }
    let last = "GET /acme/c/a HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n";
    let answers = rig
        .raw_for(format!("{small}{large}{small}{post}{small}{last}").as_bytes(), Duration::from_secs(10))
        .await;
    let lengths: Vec<_> = answers
        .match_indices("content-length: ")
        .map(|(at, name)| answers[at + name.len()..].split("\r\n").next().unwrap().parse::<usize>().unwrap())
        .collect();
    assert_eq!(lengths, [1, 300_000, 1, 1, 1, 1], "{}", answers.len());
    assert_eq!(
        answers.matches('x').count() - answers.matches("x-request-id").count(),
        300_000 + answers.matches("max-age").count()
    );
    assert!(repeats(&rig, 12).await >= 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_answer_is_not_cut_for_being_taken_slowly() {
    let size = 7 << 20;
    let upstream = Upstream::new(move |_| async move { text(200, FRESH, vec![b'x'; size]) }).await;
    let (keep_alive, stalled) = (Duration::from_millis(300), Duration::from_millis(1_500));
    let mut rig = Rig::with(Start { threads: 1, plain_keys: true, keep_alive, stalled, ..Start::default() });
    rig.api("c", upstream.address, cached());
    // Read first, then understood, and always by somebody who is slower than the buffers on the way are large.
    for fields in ["x: 1\r\n", "", "", "", "Connection: close\r\n"] {
        let head = format!("GET /acme/c/a HTTP/1.1\r\nHost: gateway.test\r\n{fields}\r\n");
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 << 10).unwrap();
        let mut stream = socket.connect(rig.address()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; size];
        for (at, part) in answer.chunks_mut(size / 8).enumerate() {
            // Each time less than may pass while a client takes nothing, and in all more than that.
            tokio::time::sleep(Duration::from_millis(500)).await;
            let read = stream.read_exact(part).await;
            read.unwrap_or_else(|error| panic!("part {at} of {head}: {error}"));
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{head}");
    }
    assert!(repeats(&rig, 5).await >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_head_that_arrives_in_pieces_is_answered_when_it_is_whole() {
    let upstream = counting(FRESH).await;
    let mut rig = rig();
    rig.api("c", upstream.address, cached());
    let head = b"GET /acme/c/a HTTP/1.1\r\nHost: gateway.test\r\n\r\n";
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    rig.settings(json!({ "limits": { "header_timeout_ms": 300 } }));
    for (cut, pause) in
        [(head.len(), 0), (head.len(), 0), (head.len(), 0), (1, 0), (20, 0), (head.len() - 1, 800)]
    {
        // Between heads nothing is waited for.
        tokio::time::sleep(Duration::from_millis(pause)).await;
        stream.write_all(&head[..cut]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let answer = said(&mut stream, &head[cut..]).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n1"), "{answer}");
    }
    assert_eq!(repeats(&rig, 6).await, 4);
}
