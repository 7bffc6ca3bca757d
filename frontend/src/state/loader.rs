//! Fetching something that may be asked for again before it has arrived. Knows nothing of what it fetches, so
//! that it is compiled once.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use leptos::prelude::*;
use leptos::task::spawn_local;
use sluice_contract::problem::Problem;

use super::effect;

/// Puts what has arrived in its place.
pub(super) type Arrival = Box<dyn FnOnce()>;
pub(super) type Fetch = Pin<Box<dyn Future<Output = Result<Arrival, Problem>>>>;

/// How a fetch stands.
#[derive(Clone, Copy)]
pub(super) struct Loader {
    pub(super) problem: RwSignal<Option<Problem>>,
    pub(super) busy: RwSignal<bool>,
    again: RwSignal<u32>,
    newest: StoredValue<u32>,
}

impl Loader {
    pub(super) fn new() -> Self {
        Self {
            problem: RwSignal::new(None),
            busy: RwSignal::new(false),
            again: RwSignal::new(0),
            newest: StoredValue::new(0),
        }
    }

    /// Fetches. An answer that is overtaken by a newer question, or whose page is gone, counts for nothing.
    pub(super) fn start(self, fetch: Fetch) {
        self.newest.update_value(|n| *n += 1);
        let mine = self.newest.get_value();
        self.busy.set(true);
        let is_wanted = move || self.newest.try_get_value() == Some(mine);
        spawn_local(async move {
            let Some(reply) = while_wanted(fetch, is_wanted).await else { return };
            self.busy.set(false);
            match reply {
                Ok(arrive) => {
                    self.problem.set(None);
                    arrive();
                }
                Err(problem) => self.problem.set(Some(problem)),
            }
        });
    }

    /// Fetches now, and whenever a signal that `fetch` reads before its first await changes. None fetches nothing.
    pub(super) fn watch(self, fetch: Box<dyn Fn() -> Option<Fetch>>) {
        effect(move || {
            self.again.track();
            if let Some(fetch) = fetch() {
                self.start(fetch);
            }
        });
    }

    pub(super) fn reload(self) {
        self.again.update(|n| *n += 1);
    }

    /// Fetches again every `period` while the page is open, visible, and `wanted`; not before the last answer has come,
    /// or a server that needs longer than `period` would never be heard.
    pub(super) fn every(self, period: Duration, wanted: Box<dyn Fn() -> bool>) {
        let tick = move || {
            if !document().hidden() && !self.busy.try_get_untracked().unwrap_or(true) && wanted() {
                self.again.try_update(|n| *n += 1);
            }
        };
        if let Ok(handle) = set_interval_with_handle(tick, period) {
            on_cleanup(move || handle.clear());
        }
    }
}

/// Goes on only while it is wanted; none when it was not any more. What a fetch does after an answer may read signals,
/// and those of a page are gone with it.
async fn while_wanted(mut fetch: Fetch, is_wanted: impl Fn() -> bool) -> Option<Result<Arrival, Problem>> {
    poll_fn(|context| if is_wanted() { fetch.as_mut().poll(context).map(Some) } else { Poll::Ready(None) })
        .await
}
