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
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX).saturating_add(1)
    }
}
