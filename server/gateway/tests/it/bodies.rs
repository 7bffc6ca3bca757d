//! Bodies that flow, stop, end with fields, or meet a slow reader.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Answer, Rig, Start, Upstream, text};

type Frames = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, std::io::Error>> + Send + Sync>>;

fn streaming(
    frames: impl Stream<Item = Result<Frame<Bytes>, std::io::Error>> + Send + Sync + 'static,
) -> Answer {
    http::Response::new(StreamBody::new(Box::pin(frames) as Frames).boxed())
}

/// An upstream with these timeouts.
fn with_timeouts(upstream: &Upstream, timeouts: Value) -> Value {
    let url = format!("http://{}", upstream.address);
    json!({ "upstreams": [{ "name": "main", "targets": [{ "url": url }], "timeouts": timeouts }] })
}

/// Pieces, so far apart; for ever after so many if `then_stops`.
fn pieces(count: usize, apart: Duration, then_stops: bool) -> Answer {
    streaming(futures_util::stream::unfold(0, move |sent| async move {
        if sent == count {
            if !then_stops {
                return None;
            }
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(apart).await;
        Some((Ok(Frame::data(Bytes::from_static(b"piece "))), sent + 1))
    }))
}

/// Says which trailers came with the request's body, in a trailer of its own.
async fn trailing() -> Upstream {
    Upstream::new(|request: Request<Incoming>| async move {
        let body = request.into_body().collect().await.unwrap();
        let sum = body.trailers().and_then(|trailers| trailers.get("x-sum")).cloned();
        let trailers = HeaderMap::from_iter([(
            http::HeaderName::from_static("x-seen"),
            sum.unwrap_or(HeaderValue::from_static("none")),
        )]);
        let frames = [Ok(Frame::data(Bytes::from_static(b"body"))), Ok(Frame::trailers(trailers))];
        let mut answer = streaming(futures_util::stream::iter(frames));
        answer.headers_mut().insert("trailer", HeaderValue::from_static("x-seen"));
        answer
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_pass_both_ways_over_http2() {
    let upstream = trailing().await;
    let mut rig = Rig::start();
    let url = format!("http://{}", upstream.address);
    rig.api(
        "t",
        upstream.address,
        json!({ "upstreams": [{ "name": "main", "protocol": "http2", "targets": [{ "url": url }] }] }),
    );
    let stream = TcpStream::connect(rig.address()).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let trailers =
        HeaderMap::from_iter([(http::HeaderName::from_static("x-sum"), HeaderValue::from_static("7"))]);
    let frames: [Result<_, std::io::Error>; 2] =
        [Ok(Frame::data(Bytes::from_static(b"data"))), Ok(Frame::trailers(trailers))];
    let body = StreamBody::new(futures_util::stream::iter(frames));
    let request = Request::post("http://api.test/acme/t/a").header("te", "trailers").body(body).unwrap();
    let answer = sender.send_request(request).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(answer.trailers().unwrap()["x-seen"], "7");
    assert_eq!(answer.to_bytes(), "body");
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_that_are_announced_pass_both_ways_over_http1() {
    let upstream = trailing().await;
    let mut rig = Rig::start();
    rig.api("t", upstream.address, json!({}));
    let request = "POST /acme/t/a HTTP/1.1\r\nHost: a\r\nConnection: close, TE\r\nTE: trailers\r\nTrailer: X-Sum\r\n\
        Transfer-Encoding: chunked\r\n\r\n4\r\ndata\r\n0\r\nX-Sum: 7\r\n\r\n";
    let answer = rig.raw(request.as_bytes()).await;
    assert!(answer.ends_with("4\r\nbody\r\n0\r\nx-seen: 7\r\n\r\n"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_stops_is_cut_and_one_that_only_takes_long_is_not() {
    let apart = Duration::from_millis(100);
    let stopping = Upstream::new(move |_| async move { pieces(2, apart, true) }).await;
    let long = Upstream::new(move |_| async move { pieces(12, apart, false) }).await;
    let mut rig = Rig::start();
    // The long one takes longer than all of them together; there is no total time unless somebody sets one.
    let timeouts = json!({ "connect_ms": 300, "first_byte_ms": 400, "idle_ms": 400 });
    rig.api("stopping", stopping.address, with_timeouts(&stopping, timeouts.clone()));
    rig.api("long", long.address, with_timeouts(&long, timeouts));
    let answer =
        rig.raw_for(b"GET /acme/stopping/a HTTP/1.1\r\nHost: a\r\n\r\n", Duration::from_secs(10)).await;
    assert_eq!(answer.matches("piece ").count(), 2, "{answer}");
    assert!(!answer.ends_with("0\r\n\r\n"), "an answer that was cut must not look whole");
    let call = rig.calls(1).await.remove(0);
    assert_eq!((call.status, call.error.as_deref()), (200, Some("upstream_timeout")));

    let request = b"GET /acme/long/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = rig.raw_for(request, Duration::from_secs(10)).await;
    assert_eq!(answer.matches("piece ").count(), 12, "{answer}");
    assert!(answer.ends_with("0\r\n\r\n"), "{answer}");
    assert_eq!(rig.calls(1).await.remove(0).error, None);
}

const PIECE: usize = 64 << 10;

/// An upstream that never ends, and how many bytes it has said.
async fn endless() -> (Upstream, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let upstream = Upstream::new(move |_| {
        let counted = Arc::clone(&counted);
        async move {
            streaming(futures_util::stream::unfold((), move |()| {
                counted.fetch_add(PIECE, Ordering::Relaxed);
                async { Some((Ok(Frame::data(Bytes::from(vec![b'x'; PIECE]))), ())) }
            }))
        }
    })
    .await;
    (upstream, sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_does_not_read_holds_the_upstream_back() {
    let (upstream, sent) = endless().await;
    let mut rig = Rig::start();
    rig.api("endless", upstream.address, json!({}));
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    stream.write_all(b"GET /acme/endless/a HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    stream.read_u8().await.unwrap();
    // It stops where the kernel's buffers of both connections are full.
    let mut before = 0;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = sent.load(Ordering::Relaxed);
        if now == before {
            assert!(now < 64 << 20, "{now} bytes are held somewhere");
            return;
        }
        before = now;
    }
    panic!("the upstream never stops: {before} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_takes_nothing_for_too_long_is_let_go_and_a_slow_one_is_not() {
    let (upstream, _) = endless().await;
    let mut rig = Rig::with(Start { stalled: Duration::from_millis(2_500), ..Start::default() });
    rig.api("endless", upstream.address, json!({}));
    let request = b"GET /acme/endless/a HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut stuck = TcpStream::connect(rig.address()).await.unwrap();
    let mut slow = TcpStream::connect(rig.address()).await.unwrap();
    stuck.write_all(request).await.unwrap();
    slow.write_all(request).await.unwrap();
    let reader = tokio::spawn(async move {
        let mut buffer = vec![0; 1 << 20];
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            slow.read_exact(&mut buffer).await.unwrap();
        }
    });
    let calls = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let calls = rig.shared.recorders.take_calls().unwrap();
            if !calls.is_empty() {
                return calls;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let calls = calls.await.unwrap();
    assert_eq!(calls.len(), 1, "the slow one goes on");
    assert_eq!((calls[0].status, calls[0].error.as_deref()), (200, Some("client_closed")));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!reader.is_finished(), "the slow one goes on");
    reader.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_does_not_wait_for_an_expected_body() {
    let upstream = Upstream::new(|_| async { text(200, &[], "") }).await;
    let mut rig = Rig::start();
    rig.api("closed", upstream.address, json!({ "access": "subscription" }));
    let request =
        "POST /acme/closed/a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    let answer = rig.raw(request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert_eq!(upstream.count(), 0);
}
