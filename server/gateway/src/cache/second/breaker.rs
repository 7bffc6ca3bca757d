//! Keeps calls from waiting for a second level that does not answer in time.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// What one failure weighs against one success, and the weight at which nobody is asked any more: five failures in a row,
/// or every second one for a while.
const FAILURE: u32 = 2;
const FULL: u32 = 10;

/// Open: nobody asks, and the worker looks now and then whether it may close.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    weight: AtomicU32,
    open: AtomicBool,
    /// Touched where it opens and closes only.
    times: Mutex<Times>,
}

/// Since when it is open, and how long it was before.
#[derive(Debug, Default)]
struct Times {
    since: Option<Instant>,
    before: Duration,
}

impl Breaker {
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// True when this failure opened it.
    pub(super) fn failed(&self, now: Instant) -> bool {
        let weight = self.weight.fetch_add(FAILURE, Ordering::Relaxed).saturating_add(FAILURE);
        let opens = weight >= FULL && !self.open.swap(true, Ordering::Relaxed);
        if opens {
            self.times.lock().since = Some(now);
        }
        opens
    }

    pub(super) fn succeeded(&self) {
        // Most of the time there is nothing to forget, and nothing is written.
        if self.weight.load(Ordering::Relaxed) > 0 {
            let less = |weight: u32| weight.checked_sub(1);
            let _ = self.weight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }

    /// It answers again.
    pub(super) fn close(&self, now: Instant) {
        self.weight.store(0, Ordering::Relaxed);
        self.open.store(false, Ordering::Relaxed);
        let mut times = self.times.lock();
        if let Some(since) = times.since.take() {
            times.before += now.saturating_duration_since(since);
        }
    }

    /// How long it was open, in all its life.
    pub(super) fn open_for(&self, now: Instant) -> Duration {
        let times = self.times.lock();
        times.before + times.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_open_it_unless_successes_outweigh_them() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        assert!((0..4).all(|_| !breaker.failed(now)));
        assert!(breaker.failed(now) && breaker.is_open());
        assert!(!breaker.failed(now), "it opens once");
        breaker.close(now);
        assert!(!breaker.is_open());
        for _ in 0..100 {
            breaker.failed(now);
            breaker.succeeded();
            breaker.succeeded();
        }
        assert!(!breaker.is_open(), "one failure in three");
        for _ in 0..10 {
            breaker.failed(now);
            breaker.succeeded();
        }
        assert!(breaker.is_open(), "every second one");
    }

    #[test]
    fn how_long_it_was_open_is_added_up() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        let seconds = Duration::from_secs;
        let at = |second| start + seconds(second);
        assert_eq!(breaker.open_for(at(60)), Duration::ZERO);
        (0..5).for_each(|_| _ = breaker.failed(at(60)));
        assert_eq!(breaker.open_for(at(61)), seconds(1), "while it is open");
        breaker.failed(at(61));
        breaker.close(at(62));
        assert_eq!(breaker.open_for(at(90)), seconds(2), "not after it");
        breaker.close(at(90));
        (0..5).for_each(|_| _ = breaker.failed(at(100)));
        breaker.close(at(101));
        assert_eq!(breaker.open_for(at(120)), seconds(3));
    }
}
