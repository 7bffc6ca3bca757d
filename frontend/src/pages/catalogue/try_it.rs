//! Trying an API of the catalogue, as its consumer: what is known of it is what the catalogue says.

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use sluice_contract::definition::Access;
use sluice_contract::rest::catalogue::{CatalogueEntry, CatalogueRoute};

use crate::api;
use crate::components::{Crumb, PageHead, Skeleton, set_page};
use crate::pages::try_it::{Operation, Subject, TryIt};
use crate::session::use_current;
use crate::state::remote;

#[component]
pub fn TryEntry() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id")).unwrap_or_default());
    let current = use_current();
    let entry = remote(move || {
        let path = current.path(&format!("/catalogue/{}", id.get()));
        async move { api::get::<CatalogueEntry>(&path).await }
    });
    set_page(move || {
        let name = entry.get().map_or_else(|| "API".to_owned(), |it| it.api.name);
        vec![
            Crumb::link("Catalogue", "/catalogue"),
            Crumb::link(name, format!("/catalogue/{}", id.get())),
            Crumb::here("Try it"),
        ]
    });
    view! {
        {entry.heading("Try it")}
        {entry.view(Skeleton::Lines(8), |entry| {
            let title = format!("Try {}", entry.api.name);
            view! {
                <PageHead title=Signal::stored(title) note=Signal::stored(entry.base_path.clone()) />
                <TryIt subject=subject_of(entry) />
            }
        })}
    }
}

fn subject_of(entry: CatalogueEntry) -> Subject {
    let CatalogueEntry { base_path, routes, .. } = entry;
    let operation = |route: CatalogueRoute| {
        let CatalogueRoute { id, summary, methods, path, access, .. } = route;
        let needs_key = access == Access::Subscription;
        Operation { id, summary, methods, path, needs_key, ..Operation::default() }
    };
    Subject {
        base_path,
        operations: routes.into_iter().map(operation).collect(),
        policies: Vec::new(),
        live_in: None,
    }
}
