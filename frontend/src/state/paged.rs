//! A list of the admin API, one keyset page after the other.

use std::time::Duration;

use leptos::prelude::*;
use serde::de::DeserializeOwned;
use sluice_contract::problem::Problem;
use sluice_contract::rest::page::Page;

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
    };
    list.loader.watch(Box::new(move || {
        let path = path();
        list.path.set_value(path.clone());
        (!path.is_empty()).then(|| list.fetch(path, false))
    }));
    list
}

impl<T: DeserializeOwned + PartialEq + Send + Sync + 'static> Paged<T> {
    /// Appends the next page.
    pub fn load_more(&self) {
        if self.loader.busy.get_untracked() {
            return;
        }
        if let Some(next) = self.next.get_untracked() {
            let path = self.path.get_value();
            let joint = if path.contains('?') { '&' } else { '?' };
            self.loader.start(self.fetch(format!("{path}{joint}after={}", query_value(&next)), true));
        }
    }

    fn fetch(self, path: String, append: bool) -> Fetch {
        Box::pin(async move {
            let page = api::get::<Page<T>>(&path).await?;
            Ok(Box::new(move || self.take(page, append)) as Arrival)
        })
    }

    fn take(self, page: Page<T>, append: bool) {
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
        self.loader.reload();
    }

    /// Loads again every `period` while the page is visible, unless the reader has gone beyond the first page.
    pub fn every(self, period: Duration) -> Self {
        self.every_while(period, |_| true)
    }

    /// The same, but only while these rows are not the last word.
    pub fn every_while(self, period: Duration, open: impl Fn(&[T]) -> bool + 'static) -> Self {
        let wanted = move || {
            let on_first = self.beyond_first.try_get_value() == Some(false);
            let is_open = self.rows.try_with_untracked(|rows| rows.as_deref().is_none_or(&open));
            on_first && is_open == Some(true)
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
