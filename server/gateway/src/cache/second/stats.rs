//! What the second level did, counted, and how it is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sluice_contract::link::{SecondLevelHealth, SecondLevelKind, SecondLevelNode};

use super::nodes::{Node, Nodes};

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
    /// Values that no server takes.
    pub(super) too_large: AtomicU64,
    /// Bytes of the bodies that came back.
    pub(super) hit_bytes: AtomicU64,
    /// Of answers, all together.
    pub(super) answer_us: AtomicU64,
    /// Of answers, where the newest weigh most.
    recent_us: AtomicU64,
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
    }

    /// A body of so many bytes came back.
    pub(super) fn hit(&self, bytes: usize) {
        count(&self.hits);
        self.hit_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// All but the queue, of which nothing is known here.
    pub(super) fn health(&self, kind: SecondLevelKind, nodes: &Nodes) -> SecondLevelHealth {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let named = |node: &Node| SecondLevelNode { name: node.name.clone(), state: node.state() };
        let named = match kind {
            // However many there are, they are one here.
            SecondLevelKind::Redis | SecondLevelKind::Disk => Vec::new(),
            SecondLevelKind::Memcached => nodes.iter().map(named).collect(),
        };
        SecondLevelHealth {
            kind,
            state: nodes.state(),
            hits: read(&self.hits),
            misses: read(&self.misses),
            late: read(&self.late),
            errors: read(&self.errors),
            damaged: read(&self.damaged),
            outdated: read(&self.outdated),
            written: read(&self.written),
            dropped: read(&self.dropped),
            refused: read(&self.refused),
            too_large: read(&self.too_large),
            hit_bytes: read(&self.hit_bytes),
            queued_bytes: 0,
            queue_max_bytes: 0,
            latency_us: read(&self.recent_us),
            answer_us: read(&self.answer_us),
            tripped_ms: u64::try_from(nodes.tripped_for(Instant::now()).as_millis()).unwrap_or(u64::MAX),
            server: nodes.figures(),
            disk: nodes.disk(),
            nodes: named,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_answers_take_is_added_up_and_of_the_latest_a_sixteenth_counts() {
        let stats = Stats::default();
        stats.answered(Duration::from_micros(1_600));
        let told = || (stats.answer_us.load(Ordering::Relaxed), stats.recent_us.load(Ordering::Relaxed));
        assert_eq!(told(), (1_600, 1_600));
        stats.answered(Duration::from_micros(3_200));
        assert_eq!(told(), (4_800, 1_700));
    }
}
