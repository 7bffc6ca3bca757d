use super::*;

const LIMITS: HeadLimits = HeadLimits { bytes: 200, fields: 5 };

fn events(pieces: &[&[u8]]) -> Vec<Event> {
    let (mut framing, mut events) = (Framing::new(LIMITS), Vec::new());
    for piece in pieces {
        framing.feed(piece, |event| events.push(event));
    }
    events
}

fn verdict(head: &str) -> Event {
    *events(&[head.as_bytes()]).last().unwrap()
}

#[test]
fn heads_that_two_readers_could_read_differently_are_bad() {
    for (head, violation) in [
        (
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            Violation::LengthAndEncoding,
        ),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\ncontent-length: 1\r\n\r\n",
            Violation::LengthAndEncoding,
        ),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding : chunked\r\nContent-Length: 1\r\n\r\n",
            Violation::InvalidField,
        ),
        ("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", Violation::SeveralLengths),
        ("POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n", Violation::SeveralLengths),
        ("POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", Violation::InvalidLength),
        ("POST / HTTP/1.1\r\nContent-Length: 0x1\r\n\r\n", Violation::InvalidLength),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Violation::UnknownEncoding),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n", Violation::UnknownEncoding),
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", Violation::BareLineFeed),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", Violation::BareLineFeed),
        ("GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", Violation::FoldedHeader),
    ] {
        assert_eq!(verdict(head), Event::BadHead(violation), "{head:?}");
    }
    assert_eq!(verdict("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Event::HeadEnds);
    assert_eq!(verdict("POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"), Event::HeadEnds);
}

#[test]
fn what_is_seen_does_not_depend_on_how_the_bytes_arrive() {
    let stream = b"\r\nPOST /a HTTP/1.1\r\nContent-Length: 27\r\n\r\nGET /evil HTTP/1.1\nX: y\r\n\r\n\
        POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1b;x=y\r\nGET /evil HTTP/1.1\nX: y\r\n\r\n\r\n\
        0\r\nTrailer: t\r\n\r\nGET /c HTTP/1.1\r\n\r\nGET /d HTTP/1.1\r\nContent-Length: x\r\n\r\nrest";
    let whole: Vec<_> = events(&[stream]).into_iter().filter(|e| *e != Event::HeadBegins).collect();
    let expected =
        [Event::HeadEnds, Event::HeadEnds, Event::HeadEnds, Event::BadHead(Violation::InvalidLength)];
    assert_eq!(whole, expected);
    for size in 1..40 {
        let pieces: Vec<&[u8]> = stream.chunks(size).collect();
        let found: Vec<_> = events(&pieces).into_iter().filter(|e| *e != Event::HeadBegins).collect();
        assert_eq!(found, expected, "in pieces of {size}");
    }
}

#[test]
fn malformed_chunks_are_bad_bodies() {
    let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in ["x\r\n", "-1\r\n", "\r\n", "1\n", "fffffffffffffffff\r\n"] {
        assert!(matches!(verdict(&format!("{head}{body}")), Event::BadBody(_)), "{body:?}");
    }
}

#[test]
fn heads_that_hyper_would_refuse_are_bad() {
    for (head, violation) in [
        ("GET /\r\n\r\n", Violation::NotARequest),
        ("GET  / HTTP/1.1\r\n\r\n", Violation::NotARequest),
        ("GET / x HTTP/1.1\r\n\r\n", Violation::NotARequest),
        ("GET / HTTP/1.2\r\n\r\n", Violation::NotARequest),
        ("GET / HTTP/2.0\r\n\r\n", Violation::NotARequest),
        ("G@T / HTTP/1.1\r\n\r\n", Violation::NotARequest),
        (" GET / HTTP/1.1\r\n\r\n", Violation::NotARequest),
        ("\x16\x03\x01", Violation::NotARequest),
        ("GET /\x01 HTTP/1.1\r\n\r\n", Violation::InvalidTarget),
        ("GET /<> HTTP/1.1\r\n\r\n", Violation::InvalidTarget),
        ("GET / HTTP/1.1\r\nX : a\r\n\r\n", Violation::InvalidField),
        ("GET / HTTP/1.1\r\n: a\r\n\r\n", Violation::InvalidField),
        ("GET / HTTP/1.1\r\nX\r\n\r\n", Violation::InvalidField),
        ("GET / HTTP/1.1\r\nX: a\x00b\r\n\r\n", Violation::InvalidField),
        ("GET / HTTP/1.1\r\nX: a\rb\r\n\r\n", Violation::InvalidField),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Violation::UnknownEncoding),
        ("POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n", Violation::InvalidLength),
    ] {
        assert_eq!(verdict(head), Event::BadHead(violation), "{head:?}");
    }
    for head in [
        "GET / HTTP/1.0\r\n\r\n",
        "GET /a?b#c HTTP/1.1\r\nX:\r\n\r\n",
        "GET /{a}|\"é HTTP/1.1\r\nX: \té\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\n\r\n",
        "GET http://a/b HTTP/1.1\r\n\r\n",
    ] {
        assert_eq!(verdict(head), Event::HeadEnds, "{head:?}");
    }
}

#[test]
fn the_limits_of_a_head_are_exact() {
    let with = |bytes: usize| {
        let rest = bytes - "GET / HTTP/1.1\r\nX: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(rest))
    };
    assert_eq!(verdict(&with(200)), Event::HeadEnds);
    assert_eq!(verdict(&with(201)), Event::BadHead(Violation::HeadTooLarge));
    let count = |fields: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(fields));
    assert_eq!(verdict(&count(5)), Event::HeadEnds);
    assert_eq!(verdict(&count(6)), Event::BadHead(Violation::TooManyFields));
    // Each head counts for itself.
    assert_eq!(verdict(&with(150).repeat(3)), Event::HeadEnds);
}

#[test]
fn what_may_go_on_ends_where_a_head_is_not_whole() {
    let feed = |framing: &mut Framing, bytes: &str| framing.feed(bytes.as_bytes(), |_| {});
    let mut framing = Framing::new(LIMITS);
    assert_eq!(feed(&mut framing, "GET / HTTP/1.1\r\n\r\nGET /b"), 18);
    assert_eq!(feed(&mut framing, " HTTP/1.1\r\n"), 0);
    assert_eq!(feed(&mut framing, "Content-Length: 4\r\n\r\nab"), 23);
    assert!(framing.is_mid_message());
    assert_eq!(feed(&mut framing, "cd"), 2);
    assert!(!framing.is_mid_message());
    assert_eq!(feed(&mut framing, "\r\nGET / HTTP/9\r\n\r\n"), 2);
    assert!(framing.is_bad_head());
    assert_eq!(feed(&mut framing, "anything"), 0);
}
