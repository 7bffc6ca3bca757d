//! The catalogue: find an API, read what it does, subscribe to it.

mod entry;
mod found;
mod list;
mod subscribe;
mod try_it;

use leptos::prelude::*;
use leptos_router::components::{Outlet, ParentRoute, Route};
use leptos_router::path;

use crate::lazy::lazy_pages;
use entry::Entry;
use list::CatalogueList;
use try_it::TryEntry;

lazy_pages!(consuming/catalogue: CatalogueList, Entry, TryEntry);

#[component(transparent)]
pub fn CatalogueRoutes() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! {
        <ParentRoute path=path!("/catalogue") view=Outlet>
            <Route path=path!("") view=lazy(Page::CatalogueList) />
            <Route path=path!(":id") view=lazy(Page::Entry) />
            <Route path=path!(":id/try") view=lazy(Page::TryEntry) />
        </ParentRoute>
    }
    .into_inner()
}
