//! Pauses between attempts to reach the control plane: short at first, longer later, never all gateways at once.

use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(50);
/// While the control plane was heard of lately: it restarts, so be there when it is back.
const MOST_WHILE_FRESH: Duration = Duration::from_millis(1_000);
const FRESH: Duration = Duration::from_secs(300);
const MOST: Duration = Duration::from_secs(10);

/// Pauses for one thing that is tried again and again.
pub(super) struct Backoff {
    next: Duration,
    trying_since: Instant,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { next: FIRST, trying_since: Instant::now() }
    }

    /// It has worked: the next failure begins anew.
    pub(super) fn reset(&mut self) {
        *self = Self::new();
    }

    /// How long to wait now: between half and all of a growing pause.
    pub(super) fn pause(&mut self) -> Duration {
        let most = if self.trying_since.elapsed() < FRESH { MOST_WHILE_FRESH } else { MOST };
        let pause = self.next.min(most);
        self.next = (pause * 2).min(most);
        let share = getrandom::u32().unwrap_or(u32::MAX / 2);
        pause / 2 + (pause / 2).mul_f64(f64::from(share) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_second_and_differ() {
        let mut backoff = Backoff::new();
        let pauses: Vec<Duration> = (0..30).map(|_| backoff.pause()).collect();
        assert!(pauses[0] <= FIRST && pauses.iter().all(|pause| *pause <= MOST_WHILE_FRESH));
        assert!(pauses[20..].iter().all(|pause| *pause >= MOST_WHILE_FRESH / 2));
        assert!(pauses[20..].windows(2).any(|pair| pair[0] != pair[1]));
        backoff.reset();
        assert!(backoff.pause() <= FIRST);
    }
}
