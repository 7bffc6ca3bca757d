//! From a request to an upstream and back: what each side sees.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use sluice_contract::guard::Guard;
use sluice_contract::problem::ErrorSource;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Rebinding, Rig, Start, Upstream, nobody, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_reaches_the_upstream_and_is_recorded() {
    let upstream = Upstream::echo().await;
    let mut rig = Rig::start();
    let api = rig.api("echo", upstream.address, json!({}));
    let seen = rig
        .send(
            Method::POST,
            "/acme/echo/a%2Fb/c?x=1&y=%20",
            &[("user-agent", "test/1"), ("x-own", "1")],
            "hello",
        )
        .await;
    assert_eq!(seen.status, 200);
    let saw = seen.json();
    assert_eq!(saw["path"], "/a%2Fb/c");
    assert_eq!(saw["query"], "x=1&y=%20");
    assert_eq!(saw["body"], "hello");
    assert_eq!(saw["headers"]["x-own"], json!(["1"]));
    assert_eq!(saw["headers"]["host"], json!([upstream.address.to_string()]));
    assert_eq!(saw["headers"]["via"], json!(["1.1 sluice"]));
    assert_eq!(saw["headers"]["x-forwarded-for"], json!(["127.0.0.1"]));
    assert_eq!(saw["headers"]["x-forwarded-host"], json!(["gateway.test"]));
    assert_eq!(saw["headers"]["forwarded"], json!(["for=127.0.0.1;host=\"gateway.test\";proto=http"]));
    assert_eq!(saw["headers"]["x-request-id"][0], seen.header("x-request-id"));
    assert_eq!(seen.header("via"), "1.1 sluice");

    let call = rig.calls(1).await.remove(0);
    assert_eq!(call.id.to_string(), seen.header("x-request-id"));
    assert_eq!((call.api, call.route.as_deref(), call.status), (Some(api), Some("all"), 200));
    assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/acme/echo/a%2Fb/c"));
    assert_eq!(call.query.as_deref(), Some("x=1&y=%20"));
    assert_eq!((call.bytes_in, call.bytes_out), (5, seen.body.len() as u64));
    assert_eq!(call.target, Some(format!("http://{}", upstream.address)));
    assert_eq!(call.user_agent.as_deref(), Some("test/1"));
    assert!(call.upstream_us.unwrap() <= call.duration_us);
    let traceparent = saw["headers"]["traceparent"][0].as_str().unwrap();
    assert_eq!(&traceparent[3..35], call.trace_id.unwrap());
    assert!(call.stages.iter().any(|stage| stage.stage == "upstream"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_upstream_connection_serves_many_calls() {
    let upstream = Upstream::echo().await;
    let mut rig = Rig::with(Start { threads: 1, ..Start::default() });
    rig.api("echo", upstream.address, json!({}));
    for _ in 0..20 {
        assert_eq!(rig.get("/acme/echo/a", &[]).await.status, 200);
    }
    assert_eq!(upstream.count(), 20);
    assert_eq!(upstream.connections.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_take_turns_by_weight_and_a_target_that_refuses_is_passed_over() {
    let name =
        |name: &'static str| move |_: Request<Incoming>| async move { text(200, &[("x-name", name)], "") };
    let (one, two) = (Upstream::new(name("one")).await, Upstream::new(name("two")).await);
    let dead = nobody().await;
    let mut rig = Rig::start();
    let target = |address, weight| json!({ "url": format!("http://{address}"), "weight": weight });
    let targets = json!([target(one.address, 3), target(two.address, 1), target(dead, 2)]);
    rig.api("turns", one.address, json!({ "upstreams": [{ "name": "main", "targets": targets }] }));
    for _ in 0..60 {
        assert_eq!(rig.get("/acme/turns/a", &[]).await.status, 200);
    }
    // The dead target's 20 turns went to the first of the others.
    assert_eq!((one.count(), two.count()), (50, 10));
    assert_eq!(rig.calls(60).await.iter().filter(|call| call.status == 200).count(), 60);

    let posted = rig.send(Method::POST, "/acme/turns/a", &[], "body").await;
    assert_eq!(posted.status, 200, "nothing was sent to a target that refused, so a POST may go to another");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_an_upstream_is_told_and_recorded() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let slow = Upstream::new(|_| async {
        tokio::time::sleep(Duration::from_secs(30)).await;
        text(200, &[], "")
    })
    .await;
    let closing = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closing_address = closing.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = closing.accept().await {
            let mut buffer = [0; 1024];
            let _ = stream.read(&mut buffer).await;
        }
    });
    let garbage = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let garbage_address = garbage.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = garbage.accept().await {
            let mut buffer = [0; 1024];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(b"SSH-2.0-OpenSSH\r\n\r\n").await;
        }
    });
    let mut rig = Rig::start();
    let mut expected = Vec::new();
    for (slug, url, status, code) in [
        ("name", "http://does-not-exist.invalid".to_owned(), 502, "upstream_unresolvable"),
        ("refused", format!("http://{}", nobody().await), 502, "upstream_refused"),
        ("private", "http://10.255.255.1".to_owned(), 502, "upstream_forbidden"),
        ("tls", format!("https://{}", silent.local_addr().unwrap()), 504, "upstream_connect_timeout"),
        ("slow", format!("http://{}", slow.address), 504, "upstream_timeout"),
        ("closing", format!("http://{closing_address}"), 502, "upstream_closed"),
        ("garbage", format!("http://{garbage_address}"), 502, "upstream_bad_response"),
    ] {
        let upstream = json!({
            "name": "main",
            "targets": [{ "url": url }],
            "timeouts": { "connect_ms": 300, "first_byte_ms": 300 },
        });
        rig.api(slug, slow.address, json!({ "upstreams": [upstream] }));
        let seen = rig.get(&format!("/acme/{slug}/a"), &[]).await;
        assert_eq!((seen.status.as_u16(), seen.code().as_str()), (status, code), "{slug}");
        expected.push(code);
    }
    let calls = rig.calls(expected.len()).await;
    let mut found: Vec<_> = calls.iter().map(|call| call.error.as_deref().unwrap()).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert!(calls.iter().all(|call| call.error_source != Some(ErrorSource::Client)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_turns_to_a_forbidden_address_is_refused_at_connect() {
    let upstream = Upstream::new(|_| async { text(200, &[("connection", "close")], "inside") }).await;
    let resolver =
        Rebinding(Mutex::new(vec!["127.0.0.1".parse::<IpAddr>().unwrap(), "127.0.0.2".parse().unwrap()]));
    let guard = Guard::parse(["127.0.0.1/32"]).unwrap();
    let mut rig = Rig::with(Start { guard, resolver: Arc::new(resolver), threads: 1, ..Start::default() });
    let url = format!("http://rebinding.test:{}", upstream.address.port());
    rig.api(
        "re",
        upstream.address,
        json!({ "upstreams": [{ "name": "main", "targets": [{ "url": url }] }] }),
    );
    assert_eq!(rig.get("/acme/re/a", &[]).await.body, "inside");
    let refused = rig.get("/acme/re/a", &[]).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (502, "upstream_forbidden"));
    assert_eq!(upstream.count(), 1);

    rig.settings(json!({ "allowed_networks": ["127.0.0.2"] }));
    assert_ne!(rig.get("/acme/re/a", &[]).await.code_or_status(), "upstream_forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_flow_both_ways_without_being_held_back() {
    let upstream = Upstream::new(|request: Request<Incoming>| async move {
        let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, std::io::Error>>(1);
        tokio::spawn(async move {
            let mut body = request.into_body();
            while let Some(Ok(frame)) = body.frame().await {
                if sender.send(Ok(frame)).await.is_err() {
                    return;
                }
            }
        });
        let stream = tokio_stream(receiver);
        http::Response::new(StreamBody::new(stream).boxed())
    })
    .await;
    let mut rig = Rig::start();
    rig.api("stream", upstream.address, json!({}));
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    let head = "POST /acme/stream/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut seen = String::new();
    for piece in ["one", "two", "three"] {
        stream.write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).await.unwrap();
        // The piece comes back before the next is sent.
        while !seen.contains(piece) {
            let mut buffer = [0; 1024];
            let length = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut buffer))
                .await
                .unwrap()
                .unwrap();
            assert!(length > 0);
            seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    }
}

fn tokio_stream(
    mut receiver: tokio::sync::mpsc::Receiver<Result<Frame<Bytes>, std::io::Error>>,
) -> impl futures_core::Stream<Item = Result<Frame<Bytes>, std::io::Error>> + Send + Sync {
    futures_util::stream::poll_fn(move |context| receiver.poll_recv(context))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_socket_passes_through_and_is_recorded_when_it_ends() {
    let upstream = Upstream::new(|mut request: Request<Incoming>| async move {
        if request.headers().get("upgrade").is_none_or(|value| value != "websocket") {
            return text(426, &[], "");
        }
        let upgraded = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = TokioIo::new(upgraded.await.unwrap());
            let mut buffer = [0; 1024];
            while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                stream.write_all(&buffer[..length]).await.unwrap();
            }
        });
        text(101, &[("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-accept", "yes")], "")
    })
    .await;
    let mut rig = Rig::start();
    rig.api("ws", upstream.address, json!({}));
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    let head = "GET /acme/ws/chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut buffer = vec![0; 4096];
    let length = stream.read(&mut buffer).await.unwrap();
    let answer = String::from_utf8_lossy(&buffer[..length]).to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 101 ") && answer.contains("upgrade: websocket"), "{answer}");
    assert!(answer.contains("sec-websocket-accept: yes"));
    for frame in [&b"GET / HTTP/1.1\n\n"[..], &[0xff, 0, 1, 2]] {
        stream.write_all(frame).await.unwrap();
        let mut echo = vec![0; frame.len()];
        stream.read_exact(&mut echo).await.unwrap();
        assert_eq!(echo, frame);
    }
    drop(stream);
    let call = rig.calls(1).await.remove(0);
    assert_eq!((call.status, call.bytes_in, call.bytes_out), (101, 20, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_by_prior_knowledge_works_on_both_sides() {
    let upstream = Upstream::echo().await;
    let mut rig = Rig::start();
    let h2 = json!({ "name": "main", "protocol": "http2", "targets": [{ "url": format!("http://{}", upstream.address) }] });
    rig.api("h2", upstream.address, json!({ "upstreams": [h2] }));
    rig.api("h1", upstream.address, json!({}));
    let stream = TcpStream::connect(rig.address()).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for (slug, version) in [("h2", "HTTP/2.0"), ("h1", "HTTP/1.1")] {
        let request = Request::post(format!("http://api.test/acme/{slug}/a?b"))
            .body(Full::new(Bytes::from("x")))
            .unwrap();
        let response = sender.clone().send_request(request).await.unwrap();
        assert_eq!(response.status(), 200, "{slug}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let saw: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((saw["version"].as_str().unwrap(), saw["body"].as_str().unwrap()), (version, "x"));
        assert_eq!(saw["headers"]["x-forwarded-host"], json!(["api.test"]));
    }
    assert_eq!(rig.calls(2).await[0].host, "api.test");
    assert_eq!(rig.get("/acme/h2/a", &[]).await.json()["version"], "HTTP/2.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn head_and_range_and_conditions_pass_through_unchanged() {
    let upstream = Upstream::new(|request: Request<Incoming>| async move {
        let headers = request.headers();
        if headers.contains_key("if-none-match") {
            return text(304, &[("etag", "\"a\"")], "");
        }
        if headers.contains_key("range") {
            return text(206, &[("content-range", "bytes 0-3/10")], "0123");
        }
        text(
            200,
            &[("content-length", "10")],
            if request.method() == Method::HEAD { "" } else { "0123456789" },
        )
    })
    .await;
    let mut rig = Rig::start();
    rig.api("file", upstream.address, json!({}));
    let head = rig.send(Method::HEAD, "/acme/file/a", &[], "").await;
    assert_eq!((head.status.as_u16(), head.header("content-length"), head.body.len()), (200, "10", 0));
    let part = rig.get("/acme/file/a", &[("range", "bytes=0-3")]).await;
    assert_eq!(
        (part.status.as_u16(), part.header("content-range"), &part.body[..]),
        (206, "bytes 0-3/10", &b"0123"[..])
    );
    let same = rig.get("/acme/file/a", &[("if-none-match", "\"a\"")]).await;
    assert_eq!((same.status.as_u16(), same.header("etag")), (304, "\"a\""));
    assert_eq!(rig.calls(3).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_is_recorded_so() {
    let upstream = Upstream::new(|_| async {
        let stream = futures_util::stream::unfold(0, |number| async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Some((Ok(Frame::data(Bytes::from(vec![b'x'; 1 << 14]))), number + 1))
        });
        http::Response::new(
            StreamBody::new(
                Box::pin(stream) as std::pin::Pin<Box<dyn futures_core::Stream<Item = _> + Send + Sync>>
            )
            .boxed(),
        )
    })
    .await;
    let mut rig = Rig::start();
    rig.api("endless", upstream.address, json!({}));
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    stream.write_all(b"GET /acme/endless/a HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut buffer = [0; 64];
    stream.read_exact(&mut buffer).await.unwrap();
    drop(stream);
    let call = rig.calls(1).await.remove(0);
    assert_eq!((call.status, call.error.as_deref()), (200, Some("client_closed")));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_lets_calls_in_flight_finish() {
    let upstream = Upstream::new(|_| async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        text(200, &[], "done")
    })
    .await;
    let mut rig = Rig::start();
    rig.api("slow", upstream.address, json!({}));
    let address = rig.address();
    let request = Request::get("/acme/slow/a").header("host", "a").body(Full::new(Bytes::new())).unwrap();
    let in_flight = tokio::spawn(async move {
        let response = crate::support::exchange(address, request).await;
        response.into_body().collect().await.unwrap().to_bytes()
    });
    tokio::time::sleep(Duration::from_millis(150)).await;
    let running = rig.running;
    let begun = Instant::now();
    tokio::task::spawn_blocking(move || running.stop(Duration::from_secs(5))).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(4));
    assert_eq!(in_flight.await.unwrap(), "done");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_listener_tells_when_the_gateway_is_ready() {
    use sluice_gateway::telemetry::Recorders;
    use sluice_gateway::{Gateway, GatewayOptions, Shared};
    let shared = Arc::new(Shared::new(Recorders::in_memory(), Guard::default()));
    let free = "127.0.0.1:0".parse().unwrap();
    let running = Gateway::start(GatewayOptions::new(free, free), Arc::clone(&shared)).unwrap();
    let get = async |address, path: &str| {
        let request = Request::get(path).header("host", "a").body(Full::new(Bytes::new())).unwrap();
        let response = crate::support::exchange(address, request).await;
        let status = response.status().as_u16();
        (
            status,
            String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap(),
        )
    };
    assert_eq!(get(running.status_address, "/healthz").await.0, 200);
    assert_eq!(get(running.status_address, "/readyz").await.0, 503);
    let (status, body) = get(running.address, "/acme/x").await;
    assert_eq!(status, 503);
    assert!(body.contains("not_ready"));
    let mut snapshot = (*shared.snapshot()).clone();
    snapshot.incarnation = Some(sluice_contract::ids::IncarnationId::generate());
    shared.publish(snapshot);
    assert_eq!(get(running.status_address, "/readyz").await.0, 200);
    assert_eq!(get(running.address, "/acme/x/y").await.0, 404);
    let metrics = get(running.status_address, "/metrics").await.1;
    assert!(metrics.contains("sluice_calls_total 2\n") && metrics.contains("sluice_ready 1\n"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn upstreams_over_tls_are_verified_and_speak_what_alpn_chooses() {
    let authority = rcgen::generate_simple_self_signed(["upstream.test".to_owned()]).unwrap();
    let config = |protocols: &[&[u8]]| {
        let key = rustls::pki_types::PrivateKeyDer::try_from(authority.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![authority.cert.der().clone()], key)
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        config
    };
    let version =
        |request: Request<Incoming>| async move { text(200, &[], format!("{:?}", request.version())) };
    let modern = Upstream::tls(version, config(&[b"h2", b"http/1.1"])).await;
    let old = Upstream::tls(version, config(&[b"http/1.1"])).await;
    let resolver = || Arc::new(Rebinding(Mutex::new(vec!["127.0.0.1".parse().unwrap()])));
    let upstream = |upstream: &Upstream, name: &str, protocol: &str| {
        let url = format!("https://{name}:{}", upstream.address.port());
        json!({ "upstreams": [{ "name": "main", "protocol": protocol, "targets": [{ "url": url }] }] })
    };
    let roots = vec![authority.cert.der().clone()];
    let mut rig = Rig::with(Start { resolver: resolver(), roots, ..Start::default() });
    for (slug, server, protocol, expected) in [
        ("a", &modern, "http2", "HTTP/2.0"),
        ("b", &modern, "http1", "HTTP/1.1"),
        ("c", &old, "http2", "HTTP/1.1"),
    ] {
        rig.api(slug, server.address, upstream(server, "upstream.test", protocol));
        assert_eq!(rig.get(&format!("/acme/{slug}/x"), &[]).await.body, expected, "{slug}");
    }
    rig.api("name", modern.address, upstream(&modern, "other.test", "http1"));
    assert_eq!(rig.get("/acme/name/x", &[]).await.code(), "upstream_tls");
    let mut strict = Rig::with(Start { resolver: resolver(), ..Start::default() });
    strict.api("unknown", modern.address, upstream(&modern, "upstream.test", "http1"));
    assert_eq!(strict.get("/acme/unknown/x", &[]).await.code(), "upstream_tls");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_that_the_upstream_has_closed_costs_no_call() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        // Each connection answers once, says that it stays open, and closes when the next request has arrived.
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                let _ = stream.read(&mut buffer).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                let _ = stream.read(&mut buffer).await;
            });
        }
    });
    let mut rig = Rig::with(Start { threads: 1, ..Start::default() });
    rig.api("idle", address, json!({}));
    assert_eq!(rig.get("/acme/idle/a", &[]).await.status, 200);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(rig.get("/acme/idle/a", &[]).await.status, 200, "what has no effect twice is sent again");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let posted = rig.send(Method::POST, "/acme/idle/a", &[], "x").await;
    assert_eq!(posted.code(), "upstream_closed", "what may have had an effect is not");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expectation_is_answered_when_the_body_is_wanted() {
    let upstream = Upstream::echo().await;
    let mut rig = Rig::start();
    rig.api("echo", upstream.address, json!({}));
    rig.api("closed", upstream.address, json!({ "access": "subscription" }));
    let head = "Host: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    stream.write_all(format!("POST /acme/echo/a HTTP/1.1\r\n{head}").as_bytes()).await.unwrap();
    let mut buffer = [0; 1024];
    let length = stream.read(&mut buffer).await.unwrap();
    assert!(buffer[..length].starts_with(b"HTTP/1.1 100 "));
    stream.write_all(b"ok").await.unwrap();
    let length = stream.read(&mut buffer).await.unwrap();
    let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    let refused = rig.raw(format!("POST /acme/closed/a HTTP/1.1\r\n{head}").as_bytes()).await;
    assert!(refused.starts_with("HTTP/1.1 401 "), "a refusal does not ask for the body: {refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_nobody_uses_is_closed_and_one_with_a_long_answer_is_not() {
    type Pieces = std::pin::Pin<
        Box<dyn futures_core::Stream<Item = Result<Frame<Bytes>, std::io::Error>> + Send + Sync>,
    >;
    let upstream = Upstream::new(|_| async {
        let pieces = futures_util::stream::unfold(0, |number| async move {
            if number == 8 {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            Some((Ok(Frame::data(Bytes::from_static(b"piece "))), number + 1))
        });
        http::Response::new(StreamBody::new(Box::pin(pieces) as Pieces).boxed())
    })
    .await;
    let mut rig = Rig::with(Start { keep_alive: Duration::from_millis(300), ..Start::default() });
    rig.api("long", upstream.address, json!({}));
    let begun = Instant::now();
    let answer = rig.raw_for(b"GET /acme/long/a HTTP/1.1\r\nHost: a\r\n\r\n", Duration::from_secs(10)).await;
    assert_eq!(answer.matches("piece ").count(), 8, "{answer}");
    assert!(answer.ends_with("0\r\n\r\n"), "{answer}");
    assert!(begun.elapsed() < Duration::from_secs(8), "the idle connection is still open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_time_ends_an_answer_that_flows_without_end() {
    type Pieces = std::pin::Pin<
        Box<dyn futures_core::Stream<Item = Result<Frame<Bytes>, std::io::Error>> + Send + Sync>,
    >;
    let upstream = Upstream::new(|_| async {
        let pieces = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Some((Ok(Frame::data(Bytes::from_static(b"piece "))), ()))
        });
        http::Response::new(StreamBody::new(Box::pin(pieces) as Pieces).boxed())
    })
    .await;
    let mut rig = Rig::start();
    let main = json!({
        "name": "main",
        "targets": [{ "url": format!("http://{}", upstream.address) }],
        "timeouts": { "total_ms": 400 },
    });
    rig.api("endless", upstream.address, json!({ "upstreams": [main] }));
    let answer =
        rig.raw_for(b"GET /acme/endless/a HTTP/1.1\r\nHost: a\r\n\r\n", Duration::from_secs(10)).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("piece "), "{answer}");
    assert!(!answer.ends_with("0\r\n\r\n"), "an answer that was cut must not look whole");
    let call = rig.calls(1).await.remove(0);
    assert_eq!(call.error.as_deref(), Some("upstream_timeout"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_in_an_absolute_target_counts() {
    let upstream = Upstream::echo().await;
    let mut rig = Rig::start();
    rig.api("own", upstream.address, json!({ "hosts": ["own.test"] }));
    let answer =
        rig.raw(b"GET http://own.test/a HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("\"x-forwarded-host\":[\"own.test\"]"), "{answer}");
}
