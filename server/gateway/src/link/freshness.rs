//! How long ago the control plane was heard of, across restarts, and what follows for serving.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

use crate::shared::Shared;

/// Cached responses are revalidated after this long without a word, and until the first one of this life: a purge may have been
/// missed. The control plane says something each second.
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
    told: Mutex<State>,
}

/// How well the link does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fresh,
    /// Not heard of for some seconds, or in this life: a purge may have been missed, so cached responses are revalidated.
    Stale,
    /// Not heard of for longer than is allowed: revocations may have been missed, so nothing is served.
    Expired,
    /// The control plane has removed this gateway: nothing is served.
    Removed,
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
        let freshness = Self {
            shared,
            file,
            max_offline,
            removed: AtomicBool::new(false),
            times: Mutex::new(times),
            told: Mutex::new(State::Stale),
        };
        freshness.update();
        freshness
    }

    /// The control plane has said something, and all that it had said before is true here.
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
        let switches = &self.shared.switches;
        switches.link_stale.store(state != State::Fresh, Ordering::Relaxed);
        switches.refuse_all.store(matches!(state, State::Expired | State::Removed), Ordering::Relaxed);
        let before = std::mem::replace(&mut *self.told.lock(), state);
        if before != state {
            tracing::info!(?state, ?before, "the link to the control plane");
        }
    }

    fn state(&self) -> State {
        let (age, silence) = {
            let times = self.times.lock();
            (times.age(), times.silence())
        };
        if self.removed.load(Ordering::Relaxed) {
            State::Removed
        } else if self.bound().is_some_and(|bound| age.is_none_or(|age| age > bound)) {
            State::Expired
        } else if silence.is_none_or(|silence| silence > STALE_AFTER) {
            State::Stale
        } else {
            State::Fresh
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
        self.silence().or_else(|| self.age_at_start.map(|age| age + self.started.elapsed()))
    }

    /// Since the last word. None: there was none in this life.
    fn silence(&self) -> Option<Duration> {
        self.heard.map(|heard| heard.elapsed())
    }
}

/// None when there is no such file, or nothing that makes sense in it.
fn read_age(file: &Path) -> Option<Duration> {
    let seconds = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    let heard = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    // A clock that was set back makes it look like the future: it was just now then.
    Some(SystemTime::now().duration_since(heard).unwrap_or_default())
}
