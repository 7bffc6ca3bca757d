//! Watches the bytes of an HTTP/1 connection for heads that hyper would refuse, and for messages whose end two readers
//! could see in different places.
//!
//! hyper reads the latter its own way (a `Content-Length` beside `Transfer-Encoding` is dropped, a bare LF ends a line);
//! a server behind the gateway may read them another way, and what one takes for a body the other takes for a request
//! (RFC 9112 §11.2). To the former it answers by itself, with nothing that a client or an operator could look up. So each
//! head is checked as it comes from the socket, reaches hyper whole, and a bad one does not reach it at all.

mod head;
#[cfg(test)]
mod tests;
mod violation;

pub use head::HeadLimits;
use head::{Body, Head, is_token};
pub(crate) use head::{RequestLine, field};
pub use violation::Violation;

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
    limits: HeadLimits,
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
    /// Perhaps no longer HTTP/1.
    Upgraded,
    /// A head was bad; what is left of it, and what follows it, has no meaning.
    BadHead,
    BadBody,
}

/// Bytes of a chunk-size line or a trailer line at most.
const MAX_LINE: usize = 16 << 10;

impl Framing {
    /// At the beginning of a connection.
    pub fn new(limits: HeadLimits) -> Self {
        Self { state: State::Between, limits, partial: Vec::new(), head: Head::default() }
    }

    /// Watches the next bytes; `seen` is told what happens. Returns how many of them come before a head that is not whole
    /// or bad: all when there is none, 0 when it began in earlier ones.
    pub fn feed(&mut self, bytes: &[u8], mut seen: impl FnMut(Event)) -> usize {
        let (mut at, mut begun) = (0, 0);
        while at < bytes.len() {
            let rest = &bytes[at..];
            match &mut self.state {
                State::Upgraded | State::BadBody => return bytes.len(),
                State::BadHead => return begun,
                State::Body(left) => {
                    at += skip(left, rest);
                    if *left == 0 {
                        self.state = State::Between;
                    }
                }
                State::ChunkData(left) => {
                    at += skip(left, rest);
                    if *left == 0 {
                        self.state = State::ChunkSize;
                    }
                }
                State::Between | State::Head | State::ChunkSize | State::Trailer => {
                    if self.state == State::Between && self.partial.is_empty() {
                        begun = at;
                    }
                    at += self.line(rest, &mut seen);
                }
            }
        }
        if self.is_in_head() { begun } else { bytes.len() }
    }

    /// Whether a head was bad.
    pub fn is_bad_head(&self) -> bool {
        self.state == State::BadHead
    }

    /// Whether the client still sends something that belongs to a request, as far as one can tell.
    pub fn is_mid_message(&self) -> bool {
        !matches!(self.state, State::Between | State::Upgraded) || !self.partial.is_empty()
    }

    fn is_in_head(&self) -> bool {
        match self.state {
            State::Head | State::BadHead => true,
            State::Between => !self.partial.is_empty(),
            _ => false,
        }
    }

    /// Takes a line, or keeps its beginning for later. Returns the bytes used.
    fn line(&mut self, bytes: &[u8], seen: &mut impl FnMut(Event)) -> usize {
        if self.state == State::Between && self.partial.is_empty() {
            seen(Event::HeadBegins);
            self.head = Head::default();
            if !bytes.first().is_some_and(|&byte| is_token(byte) || byte == b'\r' || byte == b'\n') {
                // Another protocol, TLS say, whose bytes need not have lines to wait for.
                self.stop(Event::BadHead(Violation::NotARequest), seen);
                return bytes.len();
            }
        }
        let end = memchr::memchr(b'\n', bytes);
        let used = end.map_or(bytes.len(), |end| end + 1);
        let in_head = matches!(self.state, State::Between | State::Head);
        if in_head {
            self.head.bytes += used;
            if self.head.bytes > self.limits.bytes {
                self.stop(Event::BadHead(Violation::HeadTooLarge), seen);
                return used;
            }
        }
        match end {
            Some(end) if self.partial.is_empty() => self.whole_line(&bytes[..end], seen),
            Some(end) => {
                let mut line = std::mem::take(&mut self.partial);
                line.extend_from_slice(&bytes[..end]);
                self.whole_line(&line, seen);
            }
            None => {
                self.partial.extend_from_slice(bytes);
                if self.partial.len() > MAX_LINE && !in_head {
                    self.stop(Event::BadBody(Violation::InvalidChunk), seen);
                }
            }
        }
        used
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
                self.head.request_line(line);
                self.state = State::Head;
            }
            State::Head if line.is_empty() => self.end_of_head(seen),
            State::Head => self.head.field(line, self.limits),
            State::ChunkSize => match chunk_size(line) {
                Some(0) => self.state = State::Trailer,
                Some(size) => self.state = State::ChunkData(size + 2),
                None => self.stop(Event::BadBody(Violation::InvalidChunk), seen),
            },
            State::Trailer if line.is_empty() => self.state = State::Between,
            State::Trailer
            | State::Body(_)
            | State::ChunkData(_)
            | State::Upgraded
            | State::BadHead
            | State::BadBody => {}
        }
    }

    fn end_of_head(&mut self, seen: &mut impl FnMut(Event)) {
        self.state = match self.head.end() {
            Err(violation) => return self.stop(Event::BadHead(violation), seen),
            Ok(Body::None) => State::Between,
            Ok(Body::Length(length)) => State::Body(length),
            Ok(Body::Chunked) => State::ChunkSize,
            Ok(Body::Upgrade) => State::Upgraded,
        };
        seen(Event::HeadEnds);
    }

    fn stop(&mut self, event: Event, seen: &mut impl FnMut(Event)) {
        self.state = if matches!(event, Event::BadBody(_)) { State::BadBody } else { State::BadHead };
        self.partial = Vec::new();
        seen(event);
    }
}

/// Takes what of these bytes is still to be skipped.
fn skip(left: &mut u64, bytes: &[u8]) -> usize {
    let used = (*left).min(bytes.len() as u64);
    *left -= used;
    used as usize
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let size = line.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii_end();
    if size.is_empty() || size.len() > 15 || !size.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()
}
