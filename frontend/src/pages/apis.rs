//! APIs: what a publisher edits, freezes and releases.

mod cache;
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

#[component(transparent)]
pub fn ApisRoutes() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! {
        <ParentRoute path=path!("/apis") view=Outlet>
            <Route path=path!("") view=ApiList />
            <Route path=path!("import") view=Import />
            <ParentRoute path=path!(":id") view=ApiDetail>
                <Route path=path!("") view=OverviewTab />
                <Route path=path!("routes") view=RoutesTab />
                <Route path=path!("upstreams") view=UpstreamsTab />
                <Route path=path!("policies") view=PoliciesTab />
                <Route path=path!("cache") view=CacheTab />
                <Route path=path!("try") view=TryTab />
                <Route path=path!("plans") view=PlansTab />
                <Route path=path!("revisions") view=RevisionsTab />
            </ParentRoute>
        </ParentRoute>
    }
    .into_inner()
}
