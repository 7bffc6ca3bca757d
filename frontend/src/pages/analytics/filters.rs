//! Which API, application and route the numbers are about; kept in the URL.

use leptos::prelude::*;
use sluice_contract::rest::apis::ApiSummary;
use sluice_contract::rest::applications::Application;
use sluice_contract::rest::page::Page;

use crate::api;
use crate::components::Button;
use crate::format::query_value;
use crate::icons::X;
use crate::session::use_current;
use crate::state::{UrlText, remote, set_url_values, url_text};

#[derive(Clone, Copy)]
pub struct Filters {
    api: UrlText,
    application: UrlText,
    route: UrlText,
}

pub fn use_filters() -> Filters {
    Filters { api: url_text("api"), application: url_text("application"), route: url_text("route") }
}

impl Filters {
    /// Whether plans are counted: over all APIs only.
    pub fn counts_plans(self) -> bool {
        self.api.get().is_empty() && self.route.get().is_empty()
    }

    /// Whether the targets of upstreams are counted: over all calls only.
    pub fn counts_targets(self) -> bool {
        self.query().is_empty()
    }

    /// Whether the calls of one application are asked for.
    pub fn has_application(self) -> bool {
        !self.application.get().is_empty()
    }

    /// `&api=…&route=…` as far as they are set: what the cache does is counted by these.
    pub fn of_cache(self) -> String {
        as_query(&[("api", self.api), ("route", self.route)])
    }

    /// `&api=…` if it is set.
    pub fn of_api(self) -> String {
        as_query(&[("api", self.api)])
    }

    /// `&api=…&application=…&route=…` as far as they are set.
    pub fn query(self) -> String {
        as_query(&[("api", self.api), ("application", self.application), ("route", self.route)])
    }
}

fn as_query(values: &[(&str, UrlText)]) -> String {
    values
        .iter()
        .map(|(key, value)| (key, value.get()))
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| format!("&{key}={}", query_value(&value)))
        .collect()
}

#[component]
pub fn FilterBar(filters: Filters) -> impl IntoView {
    let current = use_current();
    let set = set_url_values();
    let apis = remote(move || {
        let path = current.path("/apis?limit=200&sort=name");
        async move { api::get::<Page<ApiSummary>>(&path).await }
    });
    let applications = remote(move || {
        let path = current.path("/applications?limit=200&sort=name");
        async move { api::get::<Page<Application>>(&path).await }
    });
    let apis = Signal::derive(move || {
        let items = apis.get().map(|page| page.items).unwrap_or_default();
        items.into_iter().map(|api| (api.id.to_string(), api.name)).collect::<Vec<_>>()
    });
    let applications = Signal::derive(move || {
        let items = applications.get().map(|page| page.items).unwrap_or_default();
        items.into_iter().map(|app| (app.id.to_string(), app.name)).collect::<Vec<_>>()
    });
    let route = move || filters.route.get();
    view! {
        <div class="toolbar">
            <Pick label="API" all="All APIs" options=apis value=filters.api key="api" />
            <Pick
                label="Application"
                all="All applications"
                options=applications
                value=filters.application
                key="application"
            />
            <Show when=move || !route().is_empty()>
                <span class="chip">
                    "Route " <code>{route}</code>
                    <button
                        type="button"
                        aria-label="Remove the route filter"
                        on:click=move |_| set.run(vec![("route", String::new())])
                    >
                        <crate::icons::Glyph icon=X size="sm" />
                    </button>
                </span>
            </Show>
            <Show when=move || !filters.query().is_empty()>
                <Button
                    size="sm"
                    on_click=move |()| {
                        set.run(
                            vec![
                                ("api", String::new()),
                                ("application", String::new()),
                                ("route", String::new()),
                            ],
                        );
                    }
                >
                    "Clear filters"
                </Button>
            </Show>
        </div>
    }
}

/// A choice that writes itself into the URL.
#[component]
pub fn Pick(
    label: &'static str,
    all: &'static str,
    #[prop(into)] options: Signal<Vec<(String, String)>>,
    value: UrlText,
    key: &'static str,
) -> impl IntoView {
    let set = set_url_values();
    let rows = move || {
        options
            .get()
            .into_iter()
            .map(|(id, name)| {
                let mine = id.clone();
                view! { <option value=id prop:selected=move || value.get() == mine>{name}</option> }
            })
            .collect_view()
    };
    view! {
        <select
            class="select"
            aria-label=label
            on:change=move |event| set.run(vec![(key, event_target_value(&event))])
        >
            <option value="" prop:selected=move || value.get().is_empty()>
                {all}
            </option>
            {rows}
        </select>
    }
}
