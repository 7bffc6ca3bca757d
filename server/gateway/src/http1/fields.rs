//! Header fields: from what the parser found to a map that shares the head's bytes, and from a map to bytes.

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::Malformed;

/// Fields that the gateway adds to a message, about: making room for them later would cost more.
const TO_ADD: usize = 8;

/// Where the fields of a parsed head stand in its bytes. The parser's own view borrows the buffer that the head is then
/// split from. Kept for the next head, so that noting them allocates nothing.
#[derive(Debug, Default)]
pub struct Places(Vec<Place>);

#[derive(Clone, Copy, Debug)]
struct Place {
    name: (u32, u32),
    value: (u32, u32),
}

impl Places {
    /// Notes where the parsed fields are in the bytes that were parsed, in place of those noted before.
    pub fn note(&mut self, parsed: &[httparse::Header<'_>], bytes: &[u8]) {
        let start = bytes.as_ptr().addr();
        let range = |part: &[u8]| {
            let from = (part.as_ptr().addr() - start) as u32;
            (from, from + part.len() as u32)
        };
        self.0.clear();
        self.0.extend(
            parsed
                .iter()
                .map(|field| Place { name: range(field.name.as_bytes()), value: range(field.value) }),
        );
    }

    /// Adds the fields to a map. Their values share the memory of the head, which begins where the parsed bytes began.
    /// `seen` is told each of them, which saves looking for those that say how the message goes on.
    pub fn build(
        &self,
        head: &Bytes,
        into: &mut HeaderMap,
        mut seen: impl FnMut(&HeaderName, &HeaderValue),
    ) -> Result<(), Malformed> {
        into.try_reserve(self.0.len() + TO_ADD).map_err(|_| Malformed::Field)?;
        for place in &self.0 {
            let name = &head[place.name.0 as usize..place.name.1 as usize];
            let name = HeaderName::from_bytes(name).map_err(|_| Malformed::Field)?;
            let value = head.slice(place.value.0 as usize..place.value.1 as usize);
            let value = HeaderValue::from_maybe_shared(value).map_err(|_| Malformed::Field)?;
            seen(&name, &value);
            into.try_append(name, value).map_err(|_| Malformed::Field)?;
        }
        Ok(())
    }
}

/// Writes the fields for which `keep` is true, a line each, their names in lower case. Neither names nor values can hold
/// CR, LF or NUL: their types guarantee it.
pub fn write(headers: &HeaderMap, into: &mut BytesMut, keep: impl Fn(&HeaderName) -> bool) {
    // Enough for nearly all, so that the buffer grows once.
    into.reserve(headers.len() * 40);
    for (name, value) in headers {
        if keep(name) {
            write_one(name, value.as_bytes(), into);
        }
    }
}

/// Writes one field.
pub fn write_one(name: &HeaderName, value: &[u8], into: &mut BytesMut) {
    let name = name.as_str().as_bytes();
    into.reserve(name.len() + value.len() + 4);
    into.put_slice(name);
    into.put_slice(b": ");
    into.put_slice(value);
    into.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &'static [u8]) -> Result<HeaderMap, Malformed> {
        let mut parsed = [httparse::EMPTY_HEADER; 16];
        let httparse::Status::Complete((_, parsed)) = httparse::parse_headers(bytes, &mut parsed).unwrap()
        else {
            panic!("not whole");
        };
        let (mut places, mut map) = (Places::default(), HeaderMap::new());
        places.note(parsed, bytes);
        places.build(&Bytes::from_static(bytes), &mut map, |_, _| {})?;
        Ok(map)
    }

    #[test]
    fn what_was_parsed_becomes_a_map_with_names_in_lower_case() {
        let map = read(b"X-Own: a \r\nAccept:b\r\nx-own:\r\nAge:\t7\r\n\r\n").unwrap();
        let fields: Vec<_> = map.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(
            fields,
            [("x-own", &b"a"[..]), ("x-own", b""), ("accept", b"b"), ("age", b"7")],
            "equal names stand together, in their order"
        );
    }

    #[test]
    fn values_share_the_memory_of_the_head() {
        let bytes = b"x-own: value\r\n\r\n";
        let map = read(bytes).unwrap();
        assert_eq!(map["x-own"].as_bytes().as_ptr(), bytes[7..].as_ptr());
    }

    #[test]
    fn fields_that_are_not_to_be_kept_are_not_written() {
        let map = read(b"A: 1\r\nContent-Length: 5\r\nA: 2\r\n\r\n").unwrap();
        let mut bytes = BytesMut::new();
        write(&map, &mut bytes, |name| name != http::header::CONTENT_LENGTH);
        assert_eq!(bytes, "a: 1\r\na: 2\r\n");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was(
            fields in prop::collection::vec(("[a-z][a-z0-9-]{0,80}", "[!-~]([ -~\u{a0}-\u{ff}\t]{0,60}[!-~])?"), 0..16)
        ) {
            let mut map = HeaderMap::new();
            for (name, value) in &fields {
                let (name, value) = (HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value));
                map.append(name, value.unwrap_or(HeaderValue::from_static("x")));
            }
            let mut bytes = BytesMut::new();
            write(&map, &mut bytes, |_| true);
            bytes.put_slice(b"\r\n");
            prop_assert_eq!(read(bytes.to_vec().leak()).unwrap(), map);
        }
    }
}
