//! The memory of bodies that are on their way into the store. Each is bounded by its policy; here all are together, so that many
//! large ones at once take no more memory than the gateway may have for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sluice_contract::link::CacheArriving;

/// What all of them take.
#[derive(Debug)]
pub(super) struct Arrivals {
    bytes: AtomicU64,
    max_bytes: u64,
    crowded_out: AtomicU64,
}

/// What one of them takes; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Room {
    arrivals: Arc<Arrivals>,
    bytes: u64,
}

impl Arrivals {
    /// Together they take so many bytes at most.
    pub(super) fn new(max_bytes: u64) -> Arc<Self> {
        Arc::new(Self { bytes: AtomicU64::new(0), max_bytes, crowded_out: AtomicU64::new(0) })
    }

    /// Room for a body of at least so many bytes, if there is.
    pub(super) fn reserve(self: &Arc<Self>, bytes: u64) -> Option<Room> {
        self.take(bytes).then(|| Room { arrivals: Arc::clone(self), bytes })
    }

    pub(super) fn health(&self) -> CacheArriving {
        CacheArriving {
            bytes: self.bytes.load(Ordering::Relaxed),
            max_bytes: self.max_bytes,
            crowded_out: self.crowded_out.load(Ordering::Relaxed),
        }
    }

    fn take(&self, bytes: u64) -> bool {
        let with = |now: u64| now.checked_add(bytes).filter(|sum| *sum <= self.max_bytes);
        let taken = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, with).is_ok();
        self.crowded_out.fetch_add(u64::from(!taken), Ordering::Relaxed);
        taken
    }
}

impl Room {
    /// Takes more where it is less than so many bytes. False: there is no more.
    pub(super) fn holds(&mut self, bytes: u64) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let taken = more == 0 || self.arrivals.take(more);
        self.bytes += if taken { more } else { 0 };
        taken
    }

    /// Gives back what is more than so many bytes.
    pub(super) fn shrink_to(&mut self, bytes: u64) {
        let spare = self.bytes.saturating_sub(bytes);
        self.arrivals.bytes.fetch_sub(spare, Ordering::Relaxed);
        self.bytes -= spare;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_room_together_and_give_it_back() {
        let arrivals = Arrivals::new(100);
        let told = || {
            let CacheArriving { bytes, max_bytes: _, crowded_out } = arrivals.health();
            (bytes, crowded_out)
        };
        let mut one = arrivals.reserve(60).unwrap();
        let mut two = arrivals.reserve(0).unwrap();
        assert!(arrivals.reserve(41).is_none());
        assert_eq!(told(), (60, 1));
        assert!(two.holds(40) && two.holds(10), "it has as much already");
        assert!(!two.holds(41), "it keeps what it has");
        assert_eq!(told(), (100, 2));
        one.shrink_to(20);
        one.shrink_to(30);
        assert_eq!(told(), (60, 2));
        assert!(two.holds(80));
        drop((one, two));
        assert_eq!(told(), (0, 2));
        assert!(arrivals.reserve(u64::MAX).is_none());
    }
}
