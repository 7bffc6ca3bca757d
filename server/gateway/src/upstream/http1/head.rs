//! The head of a response: its parts, and what it says about what follows it (RFC 9112 §6.3).

use std::mem::MaybeUninit;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode, Version, response};
use httparse::{ParserConfig, Status};

use super::Asked;
use super::error::BadHead;
use super::reading::Reading;
use crate::http1::chunked::{Decoder, Limits};
use crate::http1::fields::Places;

/// Fields in a head at most.
const MAX_FIELDS: usize = 128;

/// The first line of a head, which has arrived whole.
pub(super) struct Line {
    pub(super) status: StatusCode,
    version: Version,
    /// Where it is not the usual one.
    reason: Option<Bytes>,
    /// Bytes of the head with its empty line.
    pub(super) length: usize,
}

/// What the fields of a head say about the message.
#[derive(Default)]
pub(super) struct Said {
    length: Option<Result<u64, BadHead>>,
    /// The length is said more than once, each time the same.
    repeated: bool,
    encoded: bool,
    /// `chunked` among the transfer codings: how often, and whether the last is it.
    chunked: u8,
    chunked_last: bool,
    close: bool,
    keep_alive: bool,
    lasts: Option<Duration>,
}

/// A head, and how to go on after it.
pub(super) struct Head {
    pub(super) parts: response::Parts,
    pub(super) body: Reading,
    /// Whether the connection may be used again after it.
    pub(super) keep: bool,
    /// For how long the upstream says that it leaves an idle connection open.
    pub(super) lasts: Option<Duration>,
}

impl Line {
    /// Reads the head at the beginning of these bytes, and notes where its fields are. None when it has not arrived whole.
    pub(super) fn read(bytes: &[u8], places: &mut Places) -> Result<Option<Self>, BadHead> {
        let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let mut head = httparse::Response::new(&mut []);
        let parsed =
            ParserConfig::default().parse_response_with_uninit_headers(&mut head, bytes, &mut fields)?;
        let Status::Complete(length) = parsed else { return Ok(None) };
        let code = head.code.unwrap_or_default();
        let status = StatusCode::from_u16(code).map_err(|_| BadHead::Status(code))?;
        let reason = head.reason.filter(|reason| !reason.is_empty());
        let unusual = reason.filter(|reason| status.canonical_reason() != Some(reason));
        places.note(head.headers, bytes);
        Ok(Some(Self {
            status,
            version: if head.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 },
            reason: unusual.map(|reason| Bytes::copy_from_slice(reason.as_bytes())),
            length,
        }))
    }

    /// Something that comes before the response (RFC 9110 §15.2).
    pub(super) fn is_interim(&self) -> bool {
        self.status.is_informational() && self.status != StatusCode::SWITCHING_PROTOCOLS
    }

    /// Takes a head that comes before the response out of the input.
    pub(super) fn take_fields(&self, input: &mut BytesMut, places: &Places) -> Result<HeaderMap, BadHead> {
        let mut headers = HeaderMap::new();
        places.build(&input.split_to(self.length).freeze(), &mut headers, |_, _| {})?;
        Ok(headers)
    }

    /// Takes the head out of the input.
    pub(super) fn take(
        self,
        input: &mut BytesMut,
        places: &Places,
        mut headers: HeaderMap,
        asked: Asked,
    ) -> Result<Head, BadHead> {
        let mut said = Said::default();
        places.build(&input.split_to(self.length).freeze(), &mut headers, |name, value| {
            said.note(name, value);
        })?;
        let (body, keep) = said.decide(&self, asked)?;
        if said.encoded {
            // Whoever reads on must not see it (RFC 9112 §6.3).
            headers.remove(header::CONTENT_LENGTH);
        } else if let (true, Some(Ok(length))) = (said.repeated, said.length) {
            headers.insert(header::CONTENT_LENGTH, length.into());
        }
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.status = self.status;
        parts.version = self.version;
        parts.headers = headers;
        if let Some(reason) = self.reason.and_then(|reason| hyper::ext::ReasonPhrase::try_from(reason).ok()) {
            parts.extensions.insert(reason);
        }
        Ok(Head { parts, body, keep, lasts: said.lasts })
    }
}

impl Said {
    fn note(&mut self, name: &HeaderName, value: &HeaderValue) {
        if name == header::CONTENT_LENGTH {
            self.note_length(value);
        } else if name == header::TRANSFER_ENCODING {
            self.encoded = true;
            for coding in list(value).filter(|coding| !coding.is_empty()) {
                self.chunked_last = coding.eq_ignore_ascii_case(b"chunked");
                self.chunked = self.chunked.saturating_add(self.chunked_last.into());
            }
        } else if name == header::CONNECTION {
            for option in list(value) {
                self.close |= option.eq_ignore_ascii_case(b"close");
                self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        } else if name == "keep-alive" {
            self.lasts = list(value).find_map(|parameter| seconds(parameter.strip_prefix(b"timeout=")?));
        }
    }

    fn note_length(&mut self, value: &HeaderValue) {
        for length in list(value) {
            let length = digits(length).ok_or(BadHead::Length);
            self.repeated |= self.length.is_some();
            self.length = Some(match self.length {
                None => length,
                Some(before) if before == length => length,
                Some(_) => Err(BadHead::Length),
            });
        }
    }

    /// How the body is to be read (RFC 9112 §6.3), and whether the connection lasts beyond it (§9.3).
    fn decide(&self, line: &Line, asked: Asked) -> Result<(Reading, bool), BadHead> {
        let length = self.length.transpose()?;
        let old = line.version == Version::HTTP_10;
        // Which of two framings others believed cannot be known: nothing more is heard on such a connection (§6.1).
        let ambiguous = self.encoded && self.length.is_some();
        let keep = !(self.close || (old && !self.keep_alive) || ambiguous);
        if line.status == StatusCode::SWITCHING_PROTOCOLS {
            return if asked.upgrade { Ok((Reading::Switched, false)) } else { Err(BadHead::Switch) };
        }
        if asked.head || matches!(line.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            return Ok((Reading::End, keep));
        }
        if asked.connect && line.status.is_success() {
            return Ok((Reading::End, false));
        }
        match length {
            // A sender that knows no chunks cannot mean them, and nobody may chunk twice (§6.1).
            _ if self.encoded && (old || self.chunked > 1) => Err(BadHead::Encoding),
            _ if self.encoded && self.chunked_last => {
                Ok((Reading::Chunked(Decoder::new(Limits::default())), keep))
            }
            Some(0) if !self.encoded => Ok((Reading::End, keep)),
            Some(length) if !self.encoded => Ok((Reading::Length(length), keep)),
            _ => Ok((Reading::UntilClose, false)),
        }
    }
}

/// The members of a list (RFC 9110 §5.6.1), empty ones too.
fn list(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

fn seconds(text: &[u8]) -> Option<Duration> {
    digits(text).map(Duration::from_secs)
}

/// A number that has nothing but digits; `parse` would take a sign.
fn digits(text: &[u8]) -> Option<u64> {
    let number = std::str::from_utf8(text).ok().filter(|_| text.iter().all(u8::is_ascii_digit))?;
    number.parse().ok()
}

/// Whether a head could end in these bytes, at or after `from`. Quicker than to read it again each time some have arrived.
pub(super) fn could_end(bytes: &[u8], from: usize) -> bool {
    // The line feed of the line before may have been there already.
    let from = from.saturating_sub(2);
    memchr::memchr_iter(b'\n', &bytes[from..])
        .any(|at| matches!(&bytes[from + at + 1..], [b'\n', ..] | [b'\r', b'\n', ..]))
}
