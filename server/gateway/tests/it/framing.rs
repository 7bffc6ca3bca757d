//! Messages whose end cannot be told for sure, and messages that are too large or never end.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Rig, Upstream};

async fn rig() -> (Rig, Upstream) {
    let upstream = Upstream::echo().await;
    let mut rig = Rig::start();
    rig.api("echo", upstream.address, json!({}));
    (rig, upstream)
}

#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_messages_get_400_and_the_connection_is_closed() {
    let (rig, upstream) = rig().await;
    let post = "POST /acme/echo/a HTTP/1.1\r\nHost: a\r\n";
    for message in [
        format!(
            "{post}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /acme/echo/evil HTTP/1.1\r\nHost: a\r\n\r\n"
        ),
        format!("{post}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"),
        format!("{post}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde"),
        format!("{post}Content-Length: 4, 5\r\n\r\nabcde"),
        format!("{post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        format!("{post}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
        "GET /acme/echo/a HTTP/1.1\nHost: a\n\n".to_owned(),
        "GET /acme/echo/a HTTP/1.1\r\nHost: a\nX: b\r\n\r\n".to_owned(),
        "GET /acme/echo/a HTTP/1.1\r\nHost: a\r\nX: b\r\n folded\r\n\r\n".to_owned(),
        "GET /acme/echo/a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(),
        "GET /acme/echo/a HTTP/1.1\r\n\r\n".to_owned(),
        "GET /acme/echo/a HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n".to_owned(),
    ] {
        let answer =
            rig.raw(format!("{message}GET /acme/echo/b HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{message:?} got {answer:?}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "the connection goes on after {message:?}");
        assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
    }
    assert_eq!(upstream.count(), 0, "nothing of it reached the upstream");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ambiguous_message_is_refused_after_good_ones_on_the_same_connection() {
    let (rig, upstream) = rig().await;
    let good =
        "POST /acme/echo/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let bad = "POST /acme/echo/b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let answer = rig.raw(format!("{good}{good}{bad}{good}").as_bytes()).await;
    let statuses: Vec<&str> =
        answer.match_indices("HTTP/1.1 ").map(|(at, _)| &answer[at + 9..at + 12]).collect();
    assert_eq!(statuses, ["200", "200", "400"]);
    assert!(answer.contains("ambiguous_request"), "{answer}");
    assert_eq!(upstream.count(), 2);
    let calls = rig.calls(3).await;
    assert_eq!(calls[2].error.as_deref(), Some("ambiguous_request"));
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_too_large_get_431_and_the_connection_is_closed() {
    let (mut rig, _upstream) = rig().await;
    rig.settings(json!({ "limits": { "header_bytes": 8192, "header_count": 20 } }));
    let large = format!("GET /acme/echo/a HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    let many = format!("GET /acme/echo/a HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(30));
    for message in [large, many] {
        let answer = rig.raw(message.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer:?}");
        assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_refused_when_announced_and_cut_when_not() {
    let (mut rig, _upstream) = rig().await;
    rig.settings(json!({ "limits": { "body_bytes": 1000 } }));
    let announced = rig.send(Method::POST, "/acme/echo/a", &[], Bytes::from(vec![b'x'; 1001])).await;
    assert_eq!((announced.status.as_u16(), announced.code().as_str()), (413, "body_too_large"));
    let fits = rig.send(Method::POST, "/acme/echo/a", &[], Bytes::from(vec![b'x'; 1000])).await;
    assert_eq!(fits.status, 200);

    let mut endless = TcpStream::connect(rig.address()).await.unwrap();
    let head = "POST /acme/echo/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    endless.write_all(head.as_bytes()).await.unwrap();
    let (mut read, mut write) = endless.into_split();
    let sender = tokio::spawn(async move {
        let mut sent = 0;
        while write.write_all(b"64\r\n").await.is_ok()
            && write.write_all(&[b'x'; 100]).await.is_ok()
            && write.write_all(b"\r\n").await.is_ok()
        {
            sent += 100;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        sent
    });
    let mut answer = vec![0; 4096];
    let length = tokio::time::timeout(Duration::from_secs(5), read.read(&mut answer)).await.unwrap().unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let sent = tokio::time::timeout(Duration::from_secs(5), sender).await.unwrap().unwrap();
    assert!(sent >= 1000, "{sent}");
    let calls = rig.calls(3).await;
    assert_eq!(calls.iter().filter(|call| call.error.as_deref() == Some("body_too_large")).count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_gets_408_and_a_head_that_stops_is_closed() {
    let (mut rig, _upstream) = rig().await;
    rig.settings(json!({ "limits": { "body_idle_ms": 100, "header_timeout_ms": 300 } }));
    let answer = rig.raw(b"POST /acme/echo/a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");
    assert!(answer.contains("body_timeout"));

    for beginning in ["GET /acme/echo/a HTTP/1.1\r\nHost:", ""] {
        let mut slow = TcpStream::connect(rig.address()).await.unwrap();
        slow.write_all(beginning.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(3), slow.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "still open after {beginning:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_chunks_end_the_connection() {
    let (rig, _upstream) = rig().await;
    for body in ["zz\r\nab\r\n0\r\n\r\n", "2\nab\r\n0\r\n\r\n", "2\r\nabc\r\n0\r\n\r\n"] {
        let message =
            format!("POST /acme/echo/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let again = format!("{message}GET /acme/echo/b HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = rig.raw(again.as_bytes()).await;
        assert!(!answer.contains("200 OK"), "{body:?} got {answer}");
    }
}
