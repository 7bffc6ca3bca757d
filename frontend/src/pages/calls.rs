//! The call log: filter, live tail, one call in detail.

mod detail;
mod filters;
mod list;
mod repeat;
mod tail;

use leptos::prelude::*;
use leptos_router::components::{Outlet, ParentRoute, Route};
use leptos_router::path;

use crate::lazy::lazy_pages;
use detail::CallDetail;
use list::CallList;

lazy_pages!(operating/calls: CallList, CallDetail);

#[component(transparent)]
pub fn CallsRoutes() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! {
        <ParentRoute path=path!("/calls") view=Outlet>
            <Route path=path!("") view=lazy(Page::CallList) />
            <Route path=path!(":id") view=lazy(Page::CallDetail) />
        </ParentRoute>
    }
    .into_inner()
}
