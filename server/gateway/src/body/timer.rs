//! A timeout between two pieces, armed only while somebody waits, so that bodies that flow cost nothing.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// Runs out when nothing happens for a while, or at a point in time.
pub(super) struct IdleTimer {
    idle: Duration,
    deadline: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
    armed: bool,
}

impl IdleTimer {
    pub(super) fn new(idle: Duration, deadline: Option<Instant>) -> Self {
        Self { idle, deadline, sleep: None, armed: false }
    }

    /// Something happened. False when the end of all patience has passed.
    pub(super) fn disarm(&mut self) -> bool {
        self.armed = false;
        self.deadline.is_none_or(|deadline| Instant::now() < deadline)
    }

    /// Nothing happened: ready when it has been so for too long.
    pub(super) fn poll_waiting(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.armed {
            let idle = Instant::now() + self.idle;
            let until = self.deadline.map_or(idle, |deadline| deadline.min(idle));
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(until),
                None => self.sleep = Some(Box::pin(tokio::time::sleep_until(until))),
            }
            self.armed = true;
        }
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().poll(context),
            None => Poll::Pending,
        }
    }
}
