//! Applications: who calls APIs, with their keys and subscriptions.

mod detail;
mod edit;
mod keys;
mod list;
mod subscriptions;

use leptos::prelude::*;
use leptos_router::components::{Outlet, ParentRoute, Route};
use leptos_router::path;

use crate::lazy::lazy_pages;
use detail::ApplicationDetail;
use list::ApplicationList;

lazy_pages!(consuming/applications: ApplicationList, ApplicationDetail);

#[component(transparent)]
pub fn ApplicationsRoutes() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! {
        <ParentRoute path=path!("/apps") view=Outlet>
            <Route path=path!("") view=lazy(Page::ApplicationList) />
            <Route path=path!(":id") view=lazy(Page::ApplicationDetail) />
        </ParentRoute>
    }
    .into_inner()
}
