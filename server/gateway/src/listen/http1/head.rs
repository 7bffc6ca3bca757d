//! The head of a request (RFC 9112 §2 to §5), read strictly: what two readers could read differently is refused (§11.2), and
//! so is what many servers take but the grammar does not have (a bare LF, a folded field, a space before a colon).

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Method, Uri, Version};

use super::Violation;

/// Bytes of a target at most.
const MAX_TARGET: usize = 65_534;
/// The largest body that can be announced.
const MAX_LENGTH: u64 = u64::MAX >> 1;

/// Fields that the pipeline adds for an upstream, about.
const FIELDS_TO_ADD: usize = 8;

/// What a head may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// From the first byte of the request line to the end of the empty line.
    pub bytes: usize,
    pub fields: usize,
}

/// Finds the end of a head in bytes that arrive in pieces, looking at each byte once.
pub(super) struct Lines {
    limits: HeadLimits,
    /// Where each whole line ends, behind its LF.
    ends: Vec<usize>,
    /// Bytes that were looked at.
    seen: usize,
    spare: SpareEnds,
}

/// Memory for ends of lines, which goes from one head of the thread to the next.
pub(in crate::listen) type SpareEnds = Rc<Cell<Vec<usize>>>;

/// A head in order.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) target: Uri,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) said: Said,
}

/// What a head says about its message and its connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) length: Option<u64>,
    pub(super) chunked: bool,
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    /// The client waits with its body until it is told to go on (RFC 9110 §10.1.1).
    pub(super) expects: bool,
    /// The client takes trailers.
    pub(super) trailers: bool,
    pub(super) upgrade: bool,
}

impl Lines {
    pub(super) fn new(limits: HeadLimits, spare: SpareEnds) -> Self {
        Self { limits, ends: Vec::new(), seen: 0, spare }
    }

    /// What a head may have of bytes.
    pub(super) fn most_bytes(&self) -> usize {
        self.limits.bytes
    }

    /// Looks at what has come since the last look; the bytes begin with the head. Some with the head's length when it is
    /// whole.
    pub(super) fn look(&mut self, bytes: &[u8]) -> Result<Option<usize>, Violation> {
        if self.seen == 0 && bytes.first().is_some_and(|&byte| byte != b'\r' && !is_token(byte)) {
            // Another protocol, TLS say, whose bytes need not have lines to wait for.
            return Err(Violation::NotARequest);
        }
        if self.seen == 0 {
            self.ends = self.spare.take();
        }
        while let Some(feed) = memchr::memchr(b'\n', &bytes[self.seen..]) {
            let begin = self.ends.last().copied().unwrap_or_default();
            let end = self.seen + feed + 1;
            if end > self.limits.bytes {
                return Err(Violation::HeadTooLarge);
            }
            self.seen = end;
            self.ends.push(end);
            match &bytes[begin..end] {
                b"\r\n" => return Ok(Some(end)),
                [.., b'\r', b'\n'] => {}
                _ => return Err(Violation::BareLineFeed),
            }
        }
        self.seen = bytes.len();
        if self.seen > self.limits.bytes { Err(Violation::HeadTooLarge) } else { Ok(None) }
    }

    /// Reads the head whose end was found, into a map that has no fields yet. The next head begins.
    pub(super) fn read(&mut self, head: &Bytes, headers: HeaderMap) -> Result<Head, Violation> {
        let read = self.parse(head, headers);
        self.begin();
        read
    }

    /// A head begins.
    pub(super) fn begin(&mut self) {
        self.ends.clear();
        self.spare.set(std::mem::take(&mut self.ends));
        self.seen = 0;
    }

    /// Whether the head whose end was found has more fields than it may.
    pub(super) fn are_too_many(&self) -> bool {
        // The request line and the empty line are none.
        self.ends.len().saturating_sub(2) > self.limits.fields
    }

    fn parse(&self, head: &Bytes, mut headers: HeaderMap) -> Result<Head, Violation> {
        let [first, fields @ .., _] = self.ends.as_slice() else { return Err(Violation::NotARequest) };
        let line = RequestLine::read(&head[..first - 2])?;
        let target = line.uri(head)?;
        let method = Method::from_bytes(line.method).map_err(|_| Violation::NotARequest)?;
        let version = if line.old { Version::HTTP_10 } else { Version::HTTP_11 };
        if self.are_too_many() {
            return Err(Violation::TooManyFields);
        }
        let (mut said, mut begin) = (Said::default(), *first);
        // With room for what is added on the way to the upstream.
        headers.try_reserve(fields.len() + FIELDS_TO_ADD).map_err(|_| Violation::TooManyFields)?;
        for &end in fields {
            let (name, value) = field(head, begin, end - 2)?;
            begin = end;
            said.hear(&name, &value)?;
            headers.try_append(name, value).map_err(|_| Violation::TooManyFields)?;
        }
        match (said.chunked, said.length) {
            (true, Some(_)) => Err(Violation::LengthAndEncoding),
            (true, None) if line.old => Err(Violation::UnknownEncoding),
            _ => Ok(Head { method, target, version, headers, said }),
        }
    }
}

impl Said {
    /// Whether the client means to ask more on its connection (RFC 9112 §9.3).
    pub(super) fn wants_more(&self, old_client: bool) -> bool {
        !self.close && (self.keep_alive || !old_client)
    }

    fn hear(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), Violation> {
        match name.as_str().len() {
            2 if *name == TE => self.trailers |= has_token(value, b"trailers"),
            6 if *name == EXPECT => self.expects |= value.as_bytes().eq_ignore_ascii_case(b"100-continue"),
            7 if *name == UPGRADE => self.upgrade = true,
            10 if *name == CONNECTION => {
                self.close |= has_token(value, b"close");
                self.keep_alive |= has_token(value, b"keep-alive");
            }
            14 if *name == CONTENT_LENGTH => self.announce(value.as_bytes())?,
            17 if *name == TRANSFER_ENCODING => {
                let first = !std::mem::replace(&mut self.chunked, true);
                let known = value.as_bytes().eq_ignore_ascii_case(b"chunked");
                return if first && known { Ok(()) } else { Err(Violation::UnknownEncoding) };
            }
            _ => {}
        }
        Ok(())
    }

    fn announce(&mut self, value: &[u8]) -> Result<(), Violation> {
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let length = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok());
        match (length, self.length) {
            (Some(..=MAX_LENGTH), None) => self.length = length,
            (Some(new), Some(old)) if new == old => {}
            (Some(_), Some(_)) => return Err(Violation::SeveralLengths),
            (None, _) if value.contains(&b',') => return Err(Violation::SeveralLengths),
            _ => return Err(Violation::InvalidLength),
        }
        Ok(())
    }
}

/// Whether a list has this member, in any case.
fn has_token(list: &HeaderValue, token: &[u8]) -> bool {
    list.as_bytes().split(|&byte| byte == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(token))
}

/// A request line in order.
pub(super) struct RequestLine<'l> {
    pub(super) method: &'l [u8],
    pub(super) target: &'l [u8],
    /// HTTP/1.0.
    pub(super) old: bool,
}

impl<'l> RequestLine<'l> {
    /// Reads a first line without CR LF (RFC 9112 §3).
    pub(super) fn read(line: &'l [u8]) -> Result<Self, Violation> {
        let length = memchr::memchr(b' ', line).ok_or(Violation::NotARequest)?;
        let (method, rest) = (&line[..length], &line[length + 1..]);
        if method.is_empty() || !method.iter().all(|&byte| is_token(byte)) {
            return Err(Violation::NotARequest);
        }
        let (target, old) = match rest.strip_suffix(b" HTTP/1.1") {
            Some(target) => (target, false),
            None => (rest.strip_suffix(b" HTTP/1.0").ok_or(Violation::NotARequest)?, true),
        };
        if target.len() > MAX_TARGET {
            return Err(Violation::TargetTooLong);
        }
        // A space makes it two targets: not a line of three parts.
        if target.is_empty() || memchr::memchr(b' ', target).is_some() {
            return Err(Violation::NotARequest);
        }
        // Without an early end, so that the compiler looks at many bytes at once.
        if target.iter().fold(false, |bad, &byte| bad | (byte < b' ') | (byte == 0x7f)) {
            return Err(Violation::InvalidTarget);
        }
        Ok(Self { method, target, old })
    }

    /// The target, of which `head` has the bytes.
    fn uri(&self, head: &Bytes) -> Result<Uri, Violation> {
        Uri::from_maybe_shared(head.slice_ref(self.target)).map_err(|_| Violation::InvalidTarget)
    }
}

/// The field in a line without CR LF (RFC 9112 §5).
fn field(head: &Bytes, begin: usize, end: usize) -> Result<(HeaderName, HeaderValue), Violation> {
    let line = &head[begin..end];
    if let Some(b' ' | b'\t') = line.first() {
        return Err(Violation::FoldedHeader);
    }
    let colon = memchr::memchr(b':', line).ok_or(Violation::InvalidField)?;
    let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| Violation::InvalidField)?;
    let value = head.slice_ref(trim(&line[colon + 1..]));
    let value = HeaderValue::from_maybe_shared(value).map_err(|_| Violation::InvalidField)?;
    Ok((name, value))
}

/// Without optional whitespace around it (RFC 9110 §5.6.3); other whitespace is part of the value, which it makes invalid.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// `tchar` (RFC 9110 §5.6.2).
fn is_token(byte: u8) -> bool {
    const TOKEN: [bool; 256] = tokens();
    TOKEN[usize::from(byte)]
}

const fn tokens() -> [bool; 256] {
    let others = b"!#$%&'*+-.^_`|~";
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut index = 0;
    while index < others.len() {
        table[others[index] as usize] = true;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests;
