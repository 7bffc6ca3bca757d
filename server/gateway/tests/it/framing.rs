//! Messages whose end cannot be told for sure, and messages that are too large or never end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
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

/// The only answer in this text: status, field lines, problem.
fn problem(answer: &str) -> (u16, String, Value) {
    assert_eq!(answer.lines().filter(|line| line.starts_with("HTTP/1.1 ")).count(), 1, "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    assert!(head.contains("\r\nconnection: close"), "{answer}");
    assert!(head.contains("\r\ncontent-type: application/problem+json"), "{answer}");
    (answer[9..12].parse().unwrap(), head, serde_json::from_str(body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_hyper_would_refuse_get_a_problem_and_a_record() {
    let (rig, upstream) = rig().await;
    let path = "/acme/echo/a";
    for (head, code) in [
        (format!("GET {path} HTTP/1.1\r\nHost: a\r\nX: b\r\n folded\r\n\r\n"), "ambiguous_request"),
        (format!("GET {path} HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n"), "bad_request"),
        (format!("GET {path} HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n"), "bad_request"),
        (format!("GET {path} HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n"), "bad_request"),
        (format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n"), "ambiguous_request"),
        (format!("GET {path}<> HTTP/1.1\r\nHost: a\r\n\r\n"), "bad_request"),
        (format!("GET {path} HTTP/1.2\r\nHost: a\r\n\r\n"), "bad_request"),
        (format!("G@T {path} HTTP/1.1\r\nHost: a\r\n\r\n"), "bad_request"),
        ("\x16\x03\x01\x02".to_owned(), "bad_request"),
    ] {
        let message = format!("{head}GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        let (status, fields, problem) = problem(&rig.raw(message.as_bytes()).await);
        assert_eq!((status, problem["code"].as_str()), (400, Some(code)), "{head:?}");
        let id = problem["request_id"].as_str().unwrap();
        assert!(fields.contains(&format!("\r\nx-request-id: {id}")), "{fields}");
        let [call] = <[_; 1]>::try_from(rig.calls(1).await).unwrap();
        assert_eq!((call.status, call.error.as_deref(), call.api), (400, Some(code), None));
        assert_eq!(call.request_id, id);
        // Of a first line that is none, nothing can be said.
        let first_line_is_good = head.contains(" /acme/echo/a HTTP/1.1\r\n") && !head.starts_with("G@T");
        assert_eq!(call.path, if first_line_is_good { path } else { "/" }, "{head:?}");
    }
    assert_eq!(upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_head_keeps_its_request_id_host_and_agent() {
    let (rig, _upstream) = rig().await;
    let head = "DELETE /acme/echo/a?b=c HTTP/1.1\r\nHost: a.example\r\nX-Request-Id: mine\r\nUser-Agent: curl/8\r\nX : b\r\n\r\n";
    let (_, _, problem) = problem(&rig.raw(head.as_bytes()).await);
    assert_eq!(problem["request_id"], "mine");
    let call = rig.calls(1).await.remove(0);
    assert_eq!((call.method.as_str(), call.host.as_str()), ("DELETE", "a.example"));
    assert_eq!((call.user_agent.as_deref(), call.query.as_deref()), (Some("curl/8"), Some("b=c")));
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_too_large_get_431_exactly_at_the_limits() {
    let (mut rig, upstream) = rig().await;
    rig.settings(json!({ "limits": { "header_bytes": 2000, "header_count": 20 } }));
    let bytes = |bytes: usize| {
        let rest = bytes - "GET /acme/echo/a HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
        format!("GET /acme/echo/a HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(rest))
    };
    let count = |fields: usize| {
        format!("GET /acme/echo/a HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(fields - 1))
    };
    for allowed in [bytes(2000), count(20)] {
        let answer = rig.raw_for(allowed.as_bytes(), Duration::from_millis(300)).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    rig.calls(2).await;
    for refused in [bytes(2001), bytes(200_000), count(21), count(1_000)] {
        let (status, _, problem) = problem(&rig.raw(refused.as_bytes()).await);
        assert_eq!((status, problem["code"].as_str()), (431, Some("headers_too_large")));
        let call = rig.calls(1).await.remove(0);
        assert_eq!((call.status, call.path.as_str()), (431, "/acme/echo/a"));
    }
    assert_eq!(upstream.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_too_long_gets_414() {
    let (mut rig, _upstream) = rig().await;
    rig.settings(json!({ "limits": { "header_bytes": 100_000 } }));
    let long = format!("GET /acme/echo/{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(70_000));
    let (status, _, problem) = problem(&rig.raw(long.as_bytes()).await);
    assert_eq!((status, problem["code"].as_str()), (414, Some("target_too_long")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_may_arrive_byte_by_byte_and_in_the_company_of_others() {
    let (rig, upstream) = rig().await;
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let request = "POST /acme/echo/a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    for byte in request.as_bytes() {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let three = request.repeat(3);
    let (two_and_a_bit, rest) = three.split_at(request.len() * 2 + 30);
    stream.write_all(two_and_a_bit.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    stream.write_all(rest.as_bytes()).await.unwrap();
    stream.write_all(b"GET /acme/echo/b HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n").await.unwrap();
    let mut answers = String::new();
    tokio::time::timeout(Duration::from_secs(5), stream.read_to_string(&mut answers)).await.unwrap().unwrap();
    let statuses: Vec<&str> =
        answers.match_indices("HTTP/1.1 ").map(|(at, _)| &answers[at + 9..at + 12]).collect();
    assert_eq!(statuses, ["200", "200", "200", "200", "400"], "{answers}");
    assert_eq!(upstream.count(), 4);
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
    // It is read on for a while, so that the answer arrives, but not for ever.
    let sent = tokio::time::timeout(Duration::from_secs(20), sender).await.unwrap().unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_before_it_reads_gets_the_answer_and_no_reset() {
    let (mut rig, _upstream) = rig().await;
    rig.settings(json!({ "limits": { "body_bytes": 1000 } }));
    let path = "POST /acme/echo/a HTTP/1.1\r\nHost: a\r\n";
    let chunk = [b"10000\r\n".as_slice(), &[b'x'; 65_536], b"\r\n"].concat();
    let endless =
        [format!("{path}Transfer-Encoding: chunked\r\n\r\n").as_bytes(), &chunk.repeat(100)].concat();
    let announced =
        [format!("{path}Content-Length: 6000000\r\n\r\n").as_bytes(), &[b'x'; 6_000_000]].concat();
    let bad =
        [format!("{path}X : y\r\nContent-Length: 6000000\r\n\r\n").as_bytes(), &[b'x'; 6_000_000]].concat();
    for _ in 0..3 {
        for (message, status) in [(&endless, "413"), (&announced, "413"), (&bad, "400")] {
            let mut stream = TcpStream::connect(rig.address()).await.unwrap();
            stream.write_all(message).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert_eq!(&answer[..12], format!("HTTP/1.1 {status}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_falls_silent_after_its_refusal_is_let_go_soon() {
    let (mut rig, _upstream) = rig().await;
    rig.settings(json!({ "limits": { "body_bytes": 1000 } }));
    let mut stream = TcpStream::connect(rig.address()).await.unwrap();
    let head = "POST /acme/echo/a HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let open = || rig.shared.stats.connections.load(Ordering::Relaxed);
    assert_eq!(open(), 1, "the client may still be sending");
    for _ in 0..600 {
        if open() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("still open");
}

#[tokio::test(flavor = "multi_thread")]
async fn header_fields_that_are_too_large_get_431_over_http2_too() {
    let (mut rig, upstream) = rig().await;
    rig.settings(json!({ "limits": { "header_bytes": 2000, "header_count": 20 } }));
    let stream = TcpStream::connect(rig.address()).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let send = async |size: usize, count: usize| {
        let mut request = Request::get("http://api.test/acme/echo/a").header("x", "x".repeat(size));
        for _ in 1..count {
            request = request.header("y", "z");
        }
        let request = request.body(Full::new(Bytes::new())).unwrap();
        let response = sender.clone().send_request(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice::<Value>(&body).unwrap()["code"].as_str().map(str::to_owned))
    };
    // The pseudo fields: `:method` GET, `:scheme` http, `:authority` api.test, `:path`; 32 bytes more for each.
    let others = (7 + 3 + 32) + (7 + 4 + 32) + (10 + 8 + 32) + (5 + 12 + 32) + (1 + 32);
    let too_large = (431, Some("headers_too_large".to_owned()));
    assert_eq!(send(2000 - others, 1).await, (200, None));
    assert_eq!(send(2001 - others, 1).await, too_large);
    assert_eq!(send(1, 20).await, (200, None));
    assert_eq!(send(1, 21).await, too_large);
    assert_eq!(upstream.count(), 2);
    let refused = rig.calls(4).await.into_iter().filter(|call| call.status == 431);
    assert_eq!(refused.count(), 2);
}
