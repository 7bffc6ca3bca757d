//! Analytics: traffic, latency and cache over time, with the range and the filters in the URL.

mod cache;
mod csv;
mod filters;
pub mod series;
pub mod traffic;

use std::time::Duration;

use leptos::prelude::*;
use leptos_router::components::{Outlet, ParentRoute, Redirect, Route};
use leptos_router::path;
use sluice_contract::rest::analytics::Analytics;

use crate::api;
use crate::components::{Crumb, PageHead, Range, TabLink, Tabs, TimeRangePicker, set_page, use_range};
use crate::lazy::lazy_pages;
use crate::session::use_current;
use crate::state::{Remote, remote};
use cache::CacheTab;
use csv::CsvLink;
use filters::{FilterBar, use_filters};
use traffic::TrafficTab;

lazy_pages!(operating/analytics: Frame, TrafficTab, CacheTab);

#[component(transparent)]
pub fn AnalyticsRoutes() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! {
        <ParentRoute path=path!("/analytics") view=lazy(Page::Frame)>
            <Route path=path!("") view=|| view! { <Redirect path="/analytics/traffic" /> } />
            <Route path=path!("traffic") view=lazy(Page::TrafficTab) />
            <Route path=path!("cache") view=lazy(Page::CacheTab) />
        </ParentRoute>
    }
    .into_inner()
}

/// What the tabs draw, fetched once for both.
#[derive(Clone, Copy)]
pub(super) struct Measured(Remote<Analytics>);

#[component]
fn Frame() -> impl IntoView {
    set_page(|| vec![Crumb::here("Analytics")]);
    let range = use_range("1h");
    let filters = use_filters();
    let current = use_current();
    let data = remote(move || {
        let path = current.path(&format!("/analytics?{}{}", range.query(), filters.query()));
        async move { api::get::<Analytics>(&path).await }
    });
    reload_while_live(data, range);
    provide_context(Measured(data));
    // The range and the filters stay when the tab changes.
    let tabs = move || {
        let query = leptos_router::hooks::use_location().search;
        let href = |tab: &str| {
            let query = query.get();
            if query.is_empty() { format!("/analytics/{tab}") } else { format!("/analytics/{tab}?{query}") }
        };
        vec![TabLink::new("Traffic", href("traffic")), TabLink::new("Cache", href("cache"))]
    };
    view! {
        <PageHead title=Signal::stored("Analytics".to_owned())>
            <TimeRangePicker range />
            <CsvLink data />
        </PageHead>
        {move || view! { <Tabs label="Analytics" tabs=tabs() /> }}
        <FilterBar filters />
        <Outlet />
    }
}

/// A range that ends now moves on; a fixed one doesn't.
fn reload_while_live(data: Remote<Analytics>, range: Range) {
    let tick = move || {
        if !document().hidden() && untrack(|| range.is_live()) {
            data.reload();
        }
    };
    if let Ok(handle) = set_interval_with_handle(tick, Duration::from_secs(15)) {
        on_cleanup(move || handle.clear());
    }
}

/// The measurements of the frame around a tab.
pub(super) fn use_measured() -> Option<Remote<Analytics>> {
    use_context::<Measured>().map(|Measured(data)| data)
}
