//! A client's TCP stream as hyper sees it: heads arrive whole and in order, and the last answer arrives at the client.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::connection::ConnectionState;
use super::framing::{Framing, HeadLimits};
use super::linger::Linger;
use super::stand_in::stand_in;

/// A client's stream.
pub(super) struct ClientStream {
    tcp: TcpStream,
    /// Bytes that were read to tell the protocol; they are read again first.
    first: Bytes,
    /// None for HTTP/2, whose framing leaves nothing to doubt.
    watched: Option<Watched>,
    state: Arc<ConnectionState>,
    /// The watch's clock.
    tick: Arc<AtomicU64>,
}

/// The reading side of HTTP/1.
struct Watched {
    framing: Framing,
    limits: HeadLimits,
    /// What has arrived of a head that is not whole.
    held: Vec<u8>,
    /// What was held and may be read now.
    released: Bytes,
    /// The client will send nothing more.
    ended: bool,
    linger: Option<Box<Linger>>,
}

impl ClientStream {
    /// A stream of HTTP/2.
    pub(super) fn http2(
        tcp: TcpStream,
        first: Bytes,
        state: Arc<ConnectionState>,
        tick: Arc<AtomicU64>,
    ) -> Self {
        Self { tcp, first, watched: None, state, tick }
    }

    /// A stream of HTTP/1 with at most such heads.
    pub(super) fn http1(
        tcp: TcpStream,
        first: Bytes,
        state: Arc<ConnectionState>,
        tick: Arc<AtomicU64>,
        limits: HeadLimits,
    ) -> Self {
        let framing = Framing::new(limits);
        let watched =
            Watched { framing, limits, held: Vec::new(), released: Bytes::new(), ended: false, linger: None };
        Self { tcp, first, watched: Some(watched), state, tick }
    }

    /// Notes for the watch since when the client has not taken anything.
    fn note<T>(&self, written: Poll<T>) -> Poll<T> {
        let blocked = &self.state.blocked_since;
        match (written.is_pending(), blocked.load(Ordering::Relaxed)) {
            (true, 0) => blocked.store(self.tick.load(Ordering::Relaxed).max(1), Ordering::Relaxed),
            (false, 1..) => blocked.store(0, Ordering::Relaxed),
            _ => {}
        }
        written
    }

    /// The next bytes as they come.
    fn poll_any(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.first.has_remaining() {
            give(&mut self.first, buffer);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.tcp).poll_read(context, buffer)
    }
}

impl Watched {
    /// Looks at bytes that came into the buffer after `before`; what may not be read yet is taken out of it again.
    fn watch(
        &mut self,
        buffer: &mut ReadBuf<'_>,
        before: usize,
        state: &ConnectionState,
        tick: u64,
    ) -> io::Result<()> {
        let came = &buffer.filled()[before..];
        let mut broken = false;
        let pass = self.framing.feed(came, |event| broken |= state.saw(event, tick));
        if broken {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "malformed chunks"));
        }
        if pass == came.len() && self.held.is_empty() {
            return Ok(());
        }
        if self.held.is_empty() {
            self.held = came[pass..].to_vec();
            buffer.set_filled(before + pass);
        } else {
            self.held.extend_from_slice(came);
            if pass > 0 {
                let rest = self.held.split_off(self.held.len() - came.len() + pass);
                self.released = std::mem::replace(&mut self.held, rest).into();
            }
            buffer.set_filled(before);
        }
        if self.framing.is_bad_head() {
            let instead = stand_in(&self.held, self.limits.bytes);
            self.released = [&self.released, instead.as_slice()].concat().into();
            self.held = Vec::new();
        }
        Ok(())
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        loop {
            if let Some(watched) = &mut this.watched {
                if watched.released.has_remaining() {
                    give(&mut watched.released, buffer);
                    return Poll::Ready(Ok(()));
                }
                if watched.framing.is_bad_head() {
                    // The request in its place has all that there will be, and the connection ends with its answer.
                    return Poll::Pending;
                }
            }
            ready!(this.poll_any(context, buffer))?;
            let Some(watched) = &mut this.watched else { return Poll::Ready(Ok(())) };
            if buffer.filled().len() == before {
                watched.ended = true;
                return Poll::Ready(Ok(()));
            }
            watched.watch(buffer, before, &this.state, this.tick.load(Ordering::Relaxed))?;
            if buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.tcp).poll_write(context, bytes);
        this.note(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.tcp).poll_write_vectored(context, pieces);
        this.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(context)
    }

    /// The last answer has left. A client that is still sending gets the time to read it.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { tcp, watched, state, .. } = self.get_mut();
        if let Some(Watched { linger: Some(linger), .. }) = watched {
            return linger.poll(tcp, state, context).map(Ok);
        }
        ready!(Pin::new(&mut *tcp).poll_shutdown(context))?;
        let Some(watched) = watched else { return Poll::Ready(Ok(())) };
        if watched.ended || !watched.framing.is_mid_message() {
            return Poll::Ready(Ok(()));
        }
        watched.linger.insert(Box::new(Linger::begin())).poll(tcp, state, context).map(Ok)
    }
}

/// Moves what fits.
fn give(bytes: &mut Bytes, buffer: &mut ReadBuf<'_>) {
    let length = bytes.len().min(buffer.remaining());
    buffer.put_slice(&bytes.split_to(length));
}
