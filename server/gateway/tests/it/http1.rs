//! What one connection of HTTP/1 goes through: versions, bodies that nobody reads, answers that end in different ways.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Rig, Upstream, text};

const CLOSED: &str = "{ \"access\": \"subscription\" }";

/// The statuses of the answers, in order.
fn statuses(answers: &str) -> Vec<&str> {
    answers.match_indices("HTTP/1.1 ").map(|(at, _)| &answers[at + 9..at + 12]).collect()
}

/// An upstream that answers each connection with these bytes, and closes.
async fn saying(answer: &'static str) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn old_clients_keep_the_connection_only_when_they_ask() {
    let upstream = Upstream::new(|_| async { text(200, &[], "body") }).await;
    let mut rig = Rig::start();
    rig.api("old", upstream.address, json!({}));
    let one = "GET /acme/old/a HTTP/1.0\r\nHost: a\r\n\r\n";
    let kept = "GET /acme/old/a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
    let answers = rig.raw(format!("{one}{one}").as_bytes()).await;
    assert_eq!(statuses(&answers), ["200"], "{answers}");
    assert!(answers.contains("\r\nconnection: close\r\n"), "{answers}");
    let answers = rig.raw(format!("{kept}{kept}{one}").as_bytes()).await;
    assert_eq!(statuses(&answers), ["200", "200", "200"], "{answers}");
    assert_eq!(answers.matches("\r\nconnection: keep-alive\r\n").count(), 2, "{answers}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_client_sees_the_end_of_a_body_of_unknown_length_by_the_end_of_the_connection() {
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n";
    let mut rig = Rig::start();
    rig.api("old", saying(chunks).await, json!({}));
    let old = "GET /acme/old/a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
    let answer = rig.raw(old.as_bytes()).await;
    assert!(answer.ends_with("\r\n\r\nbody"), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n") && !answer.contains("chunked"), "{answer}");
    let new = rig.raw(b"GET /acme/old/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(new.contains("\r\ntransfer-encoding: chunked\r\n"), "{new}");
    assert!(new.ends_with("\r\n\r\n4\r\nbody\r\n0\r\n\r\n"), "{new}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_nobody_reads_is_not_taken_for_a_request() {
    let upstream = Upstream::new(|_| async { text(200, &[], "") }).await;
    let mut rig = Rig::start();
    rig.api("closed", upstream.address, serde_json::from_str(CLOSED).unwrap());
    let evil = "GET /acme/closed/evil HTTP/1.1\r\nHost: a\r\n\r\n";
    let lengths = format!("Content-Length: {}\r\n\r\n{evil}", evil.len());
    let chunks = format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{evil}\r\n0\r\n\r\n", evil.len());
    for body in [lengths, chunks] {
        let post = format!("POST /acme/closed/a HTTP/1.1\r\nHost: a\r\n{body}");
        let answers = rig.raw(format!("{post}{post}").as_bytes()).await;
        assert_eq!(statuses(&answers), ["401", "401"], "{answers}");
        let calls = rig.calls(2).await;
        assert!(calls.iter().all(|call| call.path == "/acme/closed/a"), "{calls:?}");
    }
    // One that is not there cannot be skipped.
    let post = "POST /acme/closed/a HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n";
    let answers = rig.raw(format!("{post}{evil}").as_bytes()).await;
    assert_eq!(statuses(&answers), ["401"], "{answers}");
    assert_eq!(upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_was_not_told_to_go_on_is_told_that_the_connection_ends() {
    let upstream = Upstream::echo().await;
    let mut rig = Rig::start();
    rig.api("closed", upstream.address, serde_json::from_str(CLOSED).unwrap());
    rig.api("open", upstream.address, json!({}));
    let post = |path: &str| {
        format!(
            "POST /acme/{path}/a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        )
    };
    let refused = rig.raw(post("closed").as_bytes()).await;
    assert_eq!(statuses(&refused), ["401"], "{refused}");
    assert!(refused.contains("\r\nconnection: close\r\n"), "{refused}");
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    for _ in 0..2 {
        stream.write_all(post("open").as_bytes()).await.unwrap();
        let mut told = [0; 25];
        stream.read_exact(&mut told).await.unwrap();
        assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"data").await.unwrap();
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("data"), "{answer}");
        assert!(!answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_told_to_go_on_behind_the_answer_to_what_it_asked_before() {
    let upstream = Upstream::echo().await;
    let mut rig = Rig::start();
    rig.api("open", upstream.address, json!({}));
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    let both = "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n\
        POST /acme/open/a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    // The second time the upstream's connection is there, and the body is wanted at once.
    for _ in 0..2 {
        stream.write_all(both.as_bytes()).await.unwrap();
        let mut told = String::new();
        while !told.ends_with("HTTP/1.1 100 Continue\r\n\r\n") {
            told.push(char::from(stream.read_u8().await.unwrap()));
        }
        assert!(told.starts_with("HTTP/1.1 404 "), "{told}");
        stream.write_all(b"data").await.unwrap();
        let length = stream.read(&mut [0; 4096]).await.unwrap();
        assert!(length > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_much_and_reads_late_gets_every_answer_in_order() {
    const ASKED: usize = 3_000;
    let mut rig = Rig::start();
    let upstream = Upstream::new(|request: http::Request<hyper::body::Incoming>| async move {
        text(200, &[], format!("{:>3000}", request.uri().query().unwrap_or_default()))
    })
    .await;
    rig.api("late", upstream.address, json!({}));
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    let (mut reading, mut writing) = stream.split();
    let ask = async {
        for number in 0..ASKED {
            let last = if number + 1 == ASKED { "Connection: close\r\n" } else { "" };
            let request = format!("GET /acme/late/a?n{number}. HTTP/1.1\r\nHost: a\r\n{last}\r\n");
            writing.write_all(request.as_bytes()).await.unwrap();
        }
    };
    let read = async {
        // Until far more is to be sent than the connection holds.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut answers = String::new();
        reading.read_to_string(&mut answers).await.unwrap();
        answers
    };
    let ((), answers) = tokio::join!(ask, read);
    let numbers = answers
        .match_indices("  n")
        .map(|(at, _)| answers[at + 3..].split_once('.').unwrap().0.parse().unwrap());
    assert_eq!(numbers.collect::<Vec<usize>>(), (0..ASKED).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn head_gets_the_head_of_a_problem_and_the_connection_goes_on() {
    let rig = Rig::start();
    let two = "HEAD /nowhere HTTP/1.1\r\nHost: a\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answers = rig.raw(two.as_bytes()).await;
    assert_eq!(statuses(&answers), ["404", "404"], "{answers}");
    let (first, second) = answers.split_once("\r\n\r\n").unwrap();
    assert!(first.contains("\r\ncontent-length: ") && second.starts_with("HTTP/1.1 404 "), "{answers}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_of_an_answer_that_breaks_off_arrives_and_its_end_does_not() {
    for (answer, end) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "\r\n\r\nhalf"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "\r\n\r\n4\r\nhalf\r\n"),
    ] {
        let mut rig = Rig::start();
        rig.api("cut", saying(answer).await, json!({}));
        let begun = std::time::Instant::now();
        let seen = rig.raw_for(b"GET /acme/cut/a HTTP/1.1\r\nHost: a\r\n\r\n", Duration::from_secs(20)).await;
        assert!(seen.ends_with(end), "{seen}");
        assert!(begun.elapsed() < Duration::from_secs(15), "the connection was closed");
        assert_eq!(rig.calls(1).await[0].error.as_deref(), Some("upstream_closed"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_pass_whole_both_ways() {
    let upstream = Upstream::new(|request: http::Request<hyper::body::Incoming>| async {
        use http_body_util::BodyExt as _;
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let sum = body.iter().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
        text(200, &[], format!("{sum}:{}", "0123456789abcdef".repeat(200_000)))
    })
    .await;
    let mut rig = Rig::start();
    rig.api("large", upstream.address, json!({}));
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let sum = body.iter().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    let mut lengths =
        format!("POST /acme/large/a HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut chunks =
        "POST /acme/large/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            .as_bytes()
            .to_vec();
    for chunk in body.chunks(70_001) {
        chunks.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        chunks.extend_from_slice(chunk);
        chunks.extend_from_slice(b"\r\n");
    }
    chunks.extend_from_slice(b"0\r\n\r\n");
    let mut both = std::mem::take(&mut lengths).into_bytes();
    both.extend_from_slice(&body);
    both.extend_from_slice(&chunks);
    let answers = rig.raw_for(&both, Duration::from_secs(30)).await;
    assert_eq!(statuses(&answers), ["200", "200"]);
    assert_eq!(answers.matches(&format!("\r\n\r\n{sum}:0123456789abcdef")).count(), 2);
    assert_eq!(answers.matches("0123456789abcdef").count(), 400_000);
}
