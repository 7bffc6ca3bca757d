//! A request on its way to an upstream. Of its body only one piece is taken at a time, when the one before has left.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::header::{self, HeaderName};
use http::{HeaderMap, Method};
use http_body::{Body as _, Frame};
use tokio::io::AsyncWrite;

use super::super::outgoing::Outgoing;
use super::MAX_KEPT;
use super::error::Error;
use crate::body::{BodyFault, RequestBody};
use crate::http1::{chunked, fields};

/// Pieces up to this size are copied behind what comes before them: cheaper than to have the kernel gather them.
const COPIED: usize = 4 << 10;

type Polled = Option<Result<Frame<Bytes>, BodyFault>>;

/// What is left of a request.
pub(super) struct Sending {
    /// Written first: the head, sizes of chunks, small pieces.
    bytes: BytesMut,
    /// How many of them have left.
    written: usize,
    /// Written next: a large piece of the body.
    piece: Bytes,
    /// Written after it.
    tail: &'static [u8],
    /// What is left of the body; None when there is nothing.
    body: Option<RequestBody>,
    framing: Framing,
    /// Something of the request has left.
    begun: bool,
    flushed: bool,
}

/// How the body's end is told.
enum Framing {
    /// So many bytes are left of the length that was announced.
    Length(u64),
    /// By the last chunk, with these fields after it if they come.
    Chunked(Vec<HeaderName>),
}

/// What the head says of itself.
pub(super) struct Begun {
    /// It asks for another protocol.
    pub(super) upgrade: bool,
    /// Nothing was taken from its body.
    pub(super) untouched: bool,
}

impl Default for Sending {
    fn default() -> Self {
        Self {
            bytes: BytesMut::new(),
            written: 0,
            piece: Bytes::new(),
            tail: b"",
            body: None,
            framing: Framing::Length(0),
            begun: false,
            flushed: true,
        }
    }
}

impl Sending {
    /// Puts a request in place of the last one. Its body is asked for what it has at hand, which leaves with the head.
    pub(super) fn begin(
        &mut self,
        outgoing: &Outgoing,
        mut body: RequestBody,
        context: &mut Context<'_>,
    ) -> Result<Begun, Error> {
        self.bytes.clear();
        if self.bytes.capacity() > MAX_KEPT {
            self.bytes = BytesMut::new();
        }
        (self.written, self.piece, self.tail) = (0, Bytes::new(), b"");
        (self.begun, self.flushed) = (false, false);
        let exact = body.size_hint().exact();
        let first =
            if body.is_end_stream() { Poll::Ready(None) } else { Pin::new(&mut body).poll_frame(context) };
        let has_body = !matches!(first, Poll::Ready(None));
        let upgrade = self.head(outgoing, has_body, exact);
        self.body = has_body.then_some(body);
        let untouched = !matches!(first, Poll::Ready(Some(_)));
        if let Poll::Ready(Some(frame)) = first {
            self.take(Some(frame))?;
        }
        Ok(Begun { upgrade, untouched })
    }

    /// Something of it has left.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Gives back the body of a request of which nothing has left.
    pub(super) fn take_back(&mut self) -> RequestBody {
        self.body.take().unwrap_or(RequestBody::Empty)
    }

    /// All of it has left.
    pub(super) fn is_done(&self) -> bool {
        self.flushed && self.body.is_none()
    }

    /// Sends what can be sent now. Ready when all of it has left.
    pub(super) fn poll(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        loop {
            self.fill(context)?;
            if !self.is_drained() {
                ready!(self.write(stream, context))?;
                continue;
            }
            if !self.flushed {
                ready!(Pin::new(&mut *stream).poll_flush(context))?;
                self.flushed = true;
            }
            return if self.body.is_none() { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
    }

    /// The head (RFC 9112 §3 and §6.3). Whether it asks for another protocol.
    fn head(&mut self, outgoing: &Outgoing, has_body: bool, exact: Option<u64>) -> bool {
        let Outgoing { request, hop } = outgoing;
        let (upgrade, had_length) = (Cell::new(false), Cell::new(false));
        let bytes = &mut self.bytes;
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        bytes.reserve(512);
        bytes.put_slice(request.method().as_str().as_bytes());
        // A type that holds no space and no control character.
        bytes.put_slice(if target.starts_with(['/', '*']) { b" " } else { b" /" });
        bytes.put_slice(target.as_bytes());
        bytes.put_slice(b" HTTP/1.1\r\n");
        fields::write(request.headers(), bytes, |name| {
            upgrade.set(upgrade.get() || name == header::UPGRADE);
            had_length.set(had_length.get() || name == header::CONTENT_LENGTH);
            // What frames the body is said by who frames it.
            name != header::CONTENT_LENGTH && name != header::TRANSFER_ENCODING
        });
        if let Some(hop) = hop {
            hop.write(bytes);
        }
        let length = exact.filter(|_| has_body);
        match length {
            _ if !has_body => {
                let usual = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
                if usual || had_length.get() {
                    bytes.put_slice(b"content-length: 0\r\n");
                }
            }
            Some(length) => {
                let mut digits = itoa::Buffer::new();
                fields::write_one(&header::CONTENT_LENGTH, digits.format(length).as_bytes(), bytes);
            }
            None => bytes.put_slice(b"transfer-encoding: chunked\r\n"),
        }
        bytes.put_slice(b"\r\n");
        self.framing = match length {
            None if has_body => Framing::Chunked(chunked::announced(request.headers())),
            _ => Framing::Length(length.unwrap_or(0)),
        };
        upgrade.get()
    }

    /// Takes of the body what is at hand and fits behind what is to be written.
    fn fill(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
        while self.piece.is_empty()
            && self.tail.is_empty()
            && self.bytes.len() < COPIED
            && let Some(body) = &mut self.body
            && let Poll::Ready(frame) = Pin::new(body).poll_frame(context)
        {
            self.take(frame)?;
        }
        Ok(())
    }

    fn take(&mut self, frame: Polled) -> Result<(), Error> {
        let Some(frame) = frame.transpose()? else { return self.end(&HeaderMap::new()) };
        match frame.into_data() {
            Ok(data) => self.data(data),
            Err(frame) => self.end(&frame.into_trailers().unwrap_or_default()),
        }
    }

    fn data(&mut self, data: Bytes) -> Result<(), Error> {
        if data.is_empty() {
            return Ok(());
        }
        self.flushed = false;
        let small = data.len() <= COPIED;
        let mut last = self.body.as_ref().is_none_or(|body| body.is_end_stream());
        let after: &[u8] = match &mut self.framing {
            Framing::Length(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or(Error::RequestSize)?;
                last = *left == 0;
                b""
            }
            Framing::Chunked(_) => {
                chunked::write_size(data.len(), &mut self.bytes);
                if last { b"\r\n0\r\n\r\n" } else { b"\r\n" }
            }
        };
        if small {
            self.bytes.put_slice(&data);
            self.bytes.put_slice(after);
        } else {
            (self.piece, self.tail) = (data, after);
        }
        if last {
            self.body = None;
        }
        Ok(())
    }

    fn end(&mut self, trailers: &HeaderMap) -> Result<(), Error> {
        self.body = None;
        match &self.framing {
            Framing::Length(0) => {}
            Framing::Length(_) => return Err(Error::RequestSize),
            Framing::Chunked(announced) => {
                chunked::write_end(trailers, announced, &mut self.bytes);
                self.flushed = false;
            }
        }
        Ok(())
    }

    fn is_drained(&self) -> bool {
        self.bytes.is_empty() && self.piece.is_empty() && self.tail.is_empty()
    }

    fn write(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let bytes = &self.bytes[self.written..];
        let stream = Pin::new(stream);
        let written = if self.piece.is_empty() && self.tail.is_empty() {
            ready!(stream.poll_write(context, bytes))?
        } else {
            let parts = [bytes, &self.piece, self.tail].map(IoSlice::new);
            ready!(stream.poll_write_vectored(context, &parts))?
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.wrote(written);
        Poll::Ready(Ok(()))
    }

    fn wrote(&mut self, count: usize) {
        self.begun = true;
        let of_bytes = count.min(self.bytes.len() - self.written);
        self.written += of_bytes;
        if self.written == self.bytes.len() {
            self.bytes.clear();
            self.written = 0;
        }
        let of_piece = (count - of_bytes).min(self.piece.len());
        self.piece.advance(of_piece);
        self.tail = &self.tail[count - of_bytes - of_piece..];
    }
}
