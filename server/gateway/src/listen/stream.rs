//! A client's TCP stream with the framing watcher on its reading side.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::connection::ConnectionState;
use super::framing::Framing;

/// A client's stream. Bytes that were read to tell the protocol are read again first.
pub(super) struct ClientStream {
    pub(super) tcp: TcpStream,
    pub(super) prefix: Bytes,
    /// None for HTTP/2, whose framing leaves nothing to doubt.
    pub(super) framing: Option<Framing>,
    pub(super) state: Arc<ConnectionState>,
    /// The watch's clock.
    pub(super) tick: Arc<AtomicU64>,
}

impl ClientStream {
    fn watch(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(framing) = &mut self.framing else { return Ok(()) };
        let tick = self.tick.load(Ordering::Relaxed);
        let mut broken = false;
        framing.feed(bytes, |event| broken |= self.state.saw(event, tick));
        if broken { Err(io::Error::new(io::ErrorKind::InvalidData, "malformed chunks")) } else { Ok(()) }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.prefix.has_remaining() {
            let length = this.prefix.len().min(buffer.remaining());
            let first = this.prefix.split_to(length);
            buffer.put_slice(&first);
            return Poll::Ready(this.watch(&first));
        }
        let before = buffer.filled().len();
        match Pin::new(&mut this.tcp).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => Poll::Ready(this.watch(&buffer.filled()[before..])),
            other => other,
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tcp).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tcp).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(context)
    }
}
