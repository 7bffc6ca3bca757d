//! Environments: where APIs are released to. For platform administrators.

use leptos::prelude::*;
use serde_json::{Value, json};
use sluice_contract::rest::environments::{CreateEnvironment, Environment};

use crate::api;
use crate::components::{
    Badge, Button, Column, Crumb, DataTable, Dialog, DialogForm, EmptyState, JsonForm, Kind, TextField, Tone,
    set_page, use_toasts,
};
use crate::icons::{LAYERS, PENCIL, PLUS};
use crate::session::use_current;
use crate::state::{Paged, Task, effect, opened_by, paged};

#[component]
pub fn Environments() -> impl IntoView {
    set_page(|| vec![Crumb::link("Settings", "/settings"), Crumb::here("Environments")]);
    let current = use_current();
    let list = paged::<Environment>(move || current.path("/environments"));
    let creating = RwSignal::new(false);
    let editing = RwSignal::new(None::<Environment>);
    view! {
        <div class="toolbar">
            <p class="secondary small">"A gateway serves one environment. Open one to attach policies to all of its APIs."</p>
            <span class="grow"></span>
            <Button kind=Kind::Primary icon=PLUS on_click=move |()| creating.set(true)>
                "New environment"
            </Button>
        </div>
        <DataTable
            label="Environments"
            columns=columns(editing)
            list
            href=|it: &Environment| format!("/settings/environments/{}", it.id)
            empty=|| view! {
                <EmptyState icon=LAYERS title="No environment" note="Create one, then enrol gateways into it." />
            }
        />
        <Create open=creating list />
        <Edit editing list />
    }
}

fn columns(editing: RwSignal<Option<Environment>>) -> Vec<Column<Environment>> {
    vec![
        Column::new("Name", |it: &Environment| view! { <strong>{it.name.clone()}</strong> }),
        Column::new("Slug", |it: &Environment| view! { <code>{it.slug.clone()}</code> }),
        Column::new("For", |it: &Environment| match it.dedicated_to {
            Some(_) => view! { <Badge tone=Tone::Info text="one tenant" /> },
            None => view! { <Badge text="all tenants" /> },
        }),
        Column::new("Journal position", |it: &Environment| it.head).end(),
        Column::new("", move |it: &Environment| {
            let mine = it.clone();
            view! {
                <Button
                    size="sm"
                    kind=Kind::Quiet
                    icon=PENCIL
                    label=format!("Edit {}", it.name)
                    on_click=move |()| editing.set(Some(mine.clone()))
                />
            }
        })
        .end(),
    ]
}

#[component]
fn Create(open: RwSignal<bool>, list: Paged<Environment>) -> impl IntoView {
    let toasts = use_toasts();
    let task = Task::new();
    let (name, slug) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    effect(move || {
        if open.get() {
            name.set(String::new());
            slug.set(String::new());
            task.clear();
        }
    });
    let submit = move |()| {
        let body =
            CreateEnvironment { slug: slug.get_untracked(), name: name.get_untracked(), dedicated_to: None };
        task.run(async move { api::post::<_, Environment>("/environments", &body).await }, move |made| {
            open.set(false);
            toasts.done(format!("Environment {} created", made.name));
            list.reload();
        });
    };
    view! {
        <Dialog open title="New environment">
            <DialogForm open task action="Create" on_submit=submit>
                <TextField label="Name" value=name required=true autofocus=true placeholder="Staging" error=task.field("/name") />
                <TextField
                    label="Slug"
                    value=slug
                    required=true
                    mono=true
                    placeholder="staging"
                    help="Lower-case letters, digits, hyphens. It never changes."
                    error=task.field("/slug")
                />
            </DialogForm>
        </Dialog>
    }
}

/// The form of `UpdateEnvironment`. Policies are not in it and stay as they are: they have a page of their own.
fn schema() -> Value {
    let texts = |order: u32, title: &str, description: &str| {
        let items = json!({ "type": "string" });
        json!({ "type": "array", "items": items, "title": title, "description": description, "x-order": order })
    };
    let number = |order: u32, title: &str| json!({ "type": "integer", "minimum": 0, "title": title, "x-order": order });
    json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "title": "Name" },
            "settings": {
                "type": "object",
                "title": "Settings",
                "properties": {
                    "trusted_proxies": texts(1, "Trusted proxies", "Networks, as in 10.0.0.0/8, whose forwarded headers are believed."),
                    "allowed_networks": texts(2, "Allowed networks", "Networks that upstreams may be in although they are refused by default: loopback, private, link-local."),
                    "max_offline_s": {
                        "type": ["integer", "null"], "x-order": 3, "title": "Longest time without the control plane (s)",
                        "description": "A gateway that has not heard of it for longer stops serving. Empty: it serves for ever."
                    },
                    "limits": {
                        "type": "object",
                        "x-order": 4,
                        "title": "Limits on requests",
                        "properties": {
                            "body_bytes": number(1, "Body (bytes)"),
                            "header_bytes": number(2, "All headers (bytes)"),
                            "header_count": number(3, "Headers"),
                            "header_timeout_ms": number(4, "Time for the headers to arrive (ms)"),
                            "body_idle_ms": number(5, "Time between two pieces of a body (ms)")
                        },
                        "required": ["body_bytes", "header_bytes", "header_count", "header_timeout_ms", "body_idle_ms"]
                    }
                },
                "required": ["trusted_proxies", "allowed_networks", "limits"]
            }
        },
        "required": ["name", "settings"]
    })
}

#[component]
fn Edit(editing: RwSignal<Option<Environment>>, list: Paged<Environment>) -> impl IntoView {
    let toasts = use_toasts();
    let task = Task::new();
    let value = RwSignal::new(Value::Null);
    effect(move || {
        if let Some(environment) = editing.get() {
            value.set(json!({ "name": environment.name, "settings": environment.settings }));
            task.clear();
        }
    });
    // After the value: the form is built from it when the dialog opens.
    let open = opened_by(editing);
    let submit = move |()| {
        let Some(environment) = editing.get_untracked() else { return };
        let (path, etag) =
            (format!("/environments/{}", environment.id), api::version_tag(environment.version));
        let body = value.get_untracked();
        task.run(async move { api::put::<_, Environment>(&path, &body, Some(&etag)).await }, move |saved| {
            open.set(false);
            toasts.done(format!("Environment {} saved", saved.name));
            list.reload();
        });
    };
    let errors =
        Signal::derive(move || task.problem().get().map(|problem| problem.fields).unwrap_or_default());
    view! {
        <Dialog open wide=true title="Edit environment">
            <DialogForm open task action="Save" on_submit=submit fields_shown=false>
                <JsonForm schema=schema() value errors />
            </DialogForm>
        </Dialog>
    }
}

#[cfg(test)]
mod tests {
    use sluice_contract::environment::EnvironmentSettings;

    use super::*;

    #[test]
    fn the_form_has_every_setting_but_policies() {
        let settings = serde_json::to_value(EnvironmentSettings::default()).unwrap();
        let schema = schema();
        let known = &schema["properties"]["settings"]["properties"];
        for (key, value) in settings.as_object().unwrap().iter().filter(|(key, _)| *key != "policies") {
            assert!(known.get(key).is_some(), "{key} has no field");
            for inner in value.as_object().into_iter().flatten().map(|(inner, _)| inner) {
                assert!(known[key]["properties"].get(inner).is_some(), "{key}/{inner} has no field");
            }
        }
    }
}
