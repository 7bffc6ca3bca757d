//! What the second level did, counted, and how it is.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use sluice_contract::link::{SecondLevelHealth, SecondLevelServer, SecondLevelState};

/// Counted since start.
#[derive(Debug, Default)]
pub(in crate::cache) struct Stats {
    /// Answered, with a response or without.
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    /// Not answered within the budget.
    pub(super) late: AtomicU64,
    /// Refused, or the connection broke.
    pub(super) errors: AtomicU64,
    /// Values that could not be used.
    pub(super) damaged: AtomicU64,
    /// Values older than a purge that covers them, or than what this gateway knows of purges.
    pub(in crate::cache) outdated: AtomicU64,
    pub(super) written: AtomicU64,
    /// Values that were not written: the queue was full, or nobody was asked at the time.
    pub(super) dropped: AtomicU64,
    pub(super) refused: AtomicU64,
    /// Of answers, all together.
    pub(super) answer_us: AtomicU64,
    /// Of answers, where the newest weigh most.
    recent_us: AtomicU64,
    /// The last thing that was heard was an answer.
    pub(super) answering: AtomicBool,
    pub(super) server: Mutex<Option<SecondLevelServer>>,
}

/// Adds one.
pub(in crate::cache) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Stats {
    /// An answer took so long.
    pub(super) fn answered(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.answer_us.fetch_add(us, Ordering::Relaxed);
        let recent = |before: u64| Some(if before == 0 { us } else { (before * 15 + us) / 16 });
        let _ = self.recent_us.fetch_update(Ordering::Relaxed, Ordering::Relaxed, recent);
        self.answering.store(true, Ordering::Relaxed);
    }

    /// All but the queue, of which nothing is known here.
    pub(super) fn health(&self, breaker_open: bool) -> SecondLevelHealth {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let state = if breaker_open {
            SecondLevelState::Tripped
        } else if self.answering.load(Ordering::Relaxed) {
            SecondLevelState::Up
        } else {
            SecondLevelState::Unknown
        };
        SecondLevelHealth {
            state,
            hits: read(&self.hits),
            misses: read(&self.misses),
            late: read(&self.late),
            errors: read(&self.errors),
            damaged: read(&self.damaged),
            outdated: read(&self.outdated),
            written: read(&self.written),
            dropped: read(&self.dropped),
            refused: read(&self.refused),
            queued_bytes: 0,
            queue_max_bytes: 0,
            latency_us: read(&self.recent_us),
            server: self.server.lock().clone(),
        }
    }
}
