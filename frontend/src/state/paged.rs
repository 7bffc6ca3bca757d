//! A list of the admin API, one keyset page after the other.

use std::time::Duration;

use leptos::prelude::*;
use serde::de::DeserializeOwned;
use sluice_contract::problem::Problem;
use sluice_contract::rest::page::{MAX_LIMIT, Page};

use super::loader::{Arrival, Fetch, Loader};
use crate::api;
use crate::format::query_value;

/// The rows of a list that have been loaded so far.
pub struct Paged<T: Send + Sync + 'static> {
    rows: RwSignal<Option<Vec<T>>>,
    next: RwSignal<Option<String>>,
    loader: Loader,
    path: StoredValue<String>,
    beyond_first: StoredValue<bool>,
    /// Rows that the next fetch from the start has to bring, where the reader has gone on.
    keep: StoredValue<Option<usize>>,
}

/// Which rows a fetch brings.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    First,
    Next,
    /// What is there already, as it is now.
    Again,
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
        loader: Loader::new(),
        path: StoredValue::new(String::new()),
        beyond_first: StoredValue::new(false),
        keep: StoredValue::new(None),
    };
    list.loader.watch(Box::new(move || {
        let path = path();
        list.path.set_value(path.clone());
        let kept = list.keep.try_update_value(Option::take).flatten();
        (!path.is_empty()).then(|| match kept {
            Some(rows) => list.fetch(with(&path, "limit", &rows.to_string()), Part::Again),
            None => list.fetch(path, Part::First),
        })
    }));
    list
}

/// A path with one more parameter.
fn with(path: &str, name: &str, value: &str) -> String {
    let joint = if path.contains('?') { '&' } else { '?' };
    format!("{path}{joint}{name}={value}")
}

impl<T: DeserializeOwned + PartialEq + Send + Sync + 'static> Paged<T> {
    /// Appends the next page.
    pub fn load_more(&self) {
        if self.loader.busy.get_untracked() {
            return;
        }
        if let Some(next) = self.next.get_untracked() {
            let path = self.path.get_value();
            self.loader.start(self.fetch(with(&path, "after", &query_value(&next)), Part::Next));
        }
    }

    fn fetch(self, path: String, part: Part) -> Fetch {
        Box::pin(async move {
            let page = api::get::<Page<T>>(&path).await?;
            Ok(Box::new(move || self.take(page, part)) as Arrival)
        })
    }

    fn take(self, page: Page<T>, part: Part) {
        self.next.set(page.next);
        self.beyond_first.set_value(part != Part::First);
        if part == Part::Next {
            self.rows.update(|rows| rows.get_or_insert_default().extend(page.items));
        } else if self.rows.with_untracked(|rows| rows.as_ref() != Some(&page.items)) {
            self.rows.set(Some(page.items));
        }
    }
}

impl<T: Send + Sync + 'static> Paged<T> {
    /// Loads the first page again; what was loaded beyond it is dropped.
    pub fn reload(&self) {
        self.loader.reload();
    }

    /// Loads again every `period` while the page is visible: all that is there, as far as one answer can hold it.
    pub fn every(self, period: Duration) -> Self {
        self.every_while(period, |_| true)
    }

    /// The same, but only while these rows are not the last word.
    pub fn every_while(self, period: Duration, open: impl Fn(&[T]) -> bool + 'static) -> Self {
        let wanted = move || {
            let rows = self.rows.try_with_untracked(|rows| {
                let is_open = rows.as_deref().is_none_or(&open);
                is_open.then(|| rows.as_deref().map_or(0, <[T]>::len))
            });
            let Some(rows) = rows.flatten() else { return false };
            let beyond = self.beyond_first.try_get_value() == Some(true);
            if beyond {
                self.keep.try_set_value(Some(rows));
            }
            !beyond || rows <= MAX_LIMIT as usize
        };
        self.loader.every(period, Box::new(wanted));
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
        self.loader.busy.into()
    }

    pub fn problem(&self) -> Signal<Option<Problem>> {
        self.loader.problem.into()
    }
}
