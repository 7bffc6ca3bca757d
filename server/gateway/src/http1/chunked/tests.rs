use bytes::Bytes;
use http::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::http1::Malformed;

const LIMITS: Limits = Limits { extensions: 40, trailers: 60 };

/// What a reader gets of a body: data; trailers and what follows the body once it is whole.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    data: Vec<u8>,
    end: Option<(Option<HeaderMap>, Vec<u8>)>,
}

/// Reads a body that arrives in these pieces.
fn read<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Result<Read, Malformed> {
    let (mut decoder, mut buffer, mut read) = (Decoder::new(LIMITS), BytesMut::new(), Read::default());
    let mut trailers = None;
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while !decoder.is_ended() {
            match decoder.decode(&mut buffer)? {
                Decoded::Data(data) => {
                    assert!(!data.is_empty());
                    read.data.extend_from_slice(&data);
                }
                Decoded::Trailers(found) => trailers = Some(found),
                Decoded::End => {}
                Decoded::NeedMore => break,
            }
        }
    }
    read.end = decoder.is_ended().then(|| (trailers, buffer.to_vec()));
    Ok(read)
}

fn bytewise(bytes: &[u8]) -> Result<Read, Malformed> {
    read(bytes.chunks(1))
}

#[test]
fn chunks_with_extensions_and_trailers_are_read() {
    let body = b"4\r\nWiki\r\n5 ; a=\"b\";c\r\npedia\r\n00a \t\r\n in chunks\r\n0;last\r\nX-Sum: 7\r\nx-sum: 8\r\n\r\nrest";
    for found in [read([&body[..]]).unwrap(), bytewise(body).unwrap()] {
        assert_eq!(found.data, b"Wikipedia in chunks");
        let (trailers, rest) = found.end.unwrap();
        let sums: Vec<_> = trailers.unwrap().get_all("x-sum").iter().cloned().collect();
        assert_eq!(sums, ["7", "8"]);
        assert_eq!(rest, b"rest", "the reader stops where the body does");
    }
}

#[test]
fn a_body_that_could_be_read_in_two_ways_is_malformed() {
    for (body, expected) in [
        (&b"4\nWiki\r\n0\r\n\r\n"[..], Malformed::BareLineFeed),
        (b"4;a\nWiki\r\n0\r\n\r\n", Malformed::BareLineFeed),
        (b"4\r\nWiki\n0\r\n\r\n", Malformed::ChunkEnd),
        (b"4\r\nWikipedia\r\n0\r\n\r\n", Malformed::ChunkEnd),
        (b"4\r\nWik\r\n0\r\n\r\n", Malformed::ChunkEnd),
        (b"\r\n0\r\n\r\n", Malformed::ChunkSize),
        (b" 4\r\nWiki\r\n0\r\n\r\n", Malformed::ChunkSize),
        (b"+4\r\nWiki\r\n0\r\n\r\n", Malformed::ChunkSize),
        (b"-4\r\nWiki\r\n0\r\n\r\n", Malformed::ChunkSize),
        (b"0x4\r\nWiki\r\n0\r\n\r\n", Malformed::ChunkSize),
        (b"4 4\r\nWiki\r\n0\r\n\r\n", Malformed::ChunkSize),
        (b"4\rX\r\nWiki\r\n0\r\n\r\n", Malformed::ChunkSize),
        (b"4_\r\nWiki\r\n0\r\n\r\n", Malformed::ChunkSize),
        (b"4;a\rb\r\nWiki\r\n0\r\n\r\n", Malformed::ChunkExtension),
        (b"4;a\0\r\nWiki\r\n0\r\n\r\n", Malformed::ChunkExtension),
        (b"10000000000000000\r\nWiki\r\n0\r\n\r\n", Malformed::ChunkTooLarge),
        (b"00000000000000004\r\nWiki\r\n0\r\n\r\n", Malformed::ChunkTooLarge),
        (b"0\r\nX: a\n\r\n", Malformed::BareLineFeed),
        (b"0\r\nX: a\r\n\n", Malformed::BareLineFeed),
        (b"0\r\nX : a\r\n\r\n", Malformed::Field),
        (b"0\r\nX: a\r\n b\r\n\r\n", Malformed::Field),
        (b"0\r\nX: a\0\r\n\r\n", Malformed::Field),
        (b"0\r\nno field\r\n\r\n", Malformed::Field),
    ] {
        let text = String::from_utf8_lossy(body);
        assert_eq!(read([body]).err(), Some(expected), "{text:?}");
        assert_eq!(bytewise(body).err(), Some(expected), "{text:?}");
    }
}

#[test]
fn what_no_body_needs_is_bounded() {
    // Chunks of a byte, each with an extension of this length.
    let extended = |length: usize, times: usize| {
        let one = format!("1;{}\r\nx\r\n", "e".repeat(length - 1));
        format!("{}0\r\n\r\n", one.repeat(times)).into_bytes()
    };
    assert_eq!(bytewise(&extended(40, 1)).unwrap().data, b"x");
    assert_eq!(bytewise(&extended(20, 2)).unwrap().data, b"xx");
    for body in [extended(41, 1), extended(21, 2), b"1;".repeat(100)] {
        assert_eq!(read([&body[..]]).err(), Some(Malformed::ExtensionsTooLarge));
        assert_eq!(bytewise(&body).err(), Some(Malformed::ExtensionsTooLarge));
    }
    let trailing = |length: usize| format!("0\r\nx: {}\r\n\r\n", "t".repeat(length - 7)).into_bytes();
    assert!(bytewise(&trailing(60)).unwrap().end.is_some());
    assert_eq!(bytewise(&trailing(61)).err(), Some(Malformed::TrailersTooLarge));
    assert_eq!(read([&trailing(61)[..]]).err(), Some(Malformed::TrailersTooLarge));

    let mut decoder = Decoder::new(Limits::default());
    let many = format!("0\r\n{}\r\n", "x: y\r\n".repeat(65));
    assert_eq!(decoder.decode(&mut many.as_bytes().into()), Err(Malformed::TrailersTooLarge));
}

#[test]
fn a_body_that_breaks_off_has_not_ended() {
    let body = b"4\r\nWiki\r\n5\r\npedia\r\n0\r\nx: y\r\n\r\n";
    for length in 0..body.len() {
        assert_eq!(read([&body[..length]]).unwrap().end, None, "{length}");
    }
}

#[test]
fn the_end_is_known_with_the_last_data_when_it_is_there() {
    let (mut decoder, mut buffer) =
        (Decoder::new(LIMITS), BytesMut::from(&b"4\r\nWiki\r\n0\r\n\r\nrest"[..]));
    assert_eq!(decoder.decode(&mut buffer), Ok(Decoded::Data(Bytes::from_static(b"Wiki"))));
    assert!(decoder.is_ended());
    assert_eq!(buffer, "rest");
}

#[test]
fn trailers_that_would_change_the_message_are_not_heard() {
    let body = b"0\r\nContent-Length: 5\r\nSet-Cookie: a\r\nx: y\r\n\r\n";
    let (trailers, _) = read([&body[..]]).unwrap().end.unwrap();
    assert_eq!(trailers.unwrap().keys().collect::<Vec<_>>(), ["x"]);
    let (trailers, _) = read([&b"0\r\nHost: a\r\n\r\n"[..]]).unwrap().end.unwrap();
    assert_eq!(trailers, None);
}

#[test]
fn only_announced_trailers_are_written() {
    let mut headers = HeaderMap::new();
    headers.append("trailer", HeaderValue::from_static("X-Sum, content-length"));
    headers.append("trailer", HeaderValue::from_static("not a name,x-more"));
    let announced = announced(&headers);
    let mut trailers = HeaderMap::new();
    for name in ["x-sum", "x-other", "content-length", "x-more"] {
        trailers.append(name, HeaderValue::from_static("1"));
    }
    let mut bytes = BytesMut::new();
    write_end(&trailers, &announced, &mut bytes);
    assert_eq!(bytes, "0\r\nx-sum: 1\r\nx-more: 1\r\n\r\n");
    bytes.clear();
    write_end(&HeaderMap::new(), &announced, &mut bytes);
    assert_eq!(bytes, END);
}

/// A body as others may send it, in half of the cases with a byte changed.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let chunk = ("0{0,3}", prop::collection::vec(any::<u8>(), 1..300), "(;[a-z]{0,3}(=\"[a-z ]{0,3}\")?)?");
    let chunks = prop::collection::vec(chunk, 0..6);
    let trailers = "([a-z]{1,4}: [a-z]{0,4}\r\n){0,3}";
    let other = prop::sample::select(&b"\r\n0;a \0"[..]);
    let fault = prop::option::of((any::<prop::sample::Index>(), other));
    (chunks, trailers, "[a-z]{0,9}", fault).prop_map(|(chunks, trailers, rest, fault)| {
        let mut bytes = Vec::new();
        for (zeros, data, extension) in chunks {
            bytes.extend_from_slice(format!("{zeros}{:X}{extension}\r\n", data.len()).as_bytes());
            bytes.extend_from_slice(&data);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(format!("0\r\n{trailers}\r\n{rest}").as_bytes());
        if let Some((at, byte)) = fault {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

proptest! {
    #[test]
    fn what_is_read_does_not_depend_on_how_the_bytes_arrive(
        body in body(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| &body[pair[0]..pair[1]]);
        let whole = read([&body[..]]);
        prop_assert_eq!(&read(pieces), &whole);
        prop_assert_eq!(&bytewise(&body), &whole);
    }

    #[test]
    fn what_is_written_is_read_as_it_was(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..5_000), 0..5)
    ) {
        let mut bytes = BytesMut::new();
        for piece in &pieces {
            write_size(piece.len(), &mut bytes);
            bytes.put_slice(piece);
            bytes.put_slice(b"\r\n");
        }
        bytes.put_slice(END);
        let found = read([&bytes[..]]).unwrap();
        prop_assert_eq!(found.data, pieces.concat());
        prop_assert_eq!(found.end, Some((None, Vec::new())));
    }
}
