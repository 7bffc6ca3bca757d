//! HTTP/1.1 towards upstreams, byte by byte: what they are sent, where their responses end, when a connection serves again.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt as _, Full};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::support::{Rig, Start, Upstream, exchange, text};

/// An upstream that says bytes.
struct Raw {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// The requests' heads.
    heads: Arc<Mutex<Vec<String>>>,
}

impl Raw {
    /// Gives each connection to `serve`, with its number from 0.
    async fn serving<F, S>(serve: F) -> Self
    where
        F: Fn(TcpStream, usize, Arc<Mutex<Vec<String>>>) -> S + Send + 'static,
        S: Future<Output = std::io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let raw = Self { address, connections: Arc::default(), heads: Arc::default() };
        let (connections, heads) = (Arc::clone(&raw.connections), Arc::clone(&raw.heads));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, connections.fetch_add(1, Ordering::SeqCst), Arc::clone(&heads)));
            }
        });
        raw
    }

    /// Answers each request with these bytes, and closes after the first if it `closes`.
    async fn saying(answer: &'static [u8], closes: bool) -> Self {
        Self::serving(move |mut stream, _, heads| async move {
            loop {
                let head = head(&mut stream).await?;
                heads.lock().unwrap().push(head);
                stream.write_all(answer).await?;
                if closes {
                    stream.shutdown().await?;
                    stream.read_to_end(&mut Vec::new()).await?;
                    return Ok(());
                }
            }
        })
        .await
    }

    fn count(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn last_head(&self) -> String {
        self.heads.lock().unwrap().last().unwrap().clone()
    }
}

/// Reads the head of a request, byte by byte so that nothing behind it is taken.
async fn head(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8(head).unwrap())
}

/// One thread, so that a call finds the connection of the one before.
fn single() -> Rig {
    Rig::with(Start { threads: 1, ..Start::default() })
}

/// Status and body of a call; None when the body breaks off.
async fn call(rig: &Rig, method: Method, path: &str) -> (u16, Option<Bytes>) {
    let request = http::Request::builder().method(method).uri(path).header("host", "gateway.test");
    let (head, body) = exchange(rig.address(), request.body(Full::default()).unwrap()).await.into_parts();
    (head.status.as_u16(), body.collect().await.ok().map(http_body_util::Collected::to_bytes))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_ends_where_its_framing_says_and_its_connection_serves_again_if_that_is_certain() {
    let get = Method::GET;
    // What is said, whether the connection closes after it, the body, whether the connection serves twice.
    let cases: [(&Method, &[u8], bool, &str, bool); 12] = [
        (&get, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, "hello", true),
        (&get, b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\ncontent-length: 5\r\n\r\nhello", false, "hello", true),
        (
            &get,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nX-Sum: 7\r\n\r\n",
            false,
            "hello",
            true,
        ),
        (&Method::HEAD, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, "", true),
        (&get, b"HTTP/1.1 204 No Content\r\n\r\n", false, "", true),
        (&get, b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", false, "", true),
        (&get, b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", false, "hello", true),
        (&get, b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, "hello", false),
        (&get, b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 5\r\n\r\nhello", false, "hello", false),
        (&get, b"HTTP/1.1 200 OK\r\n\r\nhello", true, "hello", false),
        (&get, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello", true, "hello", false),
        (
            &get,
            b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            false,
            "hello",
            false,
        ),
    ];
    let mut rig = single();
    for (index, (method, said, closes, body, twice)) in cases.into_iter().enumerate() {
        let upstream = Raw::saying(said, closes).await;
        rig.api(&format!("case{index}"), upstream.address, json!({}));
        let text = String::from_utf8_lossy(said);
        for _ in 0..2 {
            let (_, seen) = call(&rig, method.clone(), &format!("/acme/case{index}/a")).await;
            assert_eq!(seen.as_deref(), Some(body.as_bytes()), "{text:?}");
        }
        assert_eq!(upstream.count(), if twice { 1 } else { 2 }, "{text:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_beside_chunks_is_not_passed_on() {
    let said =
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let upstream = Raw::saying(said, false).await;
    let mut rig = single();
    rig.api("both", upstream.address, json!({}));
    let answer = rig.raw(b"GET /acme/both/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(!answer.to_ascii_lowercase().contains("content-length"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_is_malformed_is_a_bad_one_and_a_body_that_breaks_off_is_cut() {
    let many = ["HTTP/1.1 200 OK\r\n", &"x: y\r\n".repeat(200), "\r\n"].concat().leak().as_bytes();
    let large = ["HTTP/1.1 200 OK\r\nx: ", &"y".repeat(70_000), "\r\n\r\n"].concat().leak().as_bytes();
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(2_000).leak().as_bytes();
    let mut rig = single();
    for (index, said) in [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        &b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello"[..],
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        many,
        large,
        hints,
    ]
    .into_iter()
    .enumerate()
    {
        let upstream = Raw::saying(said, false).await;
        rig.api(&format!("bad{index}"), upstream.address, json!({}));
        let seen = rig.get(&format!("/acme/bad{index}/a"), &[]).await;
        assert_eq!(seen.code_or_status(), "upstream_bad_response", "{:?}", String::from_utf8_lossy(said));
    }
    rig.calls(8).await;
    for (index, said) in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nfffffffffffffffff\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        let upstream = Raw::saying(said, true).await;
        rig.api(&format!("cut{index}"), upstream.address, json!({}));
        let (status, body) = call(&rig, Method::GET, &format!("/acme/cut{index}/a")).await;
        assert_eq!((status, body), (200, None), "{:?}", String::from_utf8_lossy(said));
        assert_eq!(rig.calls(1).await.remove(0).error.as_deref(), Some("upstream_closed"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_a_response_is_not_taken_for_the_next_one() {
    let (say, mut said) = mpsc::channel::<()>(1);
    let later = Arc::new(tokio::sync::Notify::new());
    let when = Arc::clone(&later);
    let upstream = Raw::serving(move |mut stream, number, _| {
        let (say, when) = (say.clone(), Arc::clone(&when));
        async move {
            head(&mut stream).await?;
            let good = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood";
            let forged = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
            match number {
                0 => stream.write_all(&[&good[..], forged].concat()).await?,
                1 => {
                    stream.write_all(good).await?;
                    when.notified().await;
                    stream.write_all(forged).await?;
                    let _ = say.send(()).await;
                }
                _ => stream.write_all(good).await?,
            }
            // Open until the gateway closes.
            let _ = stream.read_u8().await;
            Ok(())
        }
    })
    .await;
    let mut rig = single();
    rig.api("split", upstream.address, json!({}));
    for call in 0..2 {
        assert_eq!(rig.get("/acme/split/a", &[]).await.body, "good", "{call}");
    }
    assert_eq!(upstream.count(), 2);
    later.notify_one();
    said.recv().await.unwrap();
    assert_eq!(rig.get("/acme/split/a", &[]).await.body, "good");
    assert_eq!(upstream.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_closed_while_it_was_idle_is_not_used_even_for_what_is_sent_once_only() {
    let (closed, mut seen) = mpsc::channel::<()>(1);
    let upstream = Raw::serving(move |mut stream, _, _| {
        let closed = closed.clone();
        async move {
            head(&mut stream).await?;
            let mut body = [0; 4];
            stream.read_exact(&mut body).await?;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await?;
            drop(stream);
            let _ = closed.send(()).await;
            Ok(())
        }
    })
    .await;
    let mut rig = single();
    rig.api("closing", upstream.address, json!({}));
    for _ in 0..3 {
        let answer = rig.send(Method::POST, "/acme/closing/a", &[], "body").await;
        assert_eq!(answer.code_or_status(), "200 OK");
        seen.recv().await.unwrap();
    }
    assert_eq!(upstream.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_says_itself_how_long_a_request_is() {
    let answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    let upstream = Raw::saying(answer, true).await;
    let mut rig = single();
    rig.api("len", upstream.address, json!({}));
    for (request, expected) in [
        ("GET /acme/len/a HTTP/1.1\r\nHost: a\r\n\r\n", None),
        ("GET /acme/len/a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", Some("content-length: 0")),
        ("DELETE /acme/len/a HTTP/1.1\r\nHost: a\r\n\r\n", None),
        ("POST /acme/len/a HTTP/1.1\r\nHost: a\r\n\r\n", Some("content-length: 0")),
        ("PUT /acme/len/a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", Some("content-length: 4")),
        (
            "POST /acme/len/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
            Some("transfer-encoding: chunked"),
        ),
        (
            "GET /acme/len/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
            Some("transfer-encoding: chunked"),
        ),
    ] {
        let mut stream = TcpStream::connect(rig.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 204", "{request:?}");
        let head = upstream.last_head();
        let framing: Vec<_> = head
            .lines()
            .filter(|line| line.starts_with("content-length:") || line.starts_with("transfer-encoding:"))
            .collect();
        assert_eq!(framing, expected.into_iter().collect::<Vec<_>>(), "{request:?}");
        assert!(
            head.starts_with(&format!("{} /a HTTP/1.1\r\n", request.split(' ').next().unwrap())),
            "{head}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_in_chunks_with_trailers_arrives_as_it_was_sent() {
    let (sent, mut seen) = mpsc::channel::<String>(1);
    let upstream = Raw::serving(move |mut stream, _, _| {
        let sent = sent.clone();
        async move {
            let mut whole = head(&mut stream).await?;
            while !whole.ends_with("\r\n\r\n") || whole.matches("\r\n\r\n").count() < 2 {
                whole.push(char::from(stream.read_u8().await?));
            }
            let body = whole.split_once("\r\n\r\n").unwrap().1.to_owned();
            let _ = sent.send(body).await;
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await
        }
    })
    .await;
    let mut rig = single();
    rig.api("t", upstream.address, json!({}));
    let head = "POST /acme/t/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTrailer: X-Sum\r\n\
        Transfer-Encoding: chunked\r\n\r\n";
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    // Piece by piece, each a chunk of its own; the end only when the last has been sent.
    for piece in [head, "4\r\nWiki\r\n", "5\r\npedia\r\n", "0\r\nX-Sum: 7\r\nX-Other: 8\r\n\r\n"] {
        stream.write_all(piece.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let body = seen.recv().await.unwrap();
    let unchunked: String = body.split("\r\n").filter(|line| !matches!(*line, "4" | "5" | "9")).collect();
    assert_eq!(unchunked, "Wikipedia0x-sum: 7", "{body:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_before_the_request_is_whole_is_delivered_and_its_connection_not_used_again() {
    let upstream = Raw::serving(|mut stream, _, _| async move {
        head(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!").await?;
        let _ = stream.read_to_end(&mut Vec::new()).await;
        Ok(())
    })
    .await;
    let mut rig = single();
    rig.api("early", upstream.address, json!({}));
    for connections in 1..=2 {
        let mut stream = TcpStream::connect(rig.address()).await.unwrap();
        let request = "POST /acme/early/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nbegin";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        while !answer.ends_with("no!") {
            answer.push(char::from(stream.read_u8().await.unwrap()));
        }
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert_eq!(upstream.count(), connections);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_does_not_read_holds_the_client_back() {
    let upstream = Raw::serving(|mut stream, _, _| async move {
        head(&mut stream).await?;
        std::future::pending().await
    })
    .await;
    let mut rig = single();
    rig.settings(json!({ "limits": { "body_bytes": 2_000_000_000 } }));
    rig.api("deaf", upstream.address, json!({}));
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    let request = "POST /acme/deaf/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let piece = vec![b'x'; 64 << 10];
    let mut taken = 0;
    // It stops where the kernel's buffers of both connections are full.
    while let Ok(written) = tokio::time::timeout(Duration::from_secs(2), stream.write(&piece)).await {
        taken += written.unwrap();
        assert!(taken < 64 << 20, "{taken} bytes are held somewhere");
    }
    assert!(taken > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_may_arrive_byte_by_byte_after_others() {
    let upstream = Raw::serving(|mut stream, _, _| async move {
        stream.set_nodelay(true)?;
        loop {
            head(&mut stream).await?;
            let said = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n\r\nok";
            for byte in said {
                stream.write_u8(*byte).await?;
                tokio::task::yield_now().await;
            }
        }
    })
    .await;
    let mut rig = single();
    rig.api("slow", upstream.address, json!({}));
    for _ in 0..2 {
        let seen = rig.get("/acme/slow/a", &[]).await;
        assert_eq!((seen.status.as_u16(), seen.header("x"), &seen.body[..]), (200, "y", &b"ok"[..]));
        assert_eq!(seen.header("link"), "");
    }
    assert_eq!(upstream.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_other_protocol_says_at_once_is_not_lost() {
    let upstream = Raw::serving(|mut stream, _, _| async move {
        head(&mut stream).await?;
        stream
            .write_all(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: own\r\n\r\nwelcome",
            )
            .await?;
        let mut said = [0; 5];
        stream.read_exact(&mut said).await?;
        stream.write_all(&said).await
    })
    .await;
    let mut rig = single();
    rig.api("own", upstream.address, json!({}));
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    let head = "GET /acme/own/a HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: own\r\n\r\nhello";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.ends_with("\r\n\r\nwelcomehello"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_pass_both_ways() {
    let upstream = Upstream::new(|request: http::Request<hyper::body::Incoming>| async move {
        text(200, &[], request.into_body().collect().await.unwrap().to_bytes())
    })
    .await;
    let mut rig = single();
    rig.api("echo", upstream.address, json!({}));
    let body: Bytes = (0..5_000_000_u32).map(|number| (number % 251) as u8).collect();
    for _ in 0..2 {
        let seen = rig.send(Method::POST, "/acme/echo/a", &[], body.clone()).await;
        assert!(seen.status == 200 && seen.body == body);
    }
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_not_used_when_its_upstream_may_be_closing_it() {
    let says = |line| -> &'static [u8] {
        format!("HTTP/1.1 200 OK\r\n{line}Content-Length: 2\r\n\r\nok").leak().as_bytes()
    };
    let hasty = Raw::saying(says("Keep-Alive: timeout=1\r\n"), false).await;
    let silent = Raw::saying(says(""), false).await;
    let mut rig = single();
    rig.api("hasty", hasty.address, json!({}));
    rig.api("silent", silent.address, json!({}));
    let mut seen = Vec::new();
    for _ in 0..2 {
        for path in ["/acme/hasty/a", "/acme/silent/a"].repeat(2) {
            rig.get(path, &[]).await;
        }
        seen.push((hasty.count(), silent.count()));
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    assert_eq!(seen, [(1, 1), (2, 1)]);
}
