use http::Request;
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::*;
use crate::http1::Malformed;

/// A response, read whole.
#[derive(Debug, PartialEq)]
struct Whole {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    trailers: HeaderMap,
}

fn request(method: &Method) -> Request<RequestBody> {
    let mut request = Request::new(RequestBody::Empty);
    *request.method_mut() = method.clone();
    *request.uri_mut() = "/a?b".parse().unwrap();
    request.headers_mut().insert("host", HeaderValue::from_static("a"));
    request
}

/// A connection at whose other end these pieces are said, one after the other, and then nothing more.
fn upstream(pieces: Vec<Vec<u8>>) -> DuplexStream {
    let (ours, mut theirs) = tokio::io::duplex(256 << 10);
    tokio::spawn(async move {
        // Nobody answers before he has been asked.
        theirs.read_u8().await.unwrap();
        for piece in pieces {
            theirs.write_all(&piece).await.unwrap();
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
        }
        theirs.shutdown().await.unwrap();
        let _ = theirs.read_to_end(&mut Vec::new()).await;
    });
    ours
}

/// What our client makes of it, and whether it would use the connection again.
async fn ours(method: &Method, pieces: Vec<Vec<u8>>) -> Result<(Whole, bool), Error> {
    let mut connection = Http1::new(upstream(pieces));
    let mut unsent = Some(Box::new(Outgoing { request: request(method), hop: None }));
    let head = std::future::poll_fn(|context| {
        if let Some(request) = unsent.take() {
            assert!(connection.begin(request, context).is_ok());
        }
        connection.poll_head(&|_, _| {}, context)
    })
    .await?;
    let (mut body, mut trailers) = (Vec::new(), HeaderMap::new());
    while let Some(frame) = std::future::poll_fn(|context| connection.poll_frame(context)).await {
        match frame?.into_data() {
            Ok(data) => body.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().unwrap(),
        }
    }
    let reusable = connection.is_reusable();
    Ok((Whole { status: head.status.as_u16(), headers: head.headers, body, trailers }, reusable))
}

/// What hyper's makes of it.
async fn hypers(method: &Method, pieces: Vec<Vec<u8>>) -> Result<Whole, hyper::Error> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(upstream(pieces))).await?;
    tokio::spawn(connection);
    let (head, body) = sender
        .send_request(request(method).map(|_| http_body_util::Empty::<Bytes>::new()))
        .await?
        .into_parts();
    let body = body.collect().await?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    let body = body.to_bytes().to_vec();
    Ok(Whole { status: head.status.as_u16(), headers: head.headers, body, trailers })
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), future).await.unwrap() })
}

fn read(method: &Method, response: &[u8]) -> Result<(Whole, bool), Error> {
    run(ours(method, vec![response.to_vec()]))
}

#[test]
fn a_connection_is_used_again_only_after_a_response_that_says_so_by_itself() {
    let get = Method::GET;
    for (method, response, expected) in [
        (&get, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true),
        (&get, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true),
        (&get, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", true),
        (&get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true),
        (&get, "HTTP/1.1 204 No Content\r\n\r\n", true),
        (&get, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", true),
        (&Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true),
        (&Method::HEAD, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true),
        (&get, "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok", true),
        // It says that it closes, or its version does.
        (&get, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", false),
        (
            &get,
            "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
            false,
        ),
        (&get, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false),
        // Its body ends with the connection.
        (&get, "HTTP/1.1 200 OK\r\n\r\nok", false),
        (&get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok", false),
        (&get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\nok", false),
        // Another reader may have seen its end elsewhere.
        (
            &get,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            false,
        ),
        // It has said more than it was asked.
        (&get, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!", false),
        (&get, "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", false),
        (&Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false),
        (&get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n0\r\n\r\n", false),
        (&Method::CONNECT, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", false),
    ] {
        let (whole, reusable) = read(method, response.as_bytes()).unwrap();
        assert_eq!(reusable, expected, "{response:?}");
        let has_body = response.contains("ok");
        assert_eq!(whole.body, if has_body { &b"ok"[..] } else { b"" }, "{response:?}");
    }
}

#[test]
fn heads_that_two_readers_could_read_differently_are_malformed() {
    use BadHead::{Encoding, Length, Switch};
    for (head, expected) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n", Length),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\n", Length),
        ("HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n", Length),
        ("HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n", Length),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2 2\r\n\r\n", Length),
        ("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", Length),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\n", Length),
        ("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n", Length),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n", Length),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Encoding),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", Encoding),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", Switch),
    ] {
        let error = read(&Method::GET, head.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::Head(found) if found == expected), "{head:?}: {error}");
    }
    for head in [
        "HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\n X: a\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "220 smtp.test ESMTP\r\n\r\n",
    ] {
        let error = read(&Method::GET, head.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::Head(BadHead::Syntax(_))), "{head:?}: {error}");
    }
}

#[test]
fn a_head_is_bounded_in_bytes_and_fields() {
    let with_field = |length: usize| format!("HTTP/1.1 204 No Content\r\nX: {}\r\n\r\n", "x".repeat(length));
    let frame = with_field(0).len();
    assert!(read(&Method::GET, with_field(MAX_HEAD - frame).as_bytes()).is_ok());
    let large = with_field(MAX_HEAD - frame + 1).into_bytes();
    for pieces in [vec![large.clone()], large.chunks(5_000).map(<[u8]>::to_vec).collect()] {
        let error = run(ours(&Method::GET, pieces)).unwrap_err();
        assert!(matches!(error, Error::Head(BadHead::TooLarge)), "{error}");
    }
    let endless = "HTTP/1.1 200 OK\r\nX: ".to_owned() + &"x".repeat(MAX_HEAD);
    let error = read(&Method::GET, endless.as_bytes()).unwrap_err();
    assert!(matches!(error, Error::Head(BadHead::TooLarge)), "{error}");
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(MAX_HEAD / 30);
    let error = read(&Method::GET, (interim + &with_field(0)).as_bytes()).unwrap_err();
    assert!(matches!(error, Error::Head(BadHead::TooLarge)), "{error}");

    let with_fields = |count: usize| format!("HTTP/1.1 204 No Content\r\n{}\r\n", "x: y\r\n".repeat(count));
    assert_eq!(read(&Method::GET, with_fields(128).as_bytes()).unwrap().0.headers.len(), 128);
    let error = read(&Method::GET, with_fields(129).as_bytes()).unwrap_err();
    assert!(matches!(error, Error::Head(BadHead::Syntax(httparse::Error::TooManyHeaders))), "{error}");
}

#[test]
fn a_response_that_breaks_off_is_never_whole() {
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx: y\r\n\r\n",
    ] {
        for length in 0..response.len() {
            let error = read(&Method::GET, &response.as_bytes()[..length]).unwrap_err();
            let in_head = !response[..length].contains("\r\n\r\n") || response[..length].ends_with("chunked");
            assert!(matches!(error, Error::Closed | Error::Incomplete), "{length}: {error}");
            assert!(!in_head || matches!(error, Error::Closed), "{length}: {error}");
        }
        assert_eq!(read(&Method::GET, response.as_bytes()).unwrap().0.body, b"hello");
    }
}

#[test]
fn no_target_can_break_the_request_line() {
    for byte in (0..=b' ').chain([0x7f]) {
        let target = [b"/a", &[byte][..], b"b"].concat();
        assert!(http::uri::PathAndQuery::from_maybe_shared(target).is_err(), "{byte:#x}");
    }
}

fn pieces(bytes: &[u8], cuts: &[prop::sample::Index]) -> Vec<Vec<u8>> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| bytes[pair[0]..pair[1]].to_vec()).collect()
}

/// A response as somebody may send it, more often wrong than they are.
fn response() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(vec![
        "HTTP/1.1 200 OK",
        "HTTP/1.1 200 Fine",
        "HTTP/1.1 200",
        "HTTP/1.0 200 OK",
        "HTTP/1.1 204 No Content",
        "HTTP/1.1 304 Not Modified",
        "HTTP/1.1 404 Not Found",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 Oh",
        "HTTP/1.1 2000 OK",
        "HTTP/1.2 200 OK",
    ]);
    let field = prop::sample::select(vec![
        "Content-Length: 5",
        "content-length: 5",
        "Content-Length: 19",
        "Content-Length: 5, 5",
        "Content-Length: x",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: gzip, Chunked",
        "Connection: close",
        "Connection: keep-alive",
        "X-Own: a b \t",
        "X-Own:",
        "x-own: \u{fc}",
        " folded",
        "bad name: x",
    ]);
    let body = prop::sample::select(vec![
        "",
        "hello",
        "hello, this is more",
        "5\r\nhello\r\n0\r\n\r\n",
        "5;x=y\r\nhello\r\n0003\r\nabc\r\n0\r\nx-sum: 7\r\n\r\n",
        "5\r\nhello\r\n0\r\n\r\nmore",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello",
        "fffffffffffffffff\r\nhello",
    ]);
    let end = prop::sample::select(vec!["\r\n", "\r\n", "\r\n", "\r\n", "\n"]);
    let other = prop::sample::select(&b"\r\n0;a \0:"[..]);
    let fault = prop::option::weighted(0.3, (any::<prop::sample::Index>(), other));
    (line, prop::collection::vec(field, 0..4), body, end, fault).prop_map(
        |(line, fields, body, end, fault)| {
            let mut bytes =
                [line, &fields.iter().map(|field| format!("{end}{field}")).collect::<String>()].concat();
            bytes += end;
            bytes += end;
            bytes += body;
            let mut bytes = bytes.into_bytes();
            if let Some((at, byte)) = fault {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        },
    )
}

/// What we refuse on purpose though hyper does not: what it reads in one way and others in another.
fn is_stricter(error: &Error) -> bool {
    matches!(
        error,
        Error::Head(BadHead::Length | BadHead::Encoding | BadHead::Switch)
            | Error::Body(Malformed::BareLineFeed | Malformed::ChunkExtension | Malformed::ChunkTooLarge)
    )
}

/// The fields but for the length, which is left out or said only once where hyper leaves it.
fn without_length(mut headers: HeaderMap) -> HeaderMap {
    headers.remove(CONTENT_LENGTH);
    headers
}

proptest! {
    #[test]
    fn responses_are_read_as_hyper_reads_them_however_they_arrive(
        response in response(),
        head in prop::bool::weighted(0.1),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let method = if head { Method::HEAD } else { Method::GET };
        let whole = run(ours(&method, vec![response.clone()])).map(|(whole, _)| whole);
        let in_pieces = run(ours(&method, pieces(&response, &cuts))).map(|(whole, _)| whole);
        match (&whole, &in_pieces) {
            (Ok(whole), Ok(in_pieces)) => prop_assert_eq!(whole, in_pieces),
            (Err(one), Err(other)) => prop_assert_eq!(one.to_string(), other.to_string()),
            _ => prop_assert!(false, "{:?}, in pieces {:?}", whole, in_pieces),
        }
        match (run(hypers(&method, vec![response.clone()])), whole) {
            (Ok(theirs), Ok(ours)) => {
                let encoded = theirs.headers.contains_key("transfer-encoding");
                prop_assert!(!encoded || !ours.headers.contains_key(CONTENT_LENGTH));
                let comparable = |whole: Whole| Whole { headers: without_length(whole.headers), ..whole };
                prop_assert_eq!(comparable(theirs), comparable(ours));
            }
            (Err(_), Err(_)) => {}
            (Ok(_), Err(error)) => prop_assert!(is_stricter(&error), "only we refuse it: {error}"),
            (Err(error), Ok(ours)) => prop_assert!(false, "only hyper refuses it: {error}, {ours:?}"),
        }
    }

    #[test]
    fn a_request_is_one_line_for_each_field_whatever_they_hold(
        fields in prop::collection::vec(("[a-z][a-z0-9-]{0,20}", any::<Vec<u8>>()), 0..8)
    ) {
        let mut request = request(&Method::GET);
        for (name, value) in &fields {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                request.headers_mut().append(HeaderName::try_from(name).unwrap(), value);
            }
        }
        let kept = request.headers().iter().filter(|(name, _)| *name != CONTENT_LENGTH && *name != http::header::TRANSFER_ENCODING);
        let expected = kept.count() + usize::from(request.headers().contains_key(CONTENT_LENGTH));
        let seen = run(async {
            let (ours, mut theirs) = tokio::io::duplex(256 << 10);
            let mut connection = Http1::new(ours);
            let mut unsent = Some(Box::new(Outgoing { request, hop: None }));
            std::future::poll_fn(|context| Poll::Ready(connection.begin(unsent.take().unwrap(), context).is_ok())).await;
            drop(connection);
            let mut seen = Vec::new();
            theirs.read_to_end(&mut seen).await.unwrap();
            seen
        });
        let mut parsed = [httparse::EMPTY_HEADER; 16];
        let mut head = httparse::Request::new(&mut parsed);
        prop_assert_eq!(head.parse(&seen).unwrap(), httparse::Status::Complete(seen.len()));
        prop_assert_eq!(head.headers.len(), expected);
        prop_assert_eq!(seen.iter().filter(|byte| **byte == b'\n').count(), expected + 2);
    }
}

#[tokio::test]
async fn a_connection_lasts_as_long_as_its_upstream_says_less_the_way_to_it() {
    for (said, lasts) in [
        ("", IDLE),
        ("Keep-Alive: timeout=5\r\n", Duration::from_millis(4_500)),
        ("Keep-Alive: max=100, timeout=2\r\n", Duration::from_millis(1_500)),
        ("Keep-Alive: timeout=0\r\n", Duration::ZERO),
        ("Keep-Alive: timeout=900\r\n", IDLE),
        ("Keep-Alive: timeout=soon\r\n", IDLE),
        ("Keep-Alive: max=100\r\n", IDLE),
    ] {
        let head = format!("HTTP/1.1 200 OK\r\n{said}Content-Length: 0\r\n\r\n");
        let mut connection = Http1::new(upstream(vec![head.into_bytes()]));
        let mut unsent = Some(Box::new(Outgoing { request: request(&Method::GET), hop: None }));
        std::future::poll_fn(|context| {
            if let Some(request) = unsent.take() {
                assert!(connection.begin(request, context).is_ok());
            }
            connection.poll_head(&|_, _| {}, context)
        })
        .await
        .unwrap();
        assert_eq!(connection.lasts(), lasts, "{said}");
    }
}

/// The thread has been busy, so that nothing has told of the end yet.
#[tokio::test]
async fn the_end_of_a_connection_is_found_before_anybody_tells_of_it() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (theirs, _) = listener.accept().unwrap();
    let mut connection = Http1::new(Stream::Plain(ours));
    assert!(connection.is_quiet() && connection.is_untouched());
    drop(theirs);
    assert!(connection.is_quiet(), "it has not been told");
    assert!(!connection.is_untouched());
}
