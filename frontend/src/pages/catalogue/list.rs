//! Every listed API that is live somewhere.

use leptos::prelude::*;
use sluice_contract::rest::apis::ApiSummary;

use crate::components::{Column, Crumb, DataTable, EmptyState, PageHead, SearchField, set_page};
use crate::format;
use crate::icons::LIBRARY;
use crate::session::use_current;
use crate::state::{paged, url_text};

#[component]
pub fn CatalogueList() -> impl IntoView {
    set_page(|| vec![Crumb::here("Catalogue")]);
    let current = use_current();
    let (search, sort) = (url_text("q"), url_text("sort"));
    let list = paged::<ApiSummary>(move || {
        current.path(&format!("/catalogue{}", format::query(&[("q", search.get()), ("sort", sort.get())])))
    });
    view! {
        <PageHead
            title=Signal::stored("Catalogue".to_owned())
            note=Signal::stored("APIs that you can subscribe to.".to_owned())
        />
        <div class="toolbar">
            <SearchField label="Search the catalogue" value=search.signal() on_change=search.setter() />
        </div>
        <DataTable
            label="Catalogue"
            columns=columns()
            list
            sort
            href=|it: &ApiSummary| format!("/catalogue/{}", it.id)
            empty=|| view! {
                <EmptyState
                    icon=LIBRARY
                    title="Nothing to find"
                    note="An API shows up here once its publisher lists and releases it."
                />
            }
        />
    }
}

fn columns() -> Vec<Column<ApiSummary>> {
    vec![
        Column::new("Name", |it: &ApiSummary| view! { <strong>{it.name.clone()}</strong> }).sort("name"),
        Column::new("What it does", |it: &ApiSummary| {
            let first = it.description.lines().next().unwrap_or_default().to_owned();
            view! { <span class="secondary">{first}</span> }
        }),
        Column::new("Operations", |it: &ApiSummary| it.routes).end(),
    ]
}
