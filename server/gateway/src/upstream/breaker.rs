//! Leaves a target that fails alone for a while, so that it can recover and callers need not wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use sluice_contract::definition::Breaker as Definition;

/// Decides whether a target is called. Times are nanoseconds of the gateway's clock.
#[derive(Debug)]
pub struct Breaker {
    record: Arc<Record>,
    /// So many failures in a row open it.
    failures: u32,
    /// Nanoseconds for which it is open.
    open_for: u64,
}

/// How a target has answered lately, kept over versions of the configuration.
#[derive(Debug, Default)]
pub struct Record {
    /// Failures since the last success.
    failures: AtomicU32,
    /// When the next call may try; 0: the breaker is closed.
    open_until: AtomicU64,
}

impl Breaker {
    pub fn new(definition: Definition, record: Arc<Record>) -> Self {
        let open_for = Duration::from_secs(definition.open_s.into()).as_nanos() as u64;
        Self { record, failures: definition.failures, open_for }
    }

    /// How long the target is not to be called. When its time is over one call may try; for the others it lasts as long
    /// again, so that nothing is lost with a call that never ends.
    pub fn is_open(&self, now: u64) -> Option<Duration> {
        let until = self.record.open_until.load(Relaxed);
        if until == 0 {
            return None;
        }
        let left = until.saturating_sub(now);
        let may_try = left == 0
            && self.record.open_until.compare_exchange(until, now + self.open_for, Relaxed, Relaxed).is_ok();
        (!may_try).then(|| Duration::from_nanos(left))
    }

    /// The target has answered.
    pub fn succeeded(&self) -> bool {
        // Most of the time there is nothing to forget, and nothing is written.
        if self.record.failures.load(Relaxed) > 0 {
            self.record.failures.store(0, Relaxed);
        }
        self.record.open_until.load(Relaxed) != 0 && self.record.open_until.swap(0, Relaxed) != 0
    }

    /// The target has failed. True when this failure opened the breaker.
    pub fn failed(&self, now: u64) -> bool {
        let failures = self.record.failures.fetch_add(1, Relaxed).saturating_add(1);
        failures >= self.failures && self.record.open_until.swap(now + self.open_for, Relaxed) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn breaker() -> Breaker {
        Breaker::new(Definition { failures: 3, open_s: 10 }, Arc::default())
    }

    fn opened_at(now: u64) -> Breaker {
        let breaker = breaker();
        let opened = [now; 3].map(|now| breaker.failed(now));
        assert_eq!(opened, [false, false, true], "it opens once");
        breaker
    }

    #[test]
    fn only_failures_in_a_row_open_it() {
        let breaker = breaker();
        for _ in 0..10 {
            breaker.failed(SECOND);
            breaker.failed(SECOND);
            assert!(!breaker.succeeded(), "it was closed");
        }
        assert_eq!(breaker.is_open(SECOND), None);
    }

    #[test]
    fn one_call_tries_when_its_time_is_over() {
        let breaker = opened_at(SECOND);
        assert_eq!(breaker.is_open(5 * SECOND), Some(Duration::from_secs(6)));
        assert_eq!(breaker.is_open(11 * SECOND), None, "this one tries");
        assert!(breaker.is_open(11 * SECOND).is_some(), "the next one does not");
        assert!(breaker.is_open(20 * SECOND).is_some());
        assert_eq!(breaker.is_open(21 * SECOND), None, "a call that tried and never ended is not waited for");
    }

    #[test]
    fn a_success_closes_it_and_a_failure_of_the_one_that_tries_does_not() {
        let breaker = opened_at(SECOND);
        assert_eq!(breaker.is_open(11 * SECOND), None);
        assert!(!breaker.failed(12 * SECOND), "it was open");
        assert_eq!(breaker.is_open(12 * SECOND), Some(Duration::from_secs(10)));
        assert_eq!(breaker.is_open(22 * SECOND), None);
        assert!(breaker.succeeded());
        assert_eq!(breaker.is_open(22 * SECOND), None);
        assert!(!breaker.failed(22 * SECOND), "it counts from the beginning");
    }

    #[test]
    fn what_was_counted_outlives_a_version() {
        let record = Arc::<Record>::default();
        let definition = Definition { failures: 1, open_s: 1 };
        assert!(Breaker::new(definition, Arc::clone(&record)).failed(SECOND));
        assert!(Breaker::new(definition, record).is_open(SECOND).is_some());
    }
}
