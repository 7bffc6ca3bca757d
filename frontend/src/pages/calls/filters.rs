//! The filters of the call log, each a parameter of the URL and a chip that removes it.

use leptos::prelude::*;
use sluice_contract::problem::Problem;
use sluice_contract::rest::apis::ApiSummary;
use sluice_contract::rest::applications::Application;
use sluice_contract::rest::gateways::Gateway;
use sluice_contract::rest::page::Page;

use crate::api;
use crate::components::{Button, Dialog, DialogForm, SelectField, TextField};
use crate::format::query_value;
use crate::icons::{FILTER, Glyph, X};
use crate::session::use_current;
use crate::state::{Task, UrlText, effect, remote, set_url_values, url_text};

/// What can be filtered by, in the order of the chips: parameter of the URL and of the API, and its name.
const KEYS: [(&str, &str); 9] = [
    ("status", "Status"),
    ("method", "Method"),
    ("path", "Path"),
    ("api", "API"),
    ("route", "Route"),
    ("application", "Application"),
    ("gateway", "Gateway"),
    ("cache", "Cache"),
    ("request_id", "Request id"),
];
const MIN_DURATION: &str = "min_duration_us";

/// The filters that the URL says.
#[derive(Clone, Copy)]
pub struct CallFilters {
    texts: [UrlText; 9],
    min_duration: UrlText,
}

pub fn use_call_filters() -> CallFilters {
    CallFilters { texts: KEYS.map(|(key, _)| url_text(key)), min_duration: url_text(MIN_DURATION) }
}

impl CallFilters {
    /// `key=value&…` for the API; empty without filters.
    pub fn query(self) -> String {
        let pairs = self.set().into_iter().map(|(key, value)| format!("{key}={}", query_value(&value)));
        pairs.collect::<Vec<_>>().join("&")
    }

    fn set(self) -> Vec<(&'static str, String)> {
        let texts = KEYS.iter().zip(self.texts).map(|((key, _), value)| (*key, value.get()));
        let all = texts.chain([(MIN_DURATION, self.min_duration.get())]);
        all.filter(|(_, value)| !value.is_empty()).collect()
    }
}

/// Names for the ids that filters hold.
#[derive(Clone, Default, PartialEq)]
struct Names {
    apis: Vec<(String, String)>,
    applications: Vec<(String, String)>,
    gateways: Vec<(String, String)>,
}

impl Names {
    fn of(&self, key: &str, value: &str) -> String {
        let list = match key {
            "api" => &self.apis,
            "application" => &self.applications,
            "gateway" => &self.gateways,
            _ => return value.to_owned(),
        };
        list.iter().find(|(id, _)| id == value).map_or_else(|| value.to_owned(), |(_, name)| name.clone())
    }
}

/// Whoever may read calls may not be allowed to list everything that filters can name; then ids stay ids.
async fn names(apis: String, applications: String, gateways: String) -> Result<Names, Problem> {
    let apis = api::get::<Page<ApiSummary>>(&apis).await.map(|page| page.items).unwrap_or_default();
    let applications =
        api::get::<Page<Application>>(&applications).await.map(|page| page.items).unwrap_or_default();
    let gateways = api::get::<Page<Gateway>>(&gateways).await.map(|page| page.items).unwrap_or_default();
    Ok(Names {
        apis: apis.into_iter().map(|api| (api.id.to_string(), api.name)).collect(),
        applications: applications.into_iter().map(|app| (app.id.to_string(), app.name)).collect(),
        gateways: gateways.into_iter().map(|gateway| (gateway.id.to_string(), gateway.name)).collect(),
    })
}

/// The chips, and the button that opens all filters.
#[component]
pub fn CallFilterBar(filters: CallFilters) -> impl IntoView {
    let current = use_current();
    let set = set_url_values();
    let open = RwSignal::new(false);
    let names = remote(move || {
        names(
            current.path("/apis?limit=200&sort=name"),
            current.path("/applications?limit=200&sort=name"),
            current.path("/gateways?limit=200"),
        )
    });
    let names = Signal::derive(move || names.get().unwrap_or_default());
    let chips = move || {
        let names = names.get();
        filters
            .set()
            .into_iter()
            .map(|(key, value)| {
                let title =
                    KEYS.iter().find(|(known, _)| *known == key).map_or("Slower than", |(_, title)| title);
                let shown = if key == MIN_DURATION { ms_of(&value) + " ms" } else { names.of(key, &value) };
                view! {
                    <span class="chip">
                        {title} " " <strong>{shown}</strong>
                        <button
                            type="button"
                            aria-label=format!("Remove filter {title}")
                            on:click=move |_| set.run(vec![(key, String::new())])
                        >
                            <Glyph icon=X size="sm" />
                        </button>
                    </span>
                }
            })
            .collect_view()
    };
    let status_class = move |class: &'static str| {
        let pressed = move || filters.texts[0].get() == class;
        view! {
            <button
                type="button"
                aria-pressed=move || pressed().to_string()
                on:click=move |_| set.run(vec![("status", class.to_owned())])
            >
                {if class.is_empty() { "All" } else { class }}
            </button>
        }
    };
    view! {
        <div class="toolbar">
            <div class="segments" role="group" aria-label="Status">
                {["", "2xx", "3xx", "4xx", "5xx"].map(status_class).collect_view()}
            </div>
            <Button icon=FILTER on_click=move |()| open.set(true)>
                "Filter"
            </Button>
            {chips}
        </div>
        <FilterDialog filters names open />
    }
}

#[component]
fn FilterDialog(filters: CallFilters, names: Signal<Names>, open: RwSignal<bool>) -> impl IntoView {
    let set = set_url_values();
    let drafts = KEYS.map(|_| RwSignal::new(String::new()));
    let slower = RwSignal::new(String::new());
    let task = Task::new();
    effect(move || {
        if open.get() {
            for (draft, text) in drafts.iter().zip(filters.texts) {
                draft.set(text.get_untracked());
            }
            slower.set(ms_of(&filters.min_duration.get_untracked()));
        }
    });
    let apply = move |()| {
        let mut values: Vec<_> = KEYS
            .iter()
            .zip(drafts)
            .map(|((key, _), draft)| (*key, draft.get_untracked().trim().to_owned()))
            .collect();
        let micros = slower.get_untracked().trim().parse::<f64>().map(|ms| format!("{:.0}", ms * 1_000.0));
        values.push((MIN_DURATION, micros.unwrap_or_default()));
        set.run(values);
        open.set(false);
    };
    let [status, method, path, api, route, application, gateway, cache, request_id] = drafts;
    let any = move |list: Vec<(String, String)>| {
        let mut list = list;
        list.insert(0, (String::new(), "Any".to_owned()));
        list
    };
    let fixed = move |values: &[&str]| {
        Signal::stored(any(values
            .iter()
            .map(|value| ((*value).to_owned(), (*value).replace('_', " ")))
            .collect()))
    };
    view! {
        <Dialog open title="Filter calls">
            <DialogForm open task action="Apply" on_submit=apply>
                <div class="form-row">
                    <TextField label="Status" value=status placeholder="404 or 4xx" optional=true />
                    <SelectField
                        label="Method"
                        value=method
                        options=fixed(&["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
                    />
                </div>
                <TextField label="Path begins with" value=path placeholder="/acme/orders" mono=true optional=true />
                <div class="form-row">
                    <SelectField
                        label="API"
                        value=api
                        options=Signal::derive(move || any(names.get().apis))
                    />
                    <TextField label="Route" value=route mono=true optional=true />
                </div>
                <div class="form-row">
                    <SelectField
                        label="Application"
                        value=application
                        options=Signal::derive(move || any(names.get().applications))
                    />
                    <SelectField
                        label="Gateway"
                        value=gateway
                        options=Signal::derive(move || any(names.get().gateways))
                    />
                </div>
                <div class="form-row">
                    <SelectField
                        label="Cache"
                        value=cache
                        options=fixed(
                            &[
                                "hit",
                                "miss",
                                "vary_miss",
                                "expired",
                                "request",
                                "revalidated",
                                "coalesced",
                                "stale",
                                "bypass",
                                "method",
                                "uncached",
                            ],
                        )
                    />
                    <TextField label="Slower than (ms)" kind="number" value=slower optional=true />
                </div>
                <TextField label="Request id" value=request_id mono=true optional=true />
            </DialogForm>
        </Dialog>
    }
}

/// Microseconds of the URL as the milliseconds that people type.
fn ms_of(micros: &str) -> String {
    micros.parse::<f64>().map(|us| (us / 1_000.0).to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::ms_of;

    #[test]
    fn a_duration_goes_to_milliseconds_and_garbage_to_nothing() {
        assert_eq!(ms_of("1500"), "1.5");
        assert_eq!(ms_of("250000"), "250");
        assert_eq!(ms_of("soon"), "");
    }
}
