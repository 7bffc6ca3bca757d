//! The catalogue: find an API, read what it does, subscribe to it.

mod entry;
mod found;
mod list;
mod subscribe;
mod try_it;

use leptos::prelude::*;
use leptos_router::components::{Outlet, ParentRoute, Route};
use leptos_router::path;

use entry::Entry;
use list::CatalogueList;
use try_it::TryEntry;

#[component(transparent)]
pub fn CatalogueRoutes() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! {
        <ParentRoute path=path!("/catalogue") view=Outlet>
            <Route path=path!("") view=CatalogueList />
            <Route path=path!(":id") view=Entry />
            <Route path=path!(":id/try") view=TryEntry />
        </ParentRoute>
    }
    .into_inner()
}
