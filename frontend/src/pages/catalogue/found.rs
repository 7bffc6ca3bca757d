//! The API of the catalogue that the address names: fetched, named in the breadcrumbs, then drawn.

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use sluice_contract::rest::catalogue::CatalogueEntry;

use crate::api;
use crate::components::{Crumb, Skeleton, set_page};
use crate::session::use_current;
use crate::state::remote;

/// What every page about one API of the catalogue begins with.
#[component]
pub(super) fn Found(
    /// What the page is about, when that is not the API as a whole.
    #[prop(optional)]
    part: Option<&'static str>,
    draw: fn(CatalogueEntry) -> AnyView,
) -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id")).unwrap_or_default());
    let current = use_current();
    let entry = remote(move || {
        let path = current.path(&format!("/catalogue/{}", id.get()));
        async move { api::get::<CatalogueEntry>(&path).await }
    });
    set_page(move || {
        let name = entry.get().map_or_else(|| "API".to_owned(), |it| it.api.name);
        let catalogue = Crumb::link("Catalogue", "/catalogue");
        match part {
            None => vec![catalogue, Crumb::here(name)],
            Some(part) => {
                vec![catalogue, Crumb::link(name, format!("/catalogue/{}", id.get())), Crumb::here(part)]
            }
        }
    });
    view! {
        {entry.heading(part.unwrap_or("API"))}
        {entry.view(Skeleton::Lines(8), draw)}
    }
}
