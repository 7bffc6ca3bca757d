//! How long ago the control plane was heard of, across restarts, and what follows for serving.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

use super::status::LinkState;
use crate::shared::Shared;

/// Cached responses are revalidated after this long without a word: a purge may have been missed. The control plane
/// says something each second.
const STALE_AFTER: Duration = Duration::from_secs(5);
/// How often the time is written down for the next life.
const WRITE_EVERY: Duration = Duration::from_secs(5);

/// Keeps the time and tells the data path.
pub(super) struct Freshness {
    shared: Arc<Shared>,
    file: PathBuf,
    max_offline: Option<Duration>,
    removed: AtomicBool,
    times: Mutex<Times>,
}

struct Times {
    started: Instant,
    /// Age of the last word when this life began; None when it is not known.
    age_at_start: Option<Duration>,
    heard: Option<Instant>,
    written: Option<Instant>,
}

impl Freshness {
    /// `max_offline` is the gateway's own bound beside the environment's.
    pub(super) fn new(shared: Arc<Shared>, data: &Path, max_offline: Option<Duration>) -> Self {
        let file = data.join("heard");
        let times =
            Times { started: Instant::now(), age_at_start: read_age(&file), heard: None, written: None };
        let freshness =
            Self { shared, file, max_offline, removed: AtomicBool::new(false), times: Mutex::new(times) };
        freshness.update();
        freshness
    }

    /// The control plane has said something.
    pub(super) fn heard(&self) {
        let now = Instant::now();
        let due = {
            let mut times = self.times.lock();
            times.heard = Some(now);
            let due = times.written.is_none_or(|written| now - written >= WRITE_EVERY);
            if due {
                times.written = Some(now);
            }
            due
        };
        self.removed.store(false, Ordering::Relaxed);
        if due {
            self.write();
        }
        self.update();
    }

    /// The control plane has said that this gateway is none any more.
    pub(super) fn removed(&self) {
        self.removed.store(true, Ordering::Relaxed);
        self.update();
    }

    /// Says how well the link does, as the time tells. Called several times a second.
    pub(super) fn update(&self) {
        let state = self.state();
        if self.shared.link.set(state) {
            tracing::info!(state = state.name(), "the link to the control plane");
        }
    }

    fn state(&self) -> LinkState {
        let age = self.times.lock().age();
        if self.removed.load(Ordering::Relaxed) {
            LinkState::Removed
        } else if self.bound().is_some_and(|bound| age.is_none_or(|age| age > bound)) {
            LinkState::Expired
        } else if age.is_none_or(|age| age > STALE_AFTER) {
            LinkState::Stale
        } else {
            LinkState::Fresh
        }
    }

    fn bound(&self) -> Option<Duration> {
        let environment = self.shared.peek().settings.max_offline_s.map(Duration::from_secs);
        match (environment, self.max_offline) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    fn write(&self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        if let Err(error) = fs::write(&self.file, now.as_secs().to_string()) {
            tracing::warn!(%error, path = %self.file.display(), "the time of the last word cannot be written down");
        }
    }
}

impl Times {
    fn age(&self) -> Option<Duration> {
        match self.heard {
            Some(heard) => Some(heard.elapsed()),
            None => self.age_at_start.map(|age| age + self.started.elapsed()),
        }
    }
}

/// None when there is no such file, or nothing that makes sense in it.
fn read_age(file: &Path) -> Option<Duration> {
    let seconds = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    let heard = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    // A clock that was set back makes it look like the future: it was just now then.
    Some(SystemTime::now().duration_since(heard).unwrap_or_default())
}
