//! The form of a request. The environment and the operation are in the URL; the key is nowhere but in its field.

use std::collections::BTreeMap;

use leptos::prelude::*;
use serde_json::Value;
use sluice_contract::definition::{HeaderMatch, PolicyAttachment};
use sluice_contract::problem::Problem;
use sluice_contract::rest::environments::Environment;

use super::Subject;
use super::cors::{self, Verdict};
use super::request::{Operation, headers_of, is_value, query_of};
use crate::components::{Button, Kind, SelectField, TextArea, TextField};
use crate::curl::Command;
use crate::icons::ROCKET;
use crate::state::{Task, effect, set_url_values, url_text};

const KEY_HEADER: &str = "X-API-Key";

/// What was chosen and typed.
#[derive(Clone, Copy)]
pub struct Inputs {
    subject: StoredValue<Subject>,
    environments: Signal<Vec<Environment>>,
    /// Slug.
    environment: RwSignal<String>,
    gateway: RwSignal<String>,
    /// Id of the operation.
    operation: RwSignal<String>,
    chosen: Memo<Operation>,
    method: RwSignal<String>,
    /// A value for each name of a path parameter: operations that have one in common share it.
    values: StoredValue<BTreeMap<String, RwSignal<String>>>,
    query: RwSignal<String>,
    headers: RwSignal<String>,
    body: RwSignal<String>,
    key: RwSignal<String>,
}

impl Inputs {
    pub fn new(subject: Subject, environments: Signal<Vec<Environment>>) -> Self {
        let names = subject.operations.iter().flat_map(Operation::parameters);
        let values = names.map(|name| (name, RwSignal::new(String::new()))).collect();
        let subject = StoredValue::new(subject);
        let environments = Signal::derive(move || {
            let live = |it: &Environment| {
                subject.with_value(|known| known.releases.iter().any(|at| at.environment_slug == it.slug))
            };
            environments.get().into_iter().filter(live).collect::<Vec<_>>()
        });
        let operation = RwSignal::new(String::new());
        let chosen = Memo::new(move |_| {
            let id = operation.get();
            subject.with_value(|it| {
                let found = it.operations.iter().find(|operation| operation.id == id);
                found.or(it.operations.first()).cloned().unwrap_or_default()
            })
        });
        let text = || RwSignal::new(String::new());
        let inputs = Self {
            subject,
            environments,
            environment: text(),
            gateway: text(),
            operation,
            chosen,
            method: text(),
            values: StoredValue::new(values),
            query: text(),
            headers: text(),
            body: text(),
            key: text(),
        };
        inputs.follow_url();
        inputs.follow_choices();
        inputs
    }

    /// The URL names operation and environment, and learns of every other choice.
    fn follow_url(self) {
        let (operation, environment) = (url_text("route"), url_text("environment"));
        let set = set_url_values();
        self.operation.set(operation.get_untracked());
        self.environment.set(environment.get_untracked());
        effect(move || {
            let (wanted, place) = (self.operation.get(), self.environment.get());
            if wanted != operation.get_untracked() || place != environment.get_untracked() {
                set.run(vec![("route", wanted), ("environment", place)]);
            }
        });
    }

    /// What depends on a choice starts from what that choice offers.
    fn follow_choices(self) {
        effect(move || {
            let known = self.environments.get();
            let slug = self.environment.get();
            let found = known.iter().find(|it| it.slug == slug).or(known.first());
            let Some(found) = found else { return };
            if found.slug != slug {
                self.environment.set(found.slug.clone());
            }
            if !found.gateway_urls.contains(&self.gateway.get_untracked()) {
                self.gateway.set(found.gateway_urls.first().cloned().unwrap_or_default());
            }
        });
        effect(move || {
            let operation = self.chosen.get();
            if self.operation.with_untracked(|id| *id != operation.id) {
                self.operation.set(operation.id.clone());
            }
            let methods = operation.methods();
            if !methods.contains(&self.method.get_untracked()) {
                self.method.set(methods.into_iter().next().unwrap_or_default());
            }
            if !operation.headers.is_empty() {
                let line =
                    |it: &HeaderMatch| format!("{}: {}\n", it.name, it.value.as_deref().unwrap_or("1"));
                self.headers.set(operation.headers.iter().map(line).collect());
            }
        });
    }

    /// The environment that is chosen. Tracks.
    pub fn environment(self) -> Option<Environment> {
        let slug = self.environment.get();
        self.environments.get().into_iter().find(|it| it.slug == slug)
    }

    /// Where the gateway is reached; empty when that is not known. Tracks.
    pub fn gateway(self) -> String {
        self.gateway.get()
    }

    pub fn key(self) -> String {
        self.key.get_untracked().trim().to_owned()
    }

    /// Whether this page may read what comes back. Tracks.
    pub fn verdict(self, origin: &str) -> Verdict {
        let [route, api, environment] = self.policies();
        cors::verdict(origin, &route, &api, &environment)
    }

    /// What is attached to the operation, to the API and to the environment that is chosen. Tracks.
    fn policies(self) -> [Vec<PolicyAttachment>; 3] {
        let route = self.chosen.get().id;
        let (slug, environment) =
            self.environment().map(|it| (it.slug, it.settings.policies)).unwrap_or_default();
        let (of_route, of_api) = self.subject.with_value(|it| {
            let release = it.releases.iter().find(|at| at.environment_slug == slug);
            let of_route = release.and_then(|at| at.routes.get(&route)).cloned();
            (of_route.unwrap_or_default(), release.map(|at| at.policies.clone()).unwrap_or_default())
        });
        [of_route, of_api, environment]
    }

    /// The header that the key goes into, when one is needed: the most specific key policy says which. Tracks.
    fn key_header(self) -> Option<String> {
        if !self.chosen.get().needs_key {
            return None;
        }
        let named = self.policies().iter().find_map(|policies| {
            let policy = policies.iter().rev().find(|policy| policy.kind == "key-auth" && policy.enabled)?;
            Some(policy.settings.get("header").and_then(Value::as_str).unwrap_or(KEY_HEADER).to_owned())
        });
        Some(named.unwrap_or_else(|| KEY_HEADER.to_owned()))
    }

    /// The request, without the key. Tracks.
    pub fn command(self) -> Result<Command, Problem> {
        let operation = self.chosen.get();
        let headers = headers_of(&self.headers.get()).map_err(|line| {
            Problem::new(0, "invalid_header", "A header cannot be read")
                .detail(format!("`{line}` is not `Name: value`."))
        })?;
        if !is_value(&self.key.get()) {
            return Err(Problem::new(0, "invalid_key", "This cannot be a key")
                .detail("It has signs that no key has."));
        }
        let value = |name: &str| {
            let typed = self.values.with_value(|values| values.get(name).map(|value| value.get()));
            typed.unwrap_or_default()
        };
        let gateway = match self.gateway.get() {
            unknown if unknown.is_empty() => "http://<gateway>".to_owned(),
            known => known,
        };
        let base = self.subject.with_value(|it| it.base_path.clone());
        let path = operation.filled(value);
        let url = format!("{gateway}{base}{path}{}", query_of(&self.query.get()));
        let method = self.method.get();
        let mut command = Command { method, url, headers, key_header: self.key_header(), body: None };
        let body = self.body.get();
        if takes_body(&command.method) && !body.is_empty() {
            if !command.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                command.headers.push(("content-type".to_owned(), "application/json".to_owned()));
            }
            command.body = Some(body);
        }
        Ok(command)
    }
}

fn takes_body(method: &str) -> bool {
    !matches!(method, "GET" | "HEAD")
}

#[component]
pub fn Form(inputs: Inputs, task: Task, #[prop(into)] on_send: Callback<()>) -> impl IntoView {
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        on_send.run(());
    };
    let places = Signal::derive(move || {
        inputs.environments.get().into_iter().map(|it| (it.slug, it.name)).collect::<Vec<_>>()
    });
    let gateways = Signal::derive(move || {
        let urls = inputs.environment().map(|it| it.gateway_urls).unwrap_or_default();
        urls.into_iter().map(|url| (url.clone(), url)).collect::<Vec<_>>()
    });
    let operations = inputs.subject.with_value(|it| {
        it.operations.iter().map(|operation| (operation.id.clone(), operation.title())).collect::<Vec<_>>()
    });
    let methods = Signal::derive(move || {
        inputs.chosen.get().methods().into_iter().map(|method| (method.clone(), method)).collect::<Vec<_>>()
    });
    let several = |options: Signal<Vec<(String, String)>>| move || options.with(|options| options.len() > 1);
    let parameters = move || {
        let names = inputs.chosen.get().parameters();
        let fields = names.into_iter().filter_map(|name| {
            let value = inputs.values.with_value(|values| values.get(&name).copied())?;
            Some(view! { <TextField label=name value required=true mono=true /> })
        });
        fields.collect_view()
    };
    let body = move || {
        takes_body(&inputs.method.get())
            .then(|| view! { <TextArea label="Body" value=inputs.body mono=true tall=true optional=true /> })
    };
    // Only whether and where: typing the key redraws nothing.
    let key_header = Memo::new(move |_| inputs.key_header());
    let key = move || {
        key_header.get().map(|header| {
            view! {
                <TextField
                    label="Key"
                    value=inputs.key
                    kind="password"
                    autocomplete="off"
                    optional=true
                    mono=true
                    help=format!("Sent as {header}. It is neither stored nor shown: reload the page and it is gone.")
                />
            }
        })
    };
    view! {
        <form class="form" on:submit=submit autocomplete="off">
            <Show when=several(places)>
                <SelectField label="Environment" value=inputs.environment options=places />
            </Show>
            <Show when=several(gateways)>
                <SelectField label="Gateway" value=inputs.gateway options=gateways />
            </Show>
            <SelectField label="Operation" value=inputs.operation options=Signal::stored(operations) />
            <Show when=several(methods)>
                <SelectField label="Method" value=inputs.method options=methods />
            </Show>
            {parameters}
            <TextField label="Query" value=inputs.query mono=true optional=true placeholder="page=2&size=10" />
            {key}
            <TextArea
                label="Headers"
                value=inputs.headers
                mono=true
                optional=true
                placeholder="Accept: application/json"
                help="One on each line. Browsers set Host, Cookie and Content-Length themselves."
            />
            {body}
            <div class="form-actions">
                <Button
                    kind=Kind::Primary
                    icon=ROCKET
                    submit=true
                    busy=task.busy()
                    disabled=Signal::derive(move || inputs.gateway.with(String::is_empty))
                >
                    "Send"
                </Button>
            </div>
        </form>
    }
}
