//! Policies of an API, or of one of its routes: attached and configured by their schemas.

use leptos::prelude::*;
use serde_json::Value;
use sluice_contract::definition::{ApiDefinition, PolicyAttachment};
use sluice_contract::problem::FieldProblem;
use sluice_contract::rest::policy_types::{PolicyScope, PolicyType};
use sluice_contract::rest::session::Permission;

use super::draft::use_draft;
use crate::api;
use crate::components::{
    Badge, Button, Dialog, EmptyState, JsonForm, Kind, Panel, SelectField, Switch, TaskProblem, Tone,
};
use crate::icons::{PENCIL, PLUS, SLIDERS, TRASH};
use crate::session::use_current;
use crate::state::{Remote, Task, effect, opened_by, remote};

/// Which attachment is being edited: its index, or a new one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject {
    New,
    At(usize),
}

#[component]
pub fn PoliciesTab() -> impl IntoView {
    let draft = use_draft();
    let current = use_current();
    let types = remote(|| async { api::get::<Vec<PolicyType>>("/policy-types").await });
    // The route whose policies are shown; empty: the API's own.
    let place = RwSignal::new(String::new());
    let editing = RwSignal::new(None::<Subject>);
    let task = Task::new();
    let may_edit = current.can(Permission::ManageApis);
    let places = Signal::derive(move || {
        let whole = ("".to_owned(), "Every route of the API".to_owned());
        let routes = draft.definition().routes.into_iter().map(|route| (route.id.clone(), route.id));
        std::iter::once(whole).chain(routes).collect::<Vec<_>>()
    });
    let attached = Memo::new(move |_| attachments(&draft.definition(), &place.get()).to_vec());
    let cards = move || {
        let attached = attached.get();
        if attached.is_empty() {
            return view! {
                <EmptyState
                    icon=SLIDERS
                    title="No policy here"
                    note="Attach one to cache responses, limit requests, change headers or paths, or allow other origins."
                />
            }
            .into_any();
        }
        let remove = move |i: usize| {
            let place = place.get_untracked();
            draft.save(
                task,
                move |update| {
                    if let Some(list) = attachments_mut(&mut update.draft, &place) {
                        list.remove(i);
                    }
                },
                || (),
            );
        };
        let known = types.get().unwrap_or_default();
        let cards = attached.into_iter().enumerate().map(|(i, it)| {
            let title = known.iter().find(|known| known.kind == it.kind);
            let title = title.map_or_else(|| it.kind.clone(), |known| known.title.clone());
            card(it, title, may_edit, move || editing.set(Some(Subject::At(i))), move || remove(i))
        });
        cards.collect_view().into_any()
    };
    view! {
        <div class="stack">
            <div class="toolbar">
                <SelectField label="Attached to" value=place options=places />
                <span class="grow"></span>
                <Show when=move || may_edit>
                    <Button icon=PLUS on_click=move |()| editing.set(Some(Subject::New))>
                        "Attach policy"
                    </Button>
                </Show>
            </div>
            <TaskProblem task />
            {cards}
        </div>
        <Edit editing place types />
    }
}

fn attachments<'d>(definition: &'d ApiDefinition, place: &str) -> &'d [PolicyAttachment] {
    match definition.routes.iter().find(|route| route.id == place) {
        Some(route) if !place.is_empty() => &route.policies,
        _ => &definition.policies,
    }
}

fn attachments_mut<'d>(
    definition: &'d mut ApiDefinition,
    place: &str,
) -> Option<&'d mut Vec<PolicyAttachment>> {
    if place.is_empty() {
        return Some(&mut definition.policies);
    }
    definition.routes.iter_mut().find(|route| route.id == place).map(|route| &mut route.policies)
}

fn card(
    attachment: PolicyAttachment,
    title: String,
    may_edit: bool,
    edit: impl Fn() + Send + Sync + 'static,
    remove: impl Fn() + Send + Sync + 'static,
) -> impl IntoView {
    let PolicyAttachment { kind: _, enabled, settings } = attachment;
    let state = if enabled {
        view! { <Badge tone=Tone::Ok text="on" /> }
    } else {
        view! { <Badge text="off" /> }
    };
    let rows = match settings {
        Value::Object(fields) => fields.into_iter().collect::<Vec<_>>(),
        _ => Vec::new(),
    };
    let rows = rows.into_iter().map(|(key, value)| {
        view! {
            <dt>{key}</dt>
            <dd>
                <code class="break">{value.to_string()}</code>
            </dd>
        }
    });
    let (edit_label, remove_label) = (format!("Edit {title}"), format!("Remove {title}"));
    let buttons = may_edit.then(|| {
        view! {
            <div class="row">
                <Button size="sm" icon=PENCIL label=edit_label on_click=move |()| edit()>
                    "Edit"
                </Button>
                <Button
                    size="sm"
                    kind=Kind::DangerQuiet
                    icon=TRASH
                    label=remove_label
                    on_click=move |()| remove()
                >
                    "Remove"
                </Button>
            </div>
        }
    });
    view! {
        <Panel title=title actions=move || state>
            <div class="stack">
                <dl class="facts">{rows.collect_view()}</dl>
                {buttons}
            </div>
        </Panel>
    }
}

#[component]
fn Edit(
    editing: RwSignal<Option<Subject>>,
    place: RwSignal<String>,
    types: Remote<Vec<PolicyType>>,
) -> impl IntoView {
    let draft = use_draft();
    let task = Task::new();
    let open = opened_by(editing);
    let kind = RwSignal::new(String::new());
    let enabled = RwSignal::new(true);
    let settings = RwSignal::new(Value::Null);
    let offered = Memo::new(move |_| {
        let scope = if place.get().is_empty() { PolicyScope::Api } else { PolicyScope::Route };
        let known = types.get().unwrap_or_default();
        known.into_iter().filter(|it| it.scopes.contains(&scope)).collect::<Vec<_>>()
    });
    effect(move || {
        let Some(subject) = editing.get() else { return };
        task.clear();
        let present = match subject {
            Subject::At(i) => untrack(|| attachments(&draft.api().draft, &place.get()).get(i).cloned()),
            Subject::New => None,
        };
        match present {
            Some(it) => {
                kind.set(it.kind);
                enabled.set(it.enabled);
                settings.set(it.settings);
            }
            None => {
                let first = offered.with_untracked(|offered| offered.first().cloned());
                if let Some(first) = first {
                    kind.set(first.kind);
                    settings.set(first.example);
                }
                enabled.set(true);
            }
        }
    });
    // Another type starts from its example.
    let mut before = String::new();
    effect(move || {
        let now = kind.get();
        if now != before && editing.get_untracked() == Some(Subject::New) {
            let example = offered.with_untracked(|offered| {
                offered.iter().find(|it| it.kind == now).map(|it| it.example.clone())
            });
            settings.set(example.unwrap_or_default());
        }
        before = now;
    });
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Some(subject) = editing.get_untracked() else { return };
        let attachment = PolicyAttachment {
            kind: kind.get_untracked(),
            enabled: enabled.get_untracked(),
            settings: settings.get_untracked(),
        };
        let place = place.get_untracked();
        draft.save(
            task,
            move |update| {
                let Some(list) = attachments_mut(&mut update.draft, &place) else { return };
                match subject {
                    Subject::At(i) if i < list.len() => list[i] = attachment,
                    _ => list.push(attachment),
                }
            },
            move || open.set(false),
        );
    };
    let options =
        Signal::derive(move || offered.get().into_iter().map(|it| (it.kind, it.title)).collect::<Vec<_>>());
    let errors = Signal::derive(move || below_settings(task));
    let form = move || {
        let kind = kind.get();
        let schema = offered.with(|offered| offered.iter().find(|it| it.kind == kind).cloned());
        schema.map(|it| {
            view! {
                <p class="secondary small">{it.description}</p>
                <JsonForm schema=it.schema value=settings errors />
            }
        })
    };
    let title = Signal::derive(move || match editing.get() {
        Some(Subject::At(_)) => "Edit policy".to_owned(),
        _ => "Attach policy".to_owned(),
    });
    let fixed = Signal::derive(move || matches!(editing.get(), Some(Subject::At(_))));
    view! {
        <Dialog open title wide=true>
            <form class="form" on:submit=submit>
                <TaskProblem task />
                <SelectField label="Policy" value=kind options disabled=fixed />
                <Switch label="Enabled" checked=enabled />
                {form}
                <div class="form-actions">
                    <Button on_click=move |()| open.set(false)>"Cancel"</Button>
                    <Button kind=Kind::Primary submit=true busy=task.busy()>
                        "Save"
                    </Button>
                </div>
            </form>
        </Dialog>
    }
}

/// The API's field problems, as pointers into the settings.
fn below_settings(task: Task) -> Vec<FieldProblem> {
    let problems = task.problem().get().map(|problem| problem.fields).unwrap_or_default();
    let inside = problems.into_iter().filter_map(|mut field| {
        field.pointer = field.pointer.split_once("/settings")?.1.to_owned();
        Some(field)
    });
    inside.collect()
}
