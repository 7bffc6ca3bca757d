//! The gateway's clock that never goes back, in nanoseconds; for limits, stamps and durations.

use std::time::Instant;

/// Counts nanoseconds since it was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// Starts at one, so that zero is before everything.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since start; at least one.
    pub fn now(self) -> u64 {
        let since = self.0.elapsed();
        // Not `as_nanos`, which has twice as many bits: calls ask for the time more than once. Good for 584 years.
        since.as_secs() * 1_000_000_000 + u64::from(since.subsec_nanos()) + 1
    }
}
