//! What a client sends on one connection: heads and bodies, in turn. The connection reads heads, and whoever has the body of
//! a request reads that.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio_util::io::poll_read_buf;

use super::head::Said;
use crate::buffers::{self, Buffers};
use crate::http1::chunked::{Decoded, Decoder, Limits};

/// Bytes that a read makes room for while a body is arriving.
const BODY_ROOM: usize = 64 << 10;

/// The reading side.
pub(super) struct Inbox {
    /// The thread's, while nothing is in it.
    buffer: BytesMut,
    body: Expected,
    /// The client will send nothing more.
    ended: bool,
}

/// What is still to come of a body.
enum Expected {
    Nothing,
    Length(u64),
    /// In a box: few requests have such a body.
    Chunks(Box<Decoder>),
}

impl Inbox {
    /// With what was read to tell the protocol.
    pub(super) fn new(first: BytesMut) -> Self {
        Self { buffer: first, body: Expected::Nothing, ended: false }
    }

    /// What has arrived and was not taken.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Skips the empty lines that old clients send behind a body (RFC 9112 §2.2).
    pub(super) fn skip_empty_lines(&mut self) {
        while self.buffer.starts_with(b"\r\n") {
            self.buffer.advance(2);
        }
    }

    /// Takes a head. What is kept of it does not keep a body that arrived with it, nor other heads where it is to be kept for
    /// long.
    pub(super) fn take_head(&mut self, length: usize, for_long: bool) -> Bytes {
        if self.buffer.capacity() <= buffers::ROOM && !for_long {
            return self.buffer.split_to(length).freeze();
        }
        let head = Bytes::copy_from_slice(&self.buffer[..length]);
        self.buffer.advance(length);
        head
    }

    /// Takes a head of which nothing is kept.
    pub(super) fn skip_head(&mut self, length: usize) {
        self.buffer.advance(length);
    }

    pub(super) fn expect_body(&mut self, said: &Said) {
        self.body = match (said.chunked, said.length) {
            (true, _) => Expected::Chunks(Box::new(Decoder::new(Limits::default()))),
            (false, Some(length @ 1..)) => Expected::Length(length),
            (false, _) => Expected::Nothing,
        };
    }

    /// Moves what fits of what has arrived. Whether there was anything.
    pub(super) fn take_into(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let length = self.buffer.len().min(buffer.remaining());
        buffer.put_slice(&self.buffer.split_to(length));
        length > 0
    }

    /// The request has been read whole.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.body, Expected::Nothing)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self.body {
            Expected::Nothing => SizeHint::with_exact(0),
            Expected::Length(left) => SizeHint::with_exact(left),
            Expected::Chunks(_) => SizeHint::default(),
        }
    }

    /// The next piece of the body of which the bytes are there; None when more has to be read. An inner None at its end.
    pub(super) fn next(&mut self) -> io::Result<Option<Option<Frame<Bytes>>>> {
        Ok(match &mut self.body {
            Expected::Nothing => Some(None),
            Expected::Length(_) if self.buffer.is_empty() => None,
            Expected::Length(left) => {
                let length =
                    usize::try_from(*left).map_or(self.buffer.len(), |left| left.min(self.buffer.len()));
                *left -= length as u64;
                if *left == 0 {
                    self.body = Expected::Nothing;
                }
                Some(Some(Frame::data(self.buffer.split_to(length).freeze())))
            }
            Expected::Chunks(decoder) => match decoder.decode(&mut self.buffer).map_err(io::Error::other)? {
                Decoded::NeedMore => None,
                Decoded::Data(data) => Some(Some(Frame::data(data))),
                Decoded::Trailers(trailers) => {
                    self.body = Expected::Nothing;
                    Some(Some(Frame::trailers(trailers)))
                }
                Decoded::End => {
                    self.body = Expected::Nothing;
                    Some(None)
                }
            },
        })
    }

    /// Reads what has arrived. The number of bytes; 0 at the end.
    pub(super) fn poll_fill(
        &mut self,
        tcp: &mut TcpStream,
        buffers: &Buffers,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        buffers.lend(&mut self.buffer);
        let room = if self.is_whole() { buffers::ROOM } else { BODY_ROOM };
        if self.buffer.capacity() - self.buffer.len() < room / 2 {
            self.buffer.reserve(room);
        }
        let Poll::Ready(read) = poll_read_buf(Pin::new(tcp), context, &mut self.buffer) else {
            // Of a body more is to come soon.
            if self.is_whole() {
                buffers.take_back(&mut self.buffer);
            }
            return Poll::Pending;
        };
        self.ended |= matches!(read, Ok(0) | Err(_));
        Poll::Ready(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_is_kept_for_long_keeps_nothing_else() {
        let mut inbox = Inbox::new(BytesMut::from(&b"one two"[..]));
        let (one, two) = (inbox.take_head(3, true), inbox.take_head(4, false));
        assert_eq!(
            (&one[..], one.is_unique(), &two[..], two.is_unique()),
            (&b"one"[..], true, &b" two"[..], false)
        );
    }
}
