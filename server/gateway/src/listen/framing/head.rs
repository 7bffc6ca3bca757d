//! The head of a request, line by line: whether hyper will take it, and what it says about the body.

use super::Violation;

/// hyper's longest target.
const MAX_TARGET: usize = 65_534;
/// hyper's largest body.
const MAX_LENGTH: u64 = u64::MAX - 2;

/// What a head may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// From the first byte of the request line to the end of the empty line.
    pub bytes: usize,
    pub fields: usize,
}

/// A request line in order.
pub(crate) struct RequestLine<'l> {
    pub(crate) method: &'l [u8],
    pub(crate) target: &'l [u8],
    /// HTTP/1.0.
    pub(crate) old: bool,
}

/// What the head so far says.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) bytes: usize,
    fields: usize,
    length: Option<u64>,
    encodings: u8,
    old: bool,
    bad: Option<Violation>,
    upgrade: bool,
}

/// What comes after a head.
pub(super) enum Body {
    None,
    Length(u64),
    Chunked,
    /// Perhaps another protocol.
    Upgrade,
}

impl Head {
    /// The first line, without CR LF.
    pub(super) fn request_line(&mut self, line: &[u8]) {
        match RequestLine::read(line) {
            Ok(RequestLine { old, .. }) => self.old = old,
            Err(violation) => self.refuse(violation),
        }
    }

    /// A line after the first, without CR LF.
    pub(super) fn field(&mut self, line: &[u8], limits: HeadLimits) {
        self.fields += 1;
        if self.fields > limits.fields {
            self.refuse(Violation::TooManyFields);
        }
        if let Some(b' ' | b'\t') = line.first() {
            return self.refuse(Violation::FoldedHeader);
        }
        let Some((name, value)) = field(line) else {
            return self.refuse(Violation::InvalidField);
        };
        match name.len() {
            7 => self.upgrade |= name.eq_ignore_ascii_case(b"upgrade"),
            14 if name.eq_ignore_ascii_case(b"content-length") => self.content_length(value.trim_ascii()),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                self.encodings = self.encodings.saturating_add(1);
                if self.encodings > 1 || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    self.refuse(Violation::UnknownEncoding);
                }
            }
            _ => {}
        }
    }

    /// The empty line has come.
    pub(super) fn end(&self) -> Result<Body, Violation> {
        if let Some(violation) = self.bad {
            return Err(violation);
        }
        match (self.encodings, self.length) {
            (1.., Some(_)) => Err(Violation::LengthAndEncoding),
            (1.., _) if self.old => Err(Violation::UnknownEncoding),
            // What follows may be another protocol; the gateway closes if it does not switch.
            _ if self.upgrade => Ok(Body::Upgrade),
            (1.., _) => Ok(Body::Chunked),
            (0, Some(length)) if length > 0 => Ok(Body::Length(length)),
            (0, _) => Ok(Body::None),
        }
    }

    fn content_length(&mut self, value: &[u8]) {
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let length = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok());
        match (length, self.length) {
            (None, _) if value.contains(&b',') => self.refuse(Violation::SeveralLengths),
            (Some(..=MAX_LENGTH), None) => self.length = length,
            (Some(new), Some(old)) if new == old => {}
            (Some(_), Some(_)) => self.refuse(Violation::SeveralLengths),
            _ => self.refuse(Violation::InvalidLength),
        }
    }

    fn refuse(&mut self, violation: Violation) {
        self.bad.get_or_insert(violation);
    }
}

impl<'l> RequestLine<'l> {
    /// Reads a first line without CR LF (RFC 9112 §3), exactly as hyper would.
    pub(crate) fn read(line: &'l [u8]) -> Result<Self, Violation> {
        let length = line.iter().take_while(|byte| is_token(**byte)).count();
        let (method, rest) = line.split_at(length);
        let rest = rest.strip_prefix(b" ").filter(|_| length > 0).ok_or(Violation::NotARequest)?;
        let (target, old) = match rest.strip_suffix(b" HTTP/1.1") {
            Some(target) => (target, false),
            None => (rest.strip_suffix(b" HTTP/1.0").ok_or(Violation::NotARequest)?, true),
        };
        if target.len() > MAX_TARGET {
            return Err(Violation::TargetTooLong);
        }
        // A space makes it two targets: not a line of three parts.
        if target.is_empty() || target.contains(&b' ') {
            return Err(Violation::NotARequest);
        }
        if !is_plain(target) && !is_target(target) {
            return Err(Violation::InvalidTarget);
        }
        Ok(Self { method, target, old })
    }
}

/// Name and value of a field line without CR LF (RFC 9112 §5), exactly as hyper would take them.
pub(crate) fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = line.iter().take_while(|byte| is_token(**byte)).count();
    let (name, rest) = line.split_at(length);
    let value = rest.strip_prefix(b":").filter(|_| length > 0)?;
    // Without an early end, so that the compiler looks at many bytes at once.
    let bad = value.iter().fold(false, |bad, &byte| bad | (byte < b' ' && byte != b'\t') | (byte == 0x7f));
    (!bad).then_some((name, value))
}

/// `tchar` (RFC 9110 §5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    const TOKEN: [bool; 256] = table(b"!#$%&'*+-.^_`|~");
    TOKEN[usize::from(byte)]
}

/// Whether a target has only what nearly all have, which nobody refuses.
fn is_plain(target: &[u8]) -> bool {
    const PLAIN: [bool; 256] = table(b"/-._~?=&%:@!$'()*+,;");
    target.first() == Some(&b'/') && target.iter().all(|byte| PLAIN[usize::from(*byte)])
}

/// Whether a target is one; slower.
fn is_target(target: &[u8]) -> bool {
    target.iter().all(|&byte| byte > b' ' && byte != 0x7f) && http::Uri::try_from(target).is_ok()
}

/// Letters, digits and these.
const fn table(others: &[u8]) -> [bool; 256] {
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
