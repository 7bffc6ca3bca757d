//! Keeps calls from waiting for a second level that does not answer in time.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// What one failure weighs against one success, and the weight at which nobody is asked any more: five failures in a row,
/// or every second one for a while.
const FAILURE: u32 = 2;
const FULL: u32 = 10;

/// Open: nobody asks, and the worker looks now and then whether it may close.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    weight: AtomicU32,
    open: AtomicBool,
}

impl Breaker {
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// True when this failure opened it.
    pub(super) fn failed(&self) -> bool {
        let weight = self.weight.fetch_add(FAILURE, Ordering::Relaxed).saturating_add(FAILURE);
        weight >= FULL && !self.open.swap(true, Ordering::Relaxed)
    }

    pub(super) fn succeeded(&self) {
        // Most of the time there is nothing to forget, and nothing is written.
        if self.weight.load(Ordering::Relaxed) > 0 {
            let less = |weight: u32| weight.checked_sub(1);
            let _ = self.weight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }

    /// It answers again.
    pub(super) fn close(&self) {
        self.weight.store(0, Ordering::Relaxed);
        self.open.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_open_it_unless_successes_outweigh_them() {
        let breaker = Breaker::default();
        assert!((0..4).all(|_| !breaker.failed()));
        assert!(breaker.failed() && breaker.is_open());
        assert!(!breaker.failed(), "it opens once");
        breaker.close();
        assert!(!breaker.is_open());
        for _ in 0..100 {
            breaker.failed();
            breaker.succeeded();
            breaker.succeeded();
        }
        assert!(!breaker.is_open(), "one failure in three");
        for _ in 0..10 {
            breaker.failed();
            breaker.succeeded();
        }
        assert!(breaker.is_open(), "every second one");
    }
}
