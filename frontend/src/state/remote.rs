//! One value of the admin API: fetched, fetched again when what it depends on changes, polled where asked.

use std::future::Future;
use std::time::Duration;

use leptos::prelude::*;
use sluice_contract::problem::Problem;

use super::effect;
use super::loader::{Arrival, Loader};
use crate::components::{ErrorState, Skeleton};

/// A value that comes over the network. While it is fetched again the old one stays on the page.
pub struct Remote<T: Send + Sync + 'static> {
    value: RwSignal<Option<T>>,
    loader: Loader,
}

impl<T: Send + Sync + 'static> Clone for Remote<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Send + Sync + 'static> Copy for Remote<T> {}

/// Fetches now, and whenever a signal that `fetch` reads before its first await changes.
pub fn remote<T, F>(fetch: impl Fn() -> F + 'static) -> Remote<T>
where
    T: PartialEq + Send + Sync + 'static,
    F: Future<Output = Result<T, Problem>> + 'static,
{
    let remote = Remote { value: RwSignal::new(None), loader: Loader::new() };
    remote.loader.watch(Box::new(move || {
        let reply = fetch();
        Some(Box::pin(async move {
            let value = reply.await?;
            Ok(Box::new(move || remote.take(value)) as Arrival)
        }))
    }));
    remote
}

impl<T: PartialEq + Send + Sync + 'static> Remote<T> {
    /// An equal value redraws nothing: polling must not take the focus away.
    fn take(self, value: T) {
        if self.value.with_untracked(|old| old.as_ref() != Some(&value)) {
            self.value.set(Some(value));
        }
    }
}

impl<T: Send + Sync + 'static> Remote<T> {
    /// Fetches again.
    pub fn reload(&self) {
        self.loader.reload();
    }

    /// Fetches again every `period` while the page is open and visible.
    pub fn every(self, period: Duration) -> Self {
        self.every_while(period, |_| true)
    }

    /// The same, but only while this value is not the last word.
    pub fn every_while(self, period: Duration, open: impl Fn(&T) -> bool + 'static) -> Self {
        let wanted = move || {
            self.value.try_with_untracked(|value| value.as_ref().is_none_or(&open)).unwrap_or_default()
        };
        self.loader.every(period, Box::new(wanted));
        self
    }

    /// Puts a value in that an action has just returned, so that no second fetch is needed.
    pub fn set(&self, value: T) {
        self.loader.problem.set(None);
        self.value.set(Some(value));
    }
}

impl<T: Clone + Send + Sync + 'static> Remote<T> {
    /// The value, once there is one. Tracks.
    pub fn get(&self) -> Option<T> {
        self.value.get()
    }

    /// The heading of a page that is named after what it loads: keeps one there until the real one is drawn.
    pub fn heading(self, title: &'static str) -> impl IntoView {
        move || {
            let missing = self.value.with(Option::is_none);
            missing.then(|| view! { <h1 class="visually-hidden">{title}</h1> })
        }
    }

    /// Draws the value: a skeleton while there is none, an error with retry when it cannot be had. `draw` runs
    /// again for each new value.
    pub fn view<V: IntoView + 'static>(
        self,
        skeleton: Skeleton,
        draw: impl Fn(T) -> V + Send + Sync + 'static,
    ) -> impl IntoView {
        move || match (self.value.get(), self.loader.problem.get()) {
            (Some(value), _) => draw(value).into_any(),
            (None, Some(problem)) => {
                view! { <ErrorState problem retry=Callback::new(move |()| self.reload()) /> }.into_any()
            }
            (None, None) => skeleton.into_any(),
        }
    }

    /// Like [`Remote::view`], but draws once and hands over a signal: for what changes often (charts, counters).
    pub fn live<V: IntoView + 'static>(
        self,
        skeleton: Skeleton,
        draw: impl Fn(Signal<T>) -> V + Send + Sync + 'static,
    ) -> impl IntoView {
        let there = Memo::new(move |_| self.value.with(Option::is_some));
        let failed = Memo::new(move |_| if there.get() { None } else { self.loader.problem.get() });
        move || {
            let _ = there.get();
            match (self.value.get_untracked(), failed.get()) {
                (Some(first), _) => {
                    let latest = RwSignal::new(first);
                    effect(move || {
                        if let Some(value) = self.value.get() {
                            latest.set(value);
                        }
                    });
                    draw(latest.into()).into_any()
                }
                (None, Some(problem)) => {
                    view! { <ErrorState problem retry=Callback::new(move |()| self.reload()) /> }.into_any()
                }
                (None, None) => skeleton.into_any(),
            }
        }
    }
}
