//! What goes to a client on one connection: bytes that are gathered, and large pieces of bodies as they are.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio::io::AsyncWrite as _;
use tokio::net::TcpStream;

use crate::buffers::Buffers;

/// Copying a piece that is no larger costs less than handing it to the kernel apart.
const TINY: usize = 1_536;
/// A larger piece is not copied, even when more is to follow it.
const SMALL: usize = 4 << 10;
/// More than this is not gathered before it is sent.
const MUCH: usize = 64 << 10;

/// The writing side.
pub(super) struct Outbox {
    /// In memory of the thread, while there is something in it.
    first: BytesMut,
    /// In a box: most answers are gathered whole, and all connections have an outbox.
    rest: Option<Box<Rest>>,
    buffers: Rc<Buffers>,
}

/// What leaves after what is gathered.
struct Rest {
    /// Not copied; never empty.
    piece: Bytes,
    behind: BytesMut,
}

impl Outbox {
    pub(super) fn new(buffers: Rc<Buffers>) -> Self {
        Self { first: BytesMut::new(), rest: None, buffers }
    }

    /// Where to write what comes next.
    pub(super) fn end(&mut self) -> &mut BytesMut {
        let small = if self.is_divided() { None } else { self.rest.take() };
        match &mut self.rest {
            Some(rest) => &mut rest.behind,
            None => {
                self.buffers.lend(&mut self.first);
                self.first.put_slice(small.as_ref().map_or(&[], |rest| &rest.piece));
                &mut self.first
            }
        }
    }

    /// Adds a piece. There is room for it: [`Self::is_full`] was asked.
    pub(super) fn push(&mut self, piece: Bytes) {
        let is_divided = self.is_divided();
        let end = self.end();
        if piece.len() <= TINY || is_divided {
            end.put_slice(&piece);
        } else {
            self.rest = Some(Box::new(Rest { piece, behind: BytesMut::new() }));
        }
    }

    /// Nothing more should be added before what is there has left.
    pub(super) fn is_full(&self) -> bool {
        self.is_divided() || self.first.len() > MUCH
    }

    /// What comes next stands behind a large piece, or what is left of one.
    fn is_divided(&self) -> bool {
        self.rest.as_ref().is_some_and(|rest| rest.piece.len() > SMALL || !rest.behind.is_empty())
    }

    pub(super) fn len(&self) -> usize {
        let rest = self.rest.as_ref().map_or(0, |rest| rest.piece.len() + rest.behind.len());
        self.first.len() + rest
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.rest.is_none()
    }

    /// Sends all of it.
    pub(super) fn poll_flush(
        &mut self,
        tcp: &mut TcpStream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let tcp = Pin::new(&mut *tcp);
            let written = match self.pieces() {
                None => ready!(tcp.poll_write(context, &self.first))?,
                Some(pieces) => ready!(tcp.poll_write_vectored(context, &pieces))?,
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Sends what the client takes at once. Whether that was all.
    pub(super) fn try_flush(&mut self, tcp: &TcpStream) -> bool {
        if !self.is_empty() {
            let written = match self.pieces() {
                None => tcp.try_write(&self.first),
                Some(pieces) => tcp.try_write_vectored(&pieces),
            };
            self.advance(written.unwrap_or_default());
        }
        self.is_empty()
    }

    /// None: all of it is gathered.
    fn pieces(&self) -> Option<[IoSlice<'_>; 3]> {
        let rest = self.rest.as_ref()?;
        Some([IoSlice::new(&self.first), IoSlice::new(&rest.piece), IoSlice::new(&rest.behind)])
    }

    fn advance(&mut self, written: usize) {
        let of_first = written.min(self.first.len());
        self.first.advance(of_first);
        if self.first.is_empty() {
            self.buffers.take_back(&mut self.first);
        }
        let Some(rest) = &mut self.rest else { return };
        let of_piece = (written - of_first).min(rest.piece.len());
        rest.piece.advance(of_piece);
        if rest.piece.is_empty() {
            rest.behind.advance(written - of_first - of_piece);
            if !rest.behind.is_empty() {
                self.first = std::mem::take(&mut rest.behind);
            }
            // Whose bytes the piece was may let go of them.
            self.rest = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What has not left, in order.
    fn rest(outbox: &Outbox) -> Vec<u8> {
        let (piece, behind) =
            outbox.rest.as_ref().map_or((&b""[..], &b""[..]), |rest| (&rest.piece, &rest.behind));
        [&outbox.first, piece, behind].concat()
    }

    #[test]
    fn a_piece_that_has_left_is_let_go_of() {
        for length in [TINY, TINY + 1, SMALL + 1] {
            let (mut outbox, piece) = (Outbox::new(Rc::default()), Bytes::from(vec![b'x'; length]));
            outbox.push(piece.clone());
            outbox.advance(length - 1);
            outbox.advance(1);
            assert!(outbox.is_empty() && piece.is_unique(), "{length}");
        }
    }

    #[test]
    fn what_has_left_leaves_its_memory_to_the_next_connection() {
        let buffers = Rc::<Buffers>::default();
        let [mut one, mut other] = [(); 2].map(|()| Outbox::new(Rc::clone(&buffers)));
        let place = |outbox: &mut Outbox| {
            outbox.end().put_slice(b"head");
            outbox.first.as_ptr()
        };
        let first = place(&mut one);
        one.advance(3);
        assert_ne!(place(&mut other), first, "something is left in it");
        one.push(Bytes::from(vec![b'x'; TINY + 1]));
        one.advance(one.len());
        assert_eq!((one.first.capacity(), one.rest.is_none()), (0, true));
        assert_eq!(place(&mut one), first);
    }

    proptest! {
        #[test]
        fn pieces_leave_in_order_however_much_a_write_takes(
            steps in proptest::collection::vec((0_usize..10_000, any::<bool>(), 0_usize..9_000), 1..20),
        ) {
            let (mut outbox, mut expected, mut letter) = (Outbox::new(Rc::default()), Vec::new(), 0_u8);
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
