//! Trying an API of the catalogue, as its consumer: what is known of it is what the catalogue says.

use leptos::prelude::*;
use sluice_contract::definition::Access;
use sluice_contract::rest::catalogue::{CatalogueEntry, CatalogueRoute};

use super::found::Found;
use crate::components::PageHead;
use crate::pages::try_it::{Operation, Subject, TryIt};

#[component]
pub fn TryEntry() -> impl IntoView {
    view! { <Found part="Try it" draw /> }
}

fn draw(entry: CatalogueEntry) -> AnyView {
    let title = format!("Try {}", entry.api.name);
    view! {
        <PageHead title=Signal::stored(title) note=Signal::stored(entry.base_path.clone()) />
        <TryIt subject=subject_of(entry) />
    }
    .into_any()
}

fn subject_of(entry: CatalogueEntry) -> Subject {
    let CatalogueEntry { base_path, routes, releases, .. } = entry;
    let operation = |route: CatalogueRoute| {
        let CatalogueRoute { id, summary, methods, path, access, .. } = route;
        let needs_key = access == Access::Subscription;
        Operation { id, summary, methods, path, needs_key, ..Operation::default() }
    };
    Subject { base_path, operations: routes.into_iter().map(operation).collect(), releases }
}
