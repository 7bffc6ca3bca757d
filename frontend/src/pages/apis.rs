//! APIs: what a publisher edits, freezes and releases.

pub(super) mod cache;
mod detail;
mod draft;
mod import;
mod list;
mod overview;
mod plans;
mod policies;
mod release;
mod revisions;
mod routes;
mod try_it;
mod upstreams;

use leptos::prelude::*;
use leptos_router::components::{Outlet, ParentRoute, Route};
use leptos_router::path;

use crate::lazy::lazy_pages;
use cache::CacheTab;
use detail::ApiDetail;
use import::Import;
use list::ApiList;
use overview::OverviewTab;
use plans::PlansTab;
use policies::PoliciesTab;
use revisions::RevisionsTab;
use routes::RoutesTab;
use try_it::TryTab;
use upstreams::UpstreamsTab;

lazy_pages!(
    publishing/apis: ApiList, Import, ApiDetail, OverviewTab, RoutesTab, UpstreamsTab, PoliciesTab, CacheTab, TryTab,
    PlansTab, RevisionsTab
);

#[component(transparent)]
pub fn ApisRoutes() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! {
        <ParentRoute path=path!("/apis") view=Outlet>
            <Route path=path!("") view=lazy(Page::ApiList) />
            <Route path=path!("import") view=lazy(Page::Import) />
            <ParentRoute path=path!(":id") view=lazy(Page::ApiDetail)>
                <Route path=path!("") view=lazy(Page::OverviewTab) />
                <Route path=path!("routes") view=lazy(Page::RoutesTab) />
                <Route path=path!("upstreams") view=lazy(Page::UpstreamsTab) />
                <Route path=path!("policies") view=lazy(Page::PoliciesTab) />
                <Route path=path!("cache") view=lazy(Page::CacheTab) />
                <Route path=path!("try") view=lazy(Page::TryTab) />
                <Route path=path!("plans") view=lazy(Page::PlansTab) />
                <Route path=path!("revisions") view=lazy(Page::RevisionsTab) />
            </ParentRoute>
        </ParentRoute>
    }
    .into_inner()
}
