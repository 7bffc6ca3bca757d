//! What goes to a client on one connection: bytes that are gathered, and large pieces of bodies as they are.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio::io::AsyncWrite as _;
use tokio::net::TcpStream;

/// Copying a piece that is no larger costs less than handing it to the kernel apart.
const TINY: usize = 256;
/// A larger piece is not copied, even when more is to follow it.
const SMALL: usize = 4 << 10;
/// More than this is not gathered before it is sent.
const MUCH: usize = 64 << 10;
/// Memory that an idle connection keeps.
const KEPT: usize = 4 << 10;

/// The writing side: three pieces, of which the middle one is not copied.
#[derive(Default)]
pub(super) struct Outbox {
    first: BytesMut,
    middle: Bytes,
    last: BytesMut,
}

impl Outbox {
    /// Where to write what comes next.
    pub(super) fn end(&mut self) -> &mut BytesMut {
        if self.is_divided() {
            return &mut self.last;
        }
        self.first.put_slice(&std::mem::take(&mut self.middle));
        &mut self.first
    }

    /// Adds a piece. There is room for it: [`Self::is_full`] was asked.
    pub(super) fn push(&mut self, piece: Bytes) {
        let is_divided = self.is_divided();
        let end = self.end();
        if piece.len() <= TINY || is_divided {
            end.put_slice(&piece);
        } else {
            self.middle = piece;
        }
    }

    /// Nothing more should be added before what is there has left.
    pub(super) fn is_full(&self) -> bool {
        self.is_divided() || self.first.len() > MUCH
    }

    /// What comes next stands behind a large piece, or what is left of one.
    fn is_divided(&self) -> bool {
        self.middle.len() > SMALL || !self.last.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.first.len() + self.middle.len() + self.last.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.middle.is_empty() && self.last.is_empty()
    }

    /// Sends all of it.
    pub(super) fn poll_flush(
        &mut self,
        tcp: &mut TcpStream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let written = if self.middle.is_empty() {
                ready!(Pin::new(&mut *tcp).poll_write(context, &self.first))?
            } else {
                ready!(Pin::new(&mut *tcp).poll_write_vectored(context, &self.pieces()))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        self.shrink();
        Poll::Ready(Ok(()))
    }

    /// Sends what the client takes at once. Whether that was all.
    pub(super) fn try_flush(&mut self, tcp: &TcpStream) -> bool {
        if !self.is_empty() {
            let written = if self.middle.is_empty() {
                tcp.try_write(&self.first)
            } else {
                tcp.try_write_vectored(&self.pieces())
            };
            self.advance(written.unwrap_or_default());
            self.shrink();
        }
        self.is_empty()
    }

    fn pieces(&self) -> [IoSlice<'_>; 3] {
        [IoSlice::new(&self.first), IoSlice::new(&self.middle), IoSlice::new(&self.last)]
    }

    fn shrink(&mut self) {
        if self.first.is_empty() && self.first.capacity() > KEPT {
            self.first = BytesMut::new();
        }
    }

    fn advance(&mut self, written: usize) {
        let of_first = written.min(self.first.len());
        self.first.advance(of_first);
        let of_middle = (written - of_first).min(self.middle.len());
        self.middle.advance(of_middle);
        if self.middle.is_empty() {
            // Whose bytes they were may let go of them.
            self.middle = Bytes::new();
            if !self.last.is_empty() {
                self.last.advance(written - of_first - of_middle);
                self.first = std::mem::take(&mut self.last);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What has not left, in order.
    fn rest(outbox: &Outbox) -> Vec<u8> {
        [&outbox.first[..], &outbox.middle, &outbox.last].concat()
    }

    #[test]
    fn a_piece_that_has_left_is_let_go_of() {
        for length in [TINY, TINY + 1, SMALL + 1] {
            let (mut outbox, piece) = (Outbox::default(), Bytes::from(vec![b'x'; length]));
            outbox.push(piece.clone());
            outbox.advance(length - 1);
            outbox.advance(1);
            assert!(outbox.is_empty() && piece.is_unique(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn pieces_leave_in_order_however_much_a_write_takes(
            steps in proptest::collection::vec((0_usize..10_000, any::<bool>(), 0_usize..9_000), 1..20),
        ) {
            let (mut outbox, mut expected, mut letter) = (Outbox::default(), Vec::new(), 0_u8);
            for (length, as_bytes, write) in steps {
                letter += 1;
                let piece = vec![letter; length];
                expected.extend_from_slice(&piece);
                if as_bytes { outbox.push(piece.into()) } else { outbox.end().put_slice(&piece) }
                prop_assert_eq!(&rest(&outbox), &expected);
                let write = write.min(expected.len());
                outbox.advance(write);
                expected.drain(..write);
                prop_assert_eq!(&rest(&outbox), &expected);
                prop_assert_eq!((outbox.len(), outbox.is_empty()), (expected.len(), expected.is_empty()));
            }
        }
    }
}
