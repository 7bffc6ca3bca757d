//! Memory that connections read into and write to, lent to each while there is something in it: what the last one touched,
//! the next one finds in the processor's caches, and one that is idle has none.

use std::cell::RefCell;

use bytes::BytesMut;

/// Bytes in a buffer: most heads fit, and small answers.
pub(crate) const ROOM: usize = 2 << 10;
/// Buffers that are kept while nobody needs them.
const MOST: usize = 64;

/// The buffers of one thread.
#[derive(Default)]
pub(crate) struct Buffers(RefCell<Vec<BytesMut>>);

impl Buffers {
    /// Has a buffer for whoever has none.
    pub(crate) fn lend(&self, buffer: &mut BytesMut) {
        if buffer.capacity() == 0 {
            *buffer = self.0.borrow_mut().pop().unwrap_or_else(|| BytesMut::with_capacity(ROOM));
        }
    }

    /// Takes one that is empty, unless others hold so much of what was in it that there is no room for the next head.
    pub(crate) fn take_back(&self, buffer: &mut BytesMut) {
        if !buffer.is_empty() || !buffer.try_reclaim(ROOM) {
            return;
        }
        let buffer = std::mem::take(buffer);
        let mut buffers = self.0.borrow_mut();
        // A body takes more at a time than the next head does.
        if buffer.capacity() < 2 * ROOM && buffers.len() < MOST {
            buffers.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_goes_from_one_to_the_next_when_nobody_holds_what_was_in_it() {
        let buffers = Buffers::default();
        let mut one = BytesMut::new();
        buffers.lend(&mut one);
        one.extend_from_slice(b"head");
        let place = one.as_ptr();
        buffers.take_back(&mut one);
        assert_eq!(&one[..], b"head", "there is something in it");
        let head = one.split().freeze();
        buffers.take_back(&mut one);
        assert_ne!(one.capacity(), 0, "somebody has the head");
        drop(head);
        buffers.take_back(&mut one);
        let mut other = BytesMut::new();
        buffers.lend(&mut other);
        assert_eq!((one.capacity(), other.as_ptr(), other.capacity()), (0, place, ROOM));
    }

    #[test]
    fn neither_many_nor_large_buffers_are_kept() {
        let buffers = Buffers::default();
        buffers.take_back(&mut BytesMut::with_capacity(16 * ROOM));
        assert_eq!(buffers.0.borrow().len(), 0);
        (0..100).for_each(|_| buffers.take_back(&mut BytesMut::with_capacity(ROOM)));
        assert_eq!(buffers.0.borrow().len(), MOST);
    }
}
