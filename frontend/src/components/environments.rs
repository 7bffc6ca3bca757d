//! Choosing one of the environments that the tenant may use.

use std::future::Future;

use leptos::prelude::*;
use sluice_contract::ids::EnvironmentId;
use sluice_contract::problem::Problem;
use sluice_contract::rest::environments::Environment;
use sluice_contract::rest::page::Page;

use super::SelectField;
use crate::api;
use crate::session::{Current, use_current};
use crate::state::{effect, remote};

/// The environments of the tenant, and which one is picked: the first until a person picks another.
#[derive(Clone, Copy)]
pub struct EnvironmentChoice {
    all: Signal<Vec<Environment>>,
    slug: RwSignal<String>,
    current: Current,
}

/// Fetches the environments. Call it while the component is built.
pub fn use_environments() -> EnvironmentChoice {
    let current = use_current();
    let page = remote(move || fetch(current));
    let all = Signal::derive(move || page.get().map(|page| page.items).unwrap_or_default());
    let slug = RwSignal::new(String::new());
    effect(move || {
        if let Some(first) = all.get().first() {
            slug.set(first.slug.clone());
        }
    });
    EnvironmentChoice { all, slug, current }
}

/// Tracks the tenant.
fn fetch(current: Current) -> impl Future<Output = Result<Page<Environment>, Problem>> {
    let path = current.path("/environments?limit=200");
    async move { api::get(&path).await }
}

impl EnvironmentChoice {
    /// All of them. Tracks.
    pub fn all(self) -> Vec<Environment> {
        self.all.get()
    }

    /// The slug of the one that is picked; empty until they have arrived. Tracks.
    pub fn slug(self) -> String {
        self.slug.get()
    }

    /// What one is called; its id until they have arrived. Tracks.
    pub fn name_of(self, id: EnvironmentId) -> String {
        let found = self.all().into_iter().find(|it| it.id == id);
        found.map_or_else(|| id.to_string(), |it| it.name)
    }

    /// The one that is picked now. Who submits before they have arrived waits for them. Ask while the page is there, and
    /// wait where you like.
    ///
    /// # Errors
    /// When the tenant has none, or they cannot be had.
    pub fn picked(self) -> impl Future<Output = Result<Environment, Problem>> {
        let (mut all, slug) = (self.all.get_untracked(), self.slug.get_untracked());
        let fetch = untrack(|| fetch(self.current));
        async move {
            if all.is_empty() {
                all = fetch.await?.items;
            }
            let found = all.into_iter().find(|it| slug.is_empty() || it.slug == slug);
            found.ok_or_else(|| Problem::new(0, "no_environment", "There is no environment to choose"))
        }
    }

    /// The one with this id; where it is none, the one that is picked.
    ///
    /// # Errors
    /// As [`Self::picked`].
    pub fn with_id(self, id: &str) -> impl Future<Output = Result<EnvironmentId, Problem>> + use<> {
        let (id, picked) = (id.parse(), self.picked());
        async move {
            match id {
                Ok(id) => Ok(id),
                Err(_) => Ok(picked.await?.id),
            }
        }
    }
}

/// The field of a form in which one is picked.
#[component]
pub fn EnvironmentField(choice: EnvironmentChoice) -> impl IntoView {
    let options =
        Signal::derive(move || choice.all.get().into_iter().map(|it| (it.slug, it.name)).collect::<Vec<_>>());
    view! { <SelectField label="Environment" value=choice.slug options /> }
}
