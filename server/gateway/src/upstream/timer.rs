//! A timeout for one wait after the other.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep};

/// Stays armed from wait to wait, and looks only when it runs out whether its time has become later since. To arm it anew
/// for each wait, nearly all of which end long before, would cost more than the rest of the wait.
#[derive(Default)]
pub(super) struct LazyTimer(Option<Pin<Box<Sleep>>>);

impl LazyTimer {
    /// Ready from this time on.
    pub(super) fn poll_until(&mut self, until: Instant, context: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if sleep.deadline() > until {
            sleep.as_mut().reset(until);
        }
        while sleep.as_mut().poll(context).is_ready() {
            if Instant::now() >= until {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(until);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn each_wait_ends_at_its_own_time_whatever_was_waited_for_before() {
        let mut timer = LazyTimer::default();
        let hour = Duration::from_secs(3_600);
        for (abandoned, length) in
            [(hour, 10), (Duration::ZERO, 20), (Duration::from_millis(2), 20), (hour, 1)]
        {
            let waits = Instant::now() + abandoned;
            let _ = std::future::poll_fn(|context| Poll::Ready(timer.poll_until(waits, context))).await;
            let until = Instant::now() + Duration::from_millis(length);
            let wait = std::future::poll_fn(|context| timer.poll_until(until, context));
            tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap();
            assert!(Instant::now() >= until);
        }
    }
}
