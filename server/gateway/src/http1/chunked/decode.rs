//! Reading chunks, however the bytes arrive.

use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderMap;

use super::{END, may_trail};
use crate::http1::Malformed;

/// Fields in a trailer section at most.
const MAX_TRAILERS: usize = 64;
/// Digits of a chunk's size at most: as many as 64 bits have.
const MAX_DIGITS: usize = 16;

/// What a body may have beside its data.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of extensions in the whole body; nobody uses them.
    pub extensions: usize,
    /// Bytes of the trailer section.
    pub trailers: usize,
}

/// Reads a body in chunks.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    limits: Limits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before a line with a size.
    Size,
    /// So many bytes of a chunk are to come.
    Data(u64),
    /// Before the CR LF after a chunk.
    DataEnd,
    Trailers,
    End,
}

/// What the bytes so far have brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded {
    /// The next bytes of the body, at least one.
    Data(Bytes),
    /// The body has ended, with these fields after it.
    Trailers(HeaderMap),
    /// The body has ended.
    End,
    /// Nothing before more bytes arrive; those that are left in the buffer belong to what comes.
    NeedMore,
}

impl Default for Limits {
    fn default() -> Self {
        Self { extensions: 16 << 10, trailers: 16 << 10 }
    }
}

impl Decoder {
    pub fn new(limits: Limits) -> Self {
        Self { state: State::Size, limits }
    }

    /// Whether the body has been read whole. True already with its last data when its end was there too.
    pub fn is_ended(&self) -> bool {
        self.state == State::End
    }

    /// Takes the next part of the body from the buffer. What follows the body stays there.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Decoded, Malformed> {
        loop {
            match self.state {
                State::Size => {
                    let Some(line) = SizeLine::read(buffer, self.limits.extensions)? else {
                        return Ok(Decoded::NeedMore);
                    };
                    self.limits.extensions -= line.extension;
                    buffer.advance(line.length);
                    self.state = if line.size == 0 { State::Trailers } else { State::Data(line.size) };
                }
                State::Data(_) if buffer.is_empty() => return Ok(Decoded::NeedMore),
                State::Data(left) => return Ok(Decoded::Data(self.data(left, buffer))),
                State::DataEnd => match buffer.as_ref() {
                    [b'\r', b'\n', ..] => {
                        buffer.advance(2);
                        self.state = State::Size;
                    }
                    [] | [b'\r'] => return Ok(Decoded::NeedMore),
                    _ => return Err(Malformed::ChunkEnd),
                },
                State::Trailers => {
                    let Some(length) = trailer_section(buffer, self.limits.trailers)? else {
                        return Ok(Decoded::NeedMore);
                    };
                    let trailers = trailers(&buffer.split_to(length))?;
                    self.state = State::End;
                    return Ok(trailers.map_or(Decoded::End, Decoded::Trailers));
                }
                State::End => return Ok(Decoded::End),
            }
        }
    }

    /// What is there of a chunk of which so many bytes are left.
    fn data(&mut self, left: u64, buffer: &mut BytesMut) -> Bytes {
        let length = left.min(buffer.len() as u64);
        let data = buffer.split_to(length as usize).freeze();
        if length < left {
            self.state = State::Data(left - length);
        } else if buffer.strip_prefix(b"\r\n").is_some_and(|rest| rest.starts_with(END)) {
            // Who knows now that this was all need not ask again.
            buffer.advance(2 + END.len());
            self.state = State::End;
        } else {
            self.state = State::DataEnd;
        }
        data
    }
}

/// The line before a chunk.
struct SizeLine {
    /// Bytes in the chunk; 0 in the last.
    size: u64,
    /// Bytes of the extension.
    extension: usize,
    /// Bytes of the line with its CR LF.
    length: usize,
}

impl SizeLine {
    /// None when it has not arrived whole.
    fn read(bytes: &[u8], limit: usize) -> Result<Option<Self>, Malformed> {
        let (mut size, mut digits) = (0, 0);
        while let Some(digit) = bytes.get(digits).and_then(|&byte| char::from(byte).to_digit(16)) {
            if digits == MAX_DIGITS {
                return Err(Malformed::ChunkTooLarge);
            }
            size = size << 4 | u64::from(digit);
            digits += 1;
        }
        match &bytes[digits..] {
            [] => Ok(None),
            _ if digits == 0 => Err(Malformed::ChunkSize),
            [b'\r'] => Ok(None),
            [b'\r', b'\n', ..] => Ok(Some(Self { size, extension: 0, length: digits + 2 })),
            rest @ [b';' | b' ' | b'\t', ..] => {
                let extension = extension(rest, limit)?;
                Ok(extension.map(|extension| Self { size, extension, length: digits + extension + 2 }))
            }
            [b'\n', ..] => Err(Malformed::BareLineFeed),
            _ => Err(Malformed::ChunkSize),
        }
    }
}

/// Bytes of what comes between a size and its CR LF: white space and extensions, which mean nothing to us (RFC 9112
/// §7.1.1). None when they have not all arrived.
fn extension(bytes: &[u8], limit: usize) -> Result<Option<usize>, Malformed> {
    let within = &bytes[..bytes.len().min(limit + 2)];
    let Some(end) = memchr::memchr(b'\n', within) else {
        return if within.len() == limit + 2 { Err(Malformed::ExtensionsTooLarge) } else { Ok(None) };
    };
    let line = within[..end].strip_suffix(b"\r").ok_or(Malformed::BareLineFeed)?;
    if line.iter().any(|&byte| (byte < b' ' && byte != b'\t') || byte == 0x7f) {
        return Err(Malformed::ChunkExtension);
    }
    if !matches!(line.trim_ascii_start(), [] | [b';', ..]) {
        return Err(Malformed::ChunkSize);
    }
    Ok(Some(line.len()))
}

/// Bytes of the trailer section with the empty line at its end. None when it has not arrived whole.
fn trailer_section(bytes: &[u8], limit: usize) -> Result<Option<usize>, Malformed> {
    let within = &bytes[..bytes.len().min(limit)];
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', within) {
        match &within[start..end] {
            [b'\r'] => return Ok(Some(end + 1)),
            [.., b'\r'] => start = end + 1,
            _ => return Err(Malformed::BareLineFeed),
        }
    }
    if within.len() == limit { Err(Malformed::TrailersTooLarge) } else { Ok(None) }
}

/// The fields of a trailer section; None when there is none that may be there.
fn trailers(section: &[u8]) -> Result<Option<HeaderMap>, Malformed> {
    if section.len() == 2 {
        return Ok(None);
    }
    let mut parsed = [httparse::EMPTY_HEADER; MAX_TRAILERS];
    let fields = match httparse::parse_headers(section, &mut parsed) {
        Ok(httparse::Status::Complete((_, fields))) => fields,
        Err(httparse::Error::TooManyHeaders) => return Err(Malformed::TrailersTooLarge),
        _ => return Err(Malformed::Field),
    };
    let mut trailers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = http::HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Malformed::Field)?;
        let value = http::HeaderValue::from_bytes(field.value).map_err(|_| Malformed::Field)?;
        if may_trail(&name) {
            trailers.append(name, value);
        }
    }
    Ok((!trailers.is_empty()).then_some(trailers))
}
