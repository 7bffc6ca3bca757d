//! What the data path must know about the link: whether it may still serve, and whether the cache may still be trusted.

use std::sync::atomic::{AtomicU8, Ordering};

/// State of the link, shared with every thread that serves. Reading it is one relaxed load.
#[derive(Debug, Default)]
pub struct LinkStatus {
    state: AtomicU8,
}

/// How well the link does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum LinkState {
    /// Heard of the control plane within the last seconds, or there is none to hear of (tests).
    #[default]
    Fresh = 0,
    /// Not heard of it for some seconds: a purge may have been missed, so cached responses are revalidated.
    Stale = 1,
    /// Not heard of it for longer than the environment allows: revocations may have been missed, so nothing is served.
    Expired = 2,
    /// The control plane has removed this gateway: nothing is served.
    Removed = 3,
}

impl LinkStatus {
    /// How well the link does.
    pub fn get(&self) -> LinkState {
        match self.state.load(Ordering::Relaxed) {
            0 => LinkState::Fresh,
            1 => LinkState::Stale,
            2 => LinkState::Expired,
            _ => LinkState::Removed,
        }
    }

    /// Whether calls may be served at all.
    pub fn may_serve(&self) -> bool {
        self.get() < LinkState::Expired
    }

    /// Whether cached responses must be revalidated before they are served.
    pub fn is_stale(&self) -> bool {
        self.get() >= LinkState::Stale
    }

    /// Changes it; true when it was something else before.
    pub(crate) fn set(&self, state: LinkState) -> bool {
        self.state.swap(state as u8, Ordering::Relaxed) != state as u8
    }
}

impl LinkState {
    /// For people and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Expired => "expired",
            Self::Removed => "removed",
        }
    }
}
