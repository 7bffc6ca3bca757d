use proptest::prelude::*;

use super::*;

const LIMITS: HeadLimits = HeadLimits { bytes: 200, fields: 5 };

/// What comes of bytes that arrive in pieces of at most `size`.
fn read_in(bytes: &[u8], size: usize) -> Result<Option<Head>, Violation> {
    let mut lines = Lines::new(LIMITS, Rc::default());
    for end in (0..bytes.len()).step_by(size).map(|begin| (begin + size).min(bytes.len())) {
        if let Some(length) = lines.look(&bytes[..end])? {
            return lines.read(&Bytes::copy_from_slice(&bytes[..length]), HeaderMap::new()).map(Some);
        }
    }
    Ok(None)
}

fn verdict(head: &str) -> Result<Said, Violation> {
    let whole = read_in(head.as_bytes(), usize::MAX);
    for size in [1, 2, 3, 7] {
        let pieces = read_in(head.as_bytes(), size);
        assert_eq!(format!("{pieces:?}"), format!("{whole:?}"), "in pieces of {size}");
    }
    whole.map(|found| found.unwrap_or_else(|| panic!("{head:?} is not whole")).said)
}

#[test]
fn heads_that_two_readers_could_read_differently_are_refused() {
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
        ("POST / HTTP/1.1\r\nContent-Length:\r\n\r\n", Violation::InvalidLength),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Violation::UnknownEncoding),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            Violation::UnknownEncoding,
        ),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n", Violation::UnknownEncoding),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: \x0cchunked\r\n\r\n", Violation::InvalidField),
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", Violation::BareLineFeed),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", Violation::BareLineFeed),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", Violation::BareLineFeed),
        ("GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", Violation::FoldedHeader),
    ] {
        assert_eq!(verdict(head), Err(violation), "{head:?}");
    }
    assert_eq!(verdict("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Ok(Said::default()));
    let five = Said { length: Some(5), ..Said::default() };
    assert_eq!(verdict("POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"), Ok(five));
}

#[test]
fn what_is_not_a_request_is_refused() {
    for (head, violation) in [
        ("GET /\r\n\r\n", Violation::NotARequest),
        ("GET  / HTTP/1.1\r\n\r\n", Violation::NotARequest),
        ("GET / x HTTP/1.1\r\n\r\n", Violation::NotARequest),
        ("GET / HTTP/1.2\r\n\r\n", Violation::NotARequest),
        ("GET / HTTP/2.0\r\n\r\n", Violation::NotARequest),
        ("G@T / HTTP/1.1\r\n\r\n", Violation::NotARequest),
        (" GET / HTTP/1.1\r\n\r\n", Violation::NotARequest),
        ("\x16\x03\x01", Violation::NotARequest),
        ("\r\n", Violation::NotARequest),
        ("GET /\x01 HTTP/1.1\r\n\r\n", Violation::InvalidTarget),
        ("GET /<> HTTP/1.1\r\n\r\n", Violation::InvalidTarget),
        ("GET / HTTP/1.1\r\nX : a\r\n\r\n", Violation::InvalidField),
        ("GET / HTTP/1.1\r\n: a\r\n\r\n", Violation::InvalidField),
        ("GET / HTTP/1.1\r\nX\r\n\r\n", Violation::InvalidField),
        ("GET / HTTP/1.1\r\nX: a\x00b\r\n\r\n", Violation::InvalidField),
        ("GET / HTTP/1.1\r\nX: a\rb\r\n\r\n", Violation::InvalidField),
        ("GET / HTTP/1.1\r\nX: \ra\r\n\r\n", Violation::InvalidField),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Violation::UnknownEncoding),
        ("POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n", Violation::InvalidLength),
    ] {
        assert_eq!(verdict(head), Err(violation), "{head:?}");
    }
    for head in [
        "GET / HTTP/1.0\r\n\r\n",
        "GET /a?b#c HTTP/1.1\r\nX:\r\n\r\n",
        "GET /{a}|\"é HTTP/1.1\r\nX: \té\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\n\r\n",
        "GET http://a/b HTTP/1.1\r\n\r\n",
    ] {
        assert_eq!(verdict(head), Ok(Said::default()), "{head:?}");
    }
}

#[test]
fn the_limits_of_a_head_are_exact() {
    let with = |bytes: usize| {
        let rest = bytes - "GET / HTTP/1.1\r\nX: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(rest))
    };
    assert!(verdict(&with(200)).is_ok());
    assert_eq!(verdict(&with(201)), Err(Violation::HeadTooLarge));
    let endless = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(200));
    assert_eq!(read_in(endless.as_bytes(), 1).err(), Some(Violation::HeadTooLarge));
    let count = |fields: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(fields));
    assert!(verdict(&count(5)).is_ok());
    assert_eq!(verdict(&count(6)), Err(Violation::TooManyFields));
}

#[test]
fn what_is_said_of_the_message_and_the_connection_is_heard_in_any_case_and_among_others() {
    let head = "POST / HTTP/1.1\r\nCONNECTION: x, Close\r\nte: deflate, Trailers\r\nExpect: 100-Continue\r\n\
        Transfer-Encoding: CHUNKED\r\nUpgrade: h2c\r\n\r\n";
    let all = Said {
        length: None,
        chunked: true,
        close: true,
        keep_alive: false,
        expects: true,
        trailers: true,
        upgrade: true,
    };
    assert_eq!(verdict(head), Ok(all));
    let kept =
        verdict("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").map(|said| (said.keep_alive, said.close));
    assert_eq!(kept, Ok((true, false)));
}

/// Bytes of which many are nearly a head.
fn nearly_a_head() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("GET / HTTP/1.1"),
        Just("POST /a?b HTTP/1.0"),
        Just("\r\n"),
        Just("\n"),
        Just("\r"),
        Just(" "),
        Just(":"),
        Just("\t"),
        Just("Host: a"),
        Just("Content-Length: 1"),
        Just("Content-Length: 2"),
        Just("Transfer-Encoding: chunked"),
        Just("X: y"),
        Just("\0"),
        Just("é"),
        Just(","),
        Just("a"),
    ];
    let line = prop_oneof![
        4 => piece.clone().prop_map(|piece| format!("{piece}\r\n")),
        1 => prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat()),
    ];
    prop::collection::vec(line, 0..8)
        .prop_map(|lines| format!("GET / HTTP/1.1\r\n{}\r\n", lines.concat()).into_bytes())
}

proptest! {
    /// A head that is taken is taken by hyper's parser, too, to the same length and with the same fields.
    #[test]
    fn what_is_taken_is_what_another_reader_takes(bytes in nearly_a_head(), size in 1_usize..30) {
        let found = read_in(&bytes, size);
        prop_assert_eq!(format!("{:?}", found), format!("{:?}", read_in(&bytes, usize::MAX)));
        if let Ok(Some(head)) = found {
            let mut fields = [httparse::EMPTY_HEADER; 16];
            let mut other = httparse::Request::new(&mut fields);
            let length = other.parse(&bytes).unwrap();
            prop_assert!(length.is_complete());
            prop_assert_eq!(head.method.as_str(), other.method.unwrap());
            prop_assert_eq!(head.target.to_string(), other.path.unwrap());
            let mut theirs = HeaderMap::new();
            for field in other.headers.iter() {
                let name = HeaderName::from_bytes(field.name.as_bytes()).unwrap();
                theirs.append(name, HeaderValue::from_bytes(field.value).unwrap());
            }
            prop_assert_eq!(head.headers, theirs);
        }
    }
}
