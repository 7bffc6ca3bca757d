//! Watches the bytes of an HTTP/1 connection for messages whose end two readers could see in different places.
//!
//! hyper reads such messages its own way (a `Content-Length` beside `Transfer-Encoding` is dropped, a bare LF ends a
//! line); a server behind the gateway may read them another way, and what one takes for a body the other takes for a
//! request (RFC 9112 §11.2). So each head is checked as it comes from the socket, and a bad one is refused whole.

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Violation {
    BareLineFeed = 1,
    FoldedHeader = 2,
    LengthAndEncoding = 3,
    SeveralLengths = 4,
    InvalidLength = 5,
    UnknownEncoding = 6,
    InvalidChunk = 7,
}

impl Violation {
    /// What to tell the client.
    pub fn message(self) -> &'static str {
        match self {
            Self::BareLineFeed => "A line of the request ends with LF alone instead of CR LF.",
            Self::FoldedHeader => "A header field is folded over several lines.",
            Self::LengthAndEncoding => "The request has both Content-Length and Transfer-Encoding.",
            Self::SeveralLengths => "The request has several Content-Length values.",
            Self::InvalidLength => "The Content-Length is not a number.",
            Self::UnknownEncoding => "The only transfer encoding that is understood is `chunked`, once.",
            Self::InvalidChunk => "The chunked body is malformed.",
        }
    }

    /// From its number.
    pub fn from_number(number: u8) -> Option<Self> {
        [
            Self::BareLineFeed,
            Self::FoldedHeader,
            Self::LengthAndEncoding,
            Self::SeveralLengths,
            Self::InvalidLength,
            Self::UnknownEncoding,
            Self::InvalidChunk,
        ]
        .into_iter()
        .find(|violation| *violation as u8 == number)
    }
}

/// Something that the watcher saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The first byte of a head has arrived.
    HeadBegins,
    /// A head is complete and in order.
    HeadEnds,
    /// A head is not in order. Nothing after it is watched.
    BadHead(Violation),
    /// A body is not in order. Nothing after it is watched.
    BadBody(Violation),
}

/// Where in a connection's bytes the watcher is.
#[derive(Debug)]
pub struct Framing {
    state: State,
    /// The beginning of a line whose end has not arrived.
    partial: Vec<u8>,
    head: Head,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first byte of a head (empty lines are skipped, RFC 9112 §2.2).
    Between,
    Head,
    Body(u64),
    ChunkSize,
    /// Bytes of data with the CR LF after them.
    ChunkData(u64),
    Trailer,
    /// No longer HTTP/1, or already refused.
    Blind,
}

/// What the head so far says about the body.
#[derive(Debug, Default)]
struct Head {
    length: Option<u64>,
    encodings: u8,
    bad: Option<Violation>,
    upgrade: bool,
}

/// Bytes of a chunk-size line or a trailer line at most; hyper bounds the lines of heads.
const MAX_LINE: usize = 16 << 10;

impl Default for Framing {
    fn default() -> Self {
        Self { state: State::Between, partial: Vec::new(), head: Head::default() }
    }
}

impl Framing {
    /// Watches the next bytes; `seen` is told what happens.
    pub fn feed(&mut self, mut bytes: &[u8], mut seen: impl FnMut(Event)) {
        while !bytes.is_empty() {
            let used = match self.state {
                State::Blind => return,
                State::Body(left) => {
                    let used = left.min(bytes.len() as u64);
                    self.state = if used == left { State::Between } else { State::Body(left - used) };
                    used as usize
                }
                State::ChunkData(left) => {
                    let used = left.min(bytes.len() as u64);
                    self.state = if used == left { State::ChunkSize } else { State::ChunkData(left - used) };
                    used as usize
                }
                State::Between | State::Head | State::ChunkSize | State::Trailer => {
                    self.line(bytes, &mut seen)
                }
            };
            bytes = &bytes[used..];
        }
    }

    /// Takes a line, or keeps its beginning for later. Returns the bytes used.
    fn line(&mut self, bytes: &[u8], seen: &mut impl FnMut(Event)) -> usize {
        if self.state == State::Between && self.partial.is_empty() {
            seen(Event::HeadBegins);
        }
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            self.partial.extend_from_slice(bytes);
            if self.partial.len() > MAX_LINE && matches!(self.state, State::ChunkSize | State::Trailer) {
                self.stop(Event::BadBody(Violation::InvalidChunk), seen);
            }
            return bytes.len();
        };
        if self.partial.is_empty() {
            self.whole_line(&bytes[..end], seen);
        } else {
            let mut line = std::mem::take(&mut self.partial);
            line.extend_from_slice(&bytes[..end]);
            self.whole_line(&line, seen);
        }
        end + 1
    }

    /// A line without its LF.
    fn whole_line(&mut self, line: &[u8], seen: &mut impl FnMut(Event)) {
        let in_body = matches!(self.state, State::ChunkSize | State::Trailer);
        let Some(line) = line.strip_suffix(b"\r") else {
            let event = if in_body { Event::BadBody } else { Event::BadHead };
            return self.stop(event(Violation::BareLineFeed), seen);
        };
        match self.state {
            State::Between if line.is_empty() => {}
            State::Between => {
                self.head = Head::default();
                self.state = State::Head;
            }
            State::Head if line.is_empty() => self.end_of_head(seen),
            State::Head => self.head.field(line),
            State::ChunkSize => match chunk_size(line) {
                Some(0) => self.state = State::Trailer,
                Some(size) => self.state = State::ChunkData(size + 2),
                None => self.stop(Event::BadBody(Violation::InvalidChunk), seen),
            },
            State::Trailer if line.is_empty() => self.state = State::Between,
            State::Trailer | State::Body(_) | State::ChunkData(_) | State::Blind => {}
        }
    }

    fn end_of_head(&mut self, seen: &mut impl FnMut(Event)) {
        let Head { length, encodings, bad, upgrade } = self.head;
        let bad = bad.or((length.is_some() && encodings > 0).then_some(Violation::LengthAndEncoding));
        if let Some(violation) = bad {
            return self.stop(Event::BadHead(violation), seen);
        }
        self.state = match (encodings, length) {
            // What follows may be another protocol; the gateway closes if it does not switch.
            _ if upgrade => State::Blind,
            (1.., _) => State::ChunkSize,
            (0, Some(length)) if length > 0 => State::Body(length),
            (0, _) => State::Between,
        };
        seen(Event::HeadEnds);
    }

    fn stop(&mut self, event: Event, seen: &mut impl FnMut(Event)) {
        self.state = State::Blind;
        self.partial = Vec::new();
        seen(event);
    }
}

impl Head {
    fn field(&mut self, line: &[u8]) {
        match line.first() {
            Some(b' ' | b'\t') => self.refuse(Violation::FoldedHeader),
            Some(b'c' | b'C') => {
                if let Some(value) = value_of(line, b"content-length") {
                    self.content_length(value);
                }
            }
            Some(b't' | b'T') => {
                if let Some(value) = value_of(line, b"transfer-encoding") {
                    self.encodings += 1;
                    if self.encodings > 1 || !value.eq_ignore_ascii_case(b"chunked") {
                        self.refuse(Violation::UnknownEncoding);
                    }
                }
            }
            Some(b'u' | b'U') => self.upgrade |= value_of(line, b"upgrade").is_some(),
            _ => {}
        }
    }

    fn content_length(&mut self, value: &[u8]) {
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let length = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok());
        match (length, self.length) {
            (None, _) if value.contains(&b',') => self.refuse(Violation::SeveralLengths),
            (None, _) => self.refuse(Violation::InvalidLength),
            (Some(new), Some(old)) if new != old => self.refuse(Violation::SeveralLengths),
            (Some(new), _) => self.length = Some(new),
        }
    }

    fn refuse(&mut self, violation: Violation) {
        self.bad.get_or_insert(violation);
    }
}

/// The value of a field line when its name is this one.
fn value_of<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let (found, rest) = line.split_at_checked(name.len())?;
    if !found.eq_ignore_ascii_case(name) {
        return None;
    }
    // A space before the colon hides the field from some readers; hyper refuses it, and here it counts all the same.
    let rest = rest.trim_ascii_start();
    rest.strip_prefix(b":").map(<[u8]>::trim_ascii)
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let size = line.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii_end();
    if size.is_empty() || size.len() > 15 || !size.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(pieces: &[&[u8]]) -> Vec<Event> {
        let (mut framing, mut events) = (Framing::default(), Vec::new());
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
                Violation::LengthAndEncoding,
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
        assert_eq!(
            verdict("POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"),
            Event::HeadEnds
        );
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
}
