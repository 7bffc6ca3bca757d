//! The chunked transfer coding (RFC 9112 §7.1), strictly: a sender whose chunks could be read in two ways is not heard.

mod decode;
#[cfg(test)]
mod tests;

use bytes::{BufMut as _, BytesMut};
use http::HeaderMap;
use http::header::{self, HeaderName};

use super::fields;
pub use decode::{Decoded, Decoder, Limits};

/// The end of a body without trailers.
pub const END: &[u8] = b"0\r\n\r\n";

/// Writes what comes before this many bytes of data (more than 0, which would end the body). CR LF comes after them.
pub fn write_size(size: usize, into: &mut BytesMut) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        into.put_u8(DIGITS[(size >> (digit * 4)) & 0xf]);
    }
    into.put_slice(b"\r\n");
}

/// Writes the end of a body, with those of the trailers that were announced.
pub fn write_end(trailers: &HeaderMap, announced: &[HeaderName], into: &mut BytesMut) {
    into.put_slice(b"0\r\n");
    fields::write(trailers, into, |name| announced.contains(name) && may_trail(name));
    into.put_slice(b"\r\n");
}

/// The fields that `Trailer` announces.
pub fn announced(headers: &HeaderMap) -> Vec<HeaderName> {
    let lists = headers.get_all(header::TRAILER).iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).filter_map(|name| name.trim().parse().ok()).collect()
}

/// Whether a field may come after the body: not one that says where the message ends, where it goes, who sends it or how to
/// read it (RFC 9110 §6.5.1).
fn may_trail(name: &HeaderName) -> bool {
    ![
        header::AUTHORIZATION,
        header::CACHE_CONTROL,
        header::CONNECTION,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::CONTENT_RANGE,
        header::CONTENT_TYPE,
        header::HOST,
        header::MAX_FORWARDS,
        header::SET_COOKIE,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ]
    .contains(name)
}
