//! Reading on after the last answer (RFC 9112 §9.6). Closing with bytes unread makes the kernel reset the connection, and the
//! reset can overtake the answer: the client would see a broken pipe instead of, say, 413.

use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::connection::ConnectionState;

/// A client that is silent for so long has sent what it had.
const SILENCE: Duration = Duration::from_secs(2);
/// The longest that anybody is read for.
const LONGEST: Duration = Duration::from_secs(10);
/// Bytes that are read at most.
const MOST: usize = 32 << 20;
/// Bytes of one read.
const PIECE: usize = 32 << 10;
/// Time between two reads. What is thrown away need not be fast, and a client that has to wait with its writing gets to
/// reading the answer.
const PAUSE: Duration = Duration::from_millis(4);

/// Reads and forgets, for a bounded time and number of bytes.
pub(super) struct Linger {
    ends: Instant,
    silent: Instant,
    left: usize,
    /// Until the next read, or until the client has been silent for long enough.
    timer: Pin<Box<Sleep>>,
    pausing: bool,
}

impl Linger {
    pub(super) fn begin() -> Self {
        let now = Instant::now();
        let timer = Box::pin(tokio::time::sleep_until(now));
        Self { ends: now + LONGEST, silent: now + SILENCE, left: MOST, timer, pausing: false }
    }

    /// Ready when the connection may be closed.
    pub(super) fn poll(
        &mut self,
        tcp: &mut TcpStream,
        state: &ConnectionState,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            if state.stopping.get() || Instant::now() >= self.ends || self.left == 0 {
                return Poll::Ready(());
            }
            if self.pausing {
                std::task::ready!(self.timer.as_mut().poll(context));
                self.pausing = false;
            }
            let mut piece = [MaybeUninit::uninit(); PIECE];
            let mut piece = ReadBuf::uninit(&mut piece);
            match Pin::new(&mut *tcp).poll_read(context, &mut piece) {
                Poll::Ready(Ok(())) if !piece.filled().is_empty() => {
                    self.left = self.left.saturating_sub(piece.filled().len());
                    self.silent = Instant::now() + SILENCE;
                    self.timer.as_mut().reset(Instant::now() + PAUSE);
                    self.pausing = true;
                }
                // The client has closed, or the connection is gone.
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {
                    self.timer.as_mut().reset(self.silent.min(self.ends));
                    return self.timer.as_mut().poll(context);
                }
            }
        }
    }
}
