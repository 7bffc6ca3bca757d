//! A list of the admin API, one keyset page after the other.

use leptos::prelude::*;
use leptos::task::spawn_local;
use serde::de::DeserializeOwned;
use sluice_contract::problem::Problem;
use sluice_contract::rest::page::Page;

use crate::api;
use crate::format::query_value;

/// The rows of a list that have been loaded so far.
pub struct Paged<T: Send + Sync + 'static> {
    rows: RwSignal<Option<Vec<T>>>,
    next: RwSignal<Option<String>>,
    problem: RwSignal<Option<Problem>>,
    busy: RwSignal<bool>,
    again: RwSignal<u32>,
    newest: StoredValue<u32>,
    path: StoredValue<String>,
    beyond_first: StoredValue<bool>,
}

impl<T: Send + Sync + 'static> Clone for Paged<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Send + Sync + 'static> Copy for Paged<T> {}

/// Loads the first page of the list at `path` (below `/api/v1`, with its filters), and starts over when a
/// signal that `path` reads changes. An empty path loads nothing.
pub fn paged<T>(path: impl Fn() -> String + 'static) -> Paged<T>
where
    T: DeserializeOwned + PartialEq + Send + Sync + 'static,
{
    let list = Paged {
        rows: RwSignal::new(None),
        next: RwSignal::new(None),
        problem: RwSignal::new(None),
        busy: RwSignal::new(false),
        again: RwSignal::new(0),
        newest: StoredValue::new(0),
        path: StoredValue::new(String::new()),
        beyond_first: StoredValue::new(false),
    };
    Effect::new(move |_| {
        list.again.track();
        let path = path();
        list.path.set_value(path.clone());
        if !path.is_empty() {
            list.load(path, false);
        }
    });
    list
}

impl<T: DeserializeOwned + PartialEq + Send + Sync + 'static> Paged<T> {
    /// Appends the next page.
    pub fn load_more(&self) {
        if self.busy.get_untracked() {
            return;
        }
        if let Some(next) = self.next.get_untracked() {
            let path = self.path.get_value();
            let joint = if path.contains('?') { '&' } else { '?' };
            self.load(format!("{path}{joint}after={}", query_value(&next)), true);
        }
    }

    fn load(&self, path: String, append: bool) {
        let list = *self;
        list.newest.update_value(|n| *n += 1);
        let mine = list.newest.get_value();
        list.busy.set(true);
        spawn_local(async move {
            let reply = api::get::<Page<T>>(&path).await;
            if list.newest.try_get_value() != Some(mine) {
                return;
            }
            list.busy.set(false);
            match reply {
                Ok(page) => list.take(page, append),
                Err(problem) => list.problem.set(Some(problem)),
            }
        });
    }

    fn take(&self, page: Page<T>, append: bool) {
        self.problem.set(None);
        self.next.set(page.next);
        self.beyond_first.set_value(append);
        if append {
            self.rows.update(|rows| rows.get_or_insert_default().extend(page.items));
        } else if self.rows.with_untracked(|rows| rows.as_ref() != Some(&page.items)) {
            self.rows.set(Some(page.items));
        }
    }
}

impl<T: Send + Sync + 'static> Paged<T> {
    /// Loads the first page again; what was loaded beyond it is dropped.
    pub fn reload(&self) {
        self.again.update(|n| *n += 1);
    }

    /// Loads again every `period` while the page is visible, unless the reader has gone beyond the first page.
    pub fn every(self, period: std::time::Duration) -> Self {
        let tick = move || {
            if !document().hidden() && !self.beyond_first.get_value() {
                self.again.try_update(|n| *n += 1);
            }
        };
        if let Ok(handle) = set_interval_with_handle(tick, period) {
            on_cleanup(move || handle.clear());
        }
        self
    }

    /// The rows; none until the first page has arrived.
    pub fn rows(&self) -> RwSignal<Option<Vec<T>>> {
        self.rows
    }

    /// Whether the list goes on.
    pub fn has_more(&self) -> Signal<bool> {
        let next = self.next;
        Signal::derive(move || next.with(Option::is_some))
    }

    pub fn busy(&self) -> Signal<bool> {
        self.busy.into()
    }

    pub fn problem(&self) -> Signal<Option<Problem>> {
        self.problem.into()
    }
}
