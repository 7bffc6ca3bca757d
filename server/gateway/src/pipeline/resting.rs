//! What a target's breaker is told of its calls, and what callers are told of it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http::StatusCode;

use super::Call;
use super::failure::{Failure, Kind};
use crate::compile::Target;
use crate::upstream::ConnectError;

/// No target takes the call; in this time one may be tried.
pub(super) fn failure(left: Duration) -> Box<Failure> {
    Kind::Resting.because("").retry_after(seconds_to_wait(left))
}

/// A second begun is one to wait: who comes back too early is told so again.
fn seconds_to_wait(left: Duration) -> u64 {
    left.as_secs() + 1
}

impl Target {
    pub(super) fn is_left_alone(&self, call: &Call) -> Option<Duration> {
        self.breaker.as_ref()?.is_open(call.worker.shared.clock.now())
    }

    pub(super) fn answered(&self, call: &Call, status: StatusCode) {
        let Some(breaker) = &self.breaker else { return };
        if matches!(
            status,
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
        ) {
            self.failed(call);
        } else if breaker.succeeded() {
            tracing::info!(target: "sluice::upstream", url = %self.url, "answers again");
        }
    }

    /// Not for an address that may not be called: that does not pass with time.
    pub(super) fn failed_to_connect(&self, call: &Call, error: &ConnectError) {
        if !matches!(error, ConnectError::Forbidden(_)) {
            self.failed(call);
        }
    }

    pub(super) fn failed(&self, call: &Call) {
        if let Some(breaker) = &self.breaker
            && breaker.failed(call.worker.shared.clock.now())
        {
            call.worker.shared.stats.rested.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(target: "sluice::upstream", url = %self.url, "fails, and is left alone for a while");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_to_come_back_too_early() {
        assert_eq!([10, 1_500].map(|left| seconds_to_wait(Duration::from_millis(left))), [1, 2]);
    }
}
