//! The policies of an environment, an API or a route: attached, configured by the schemas of their types, removed.

mod meaning;

use leptos::prelude::*;
use serde_json::Value;
use sluice_contract::definition::PolicyAttachment;
use sluice_contract::problem::FieldProblem;
use sluice_contract::rest::policy_types::{PolicyScope, PolicyType};

use super::{
    Badge, Button, Dialog, DialogForm, EmptyState, EntryCard, JsonForm, SelectField, Switch, TaskProblem,
    Tone,
};
use crate::api;
use crate::icons::{PLUS, SLIDERS};
use crate::state::{Remote, Task, effect, opened_by, remote};
use meaning::{Confirmations, Staleness, confirmed_whole};

/// What stores a changed list: the task that reports it, the list, and what to do once it is stored.
pub type SavePolicies = Callback<(Task, Vec<PolicyAttachment>, Callback<()>)>;

/// Which attachment is being edited: its index, or a new one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject {
    New,
    At(usize),
}

/// Cards of what is attached, and the dialog that attaches and edits. `children` stand before the button.
#[component]
pub fn PolicyList(
    #[prop(into)] attached: Signal<Vec<PolicyAttachment>>,
    /// What they are attached to: decides which types are offered.
    #[prop(into)]
    scope: Signal<PolicyScope>,
    may_edit: bool,
    #[prop(into)] on_save: SavePolicies,
    children: Children,
) -> impl IntoView {
    let types = remote(|| async { api::get::<Vec<PolicyType>>("/policy-types").await });
    let editing = RwSignal::new(None::<Subject>);
    let task = Task::new();
    let remove = move |i: usize| {
        let mut list = attached.get_untracked();
        list.remove(i);
        on_save.run((task, list, Callback::new(|()| ())));
    };
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
        let known = types.get().unwrap_or_default();
        let cards = attached.into_iter().enumerate().map(|(i, it)| {
            let title = known.iter().find(|known| known.kind == it.kind);
            let title = title.map_or_else(|| it.kind.clone(), |known| known.title.clone());
            card(it, title, may_edit, move |()| editing.set(Some(Subject::At(i))), move |()| remove(i))
        });
        cards.collect_view().into_any()
    };
    view! {
        <div class="stack">
            <div class="toolbar">
                {children()} <span class="grow"></span>
                <Show when=move || may_edit>
                    <Button icon=PLUS on_click=move |()| editing.set(Some(Subject::New))>
                        "Attach policy"
                    </Button>
                </Show>
            </div>
            <TaskProblem task />
            {cards}
        </div>
        <Edit editing attached scope types on_save />
    }
}

fn card(
    attachment: PolicyAttachment,
    title: String,
    may_edit: bool,
    on_edit: impl Fn(()) + Send + Sync + 'static,
    on_remove: impl Fn(()) + Send + Sync + 'static,
) -> impl IntoView {
    let PolicyAttachment { kind: _, enabled, settings } = attachment;
    let (tone, text) = if enabled { (Tone::Ok, "on") } else { (Tone::Idle, "off") };
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
    let rows = rows.collect_view();
    view! {
        <EntryCard title aside=move || view! { <Badge tone text /> } may_edit on_edit on_remove>
            {rows}
        </EntryCard>
    }
}

#[component]
fn Edit(
    editing: RwSignal<Option<Subject>>,
    attached: Signal<Vec<PolicyAttachment>>,
    scope: Signal<PolicyScope>,
    types: Remote<Vec<PolicyType>>,
    on_save: SavePolicies,
) -> impl IntoView {
    let task = Task::new();
    let open = opened_by(editing);
    let kind = RwSignal::new(String::new());
    // The kind that the settings are of: a form drawn before they have arrived would show those of another.
    let drawn = RwSignal::new(String::new());
    let enabled = RwSignal::new(true);
    let settings = RwSignal::new(Value::Null);
    let missed = RwSignal::new(false);
    let offered = Memo::new(move |_| {
        let scope = scope.get();
        let known = types.get().unwrap_or_default();
        known.into_iter().filter(|it| it.scopes.contains(&scope)).collect::<Vec<_>>()
    });
    effect(move || {
        let Some(subject) = editing.get() else { return };
        task.clear();
        missed.set(false);
        let present = match subject {
            Subject::At(i) => attached.with_untracked(|attached| attached.get(i).cloned()),
            Subject::New => None,
        };
        match present {
            Some(it) => {
                settings.set(it.settings);
                drawn.set(it.kind.clone());
                kind.set(it.kind);
                enabled.set(it.enabled);
            }
            None => {
                let first = offered.with_untracked(|offered| offered.first().cloned());
                if let Some(first) = first {
                    settings.set(first.example);
                    drawn.set(first.kind.clone());
                    kind.set(first.kind);
                }
                enabled.set(true);
            }
        }
    });
    // The types can arrive after the dialog has opened.
    effect(move || {
        let first = offered.with(|offered| offered.first().map(|it| it.kind.clone()));
        if let (Some(first), Some(Subject::New), true) =
            (first, editing.get(), kind.with_untracked(String::is_empty))
        {
            kind.set(first);
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
            drawn.set(now.clone());
        }
        before = now;
    });
    let submit = move |()| {
        let Some(subject) = editing.get_untracked() else { return };
        let kind = kind.get_untracked();
        let whole = settings.with_untracked(|settings| confirmed_whole(&kind, settings));
        missed.set(whole.is_none());
        let Some(settings) = whole else { return };
        let attachment = PolicyAttachment { kind, enabled: enabled.get_untracked(), settings };
        let mut list = attached.get_untracked();
        match subject {
            Subject::At(i) if i < list.len() => list[i] = attachment,
            _ => list.push(attachment),
        }
        on_save.run((task, list, Callback::new(move |()| open.set(false))));
    };
    let options =
        Signal::derive(move || offered.get().into_iter().map(|it| (it.kind, it.title)).collect::<Vec<_>>());
    let errors = Signal::derive(move || below_settings(task));
    let form = move || {
        let kind = drawn.get();
        let schema = offered.with(|offered| offered.iter().find(|it| it.kind == kind).cloned());
        schema.map(|it| {
            view! {
                <p class="secondary small">{it.description}</p>
                <JsonForm schema=it.schema value=settings errors />
            }
        })
    };
    let is_new = Signal::derive(move || !matches!(editing.get(), Some(Subject::At(_))));
    let title = Signal::derive(move || if is_new.get() { "Attach policy" } else { "Edit policy" }.to_owned());
    view! {
        <Dialog open title wide=true>
            <DialogForm open task action="Save" on_submit=submit fields_shown=false>
                <SelectField
                    label="Policy"
                    value=kind
                    options
                    disabled=Signal::derive(move || !is_new.get())
                />
                <Switch label="Enabled" checked=enabled />
                <Staleness kind settings />
                {form}
                <Confirmations kind settings missed />
            </DialogForm>
        </Dialog>
    }
}

/// The API's field problems, as pointers into the settings of the policy: `/settings/policies/0/settings/ttl_s` for
/// an environment, `/draft/policies/0/settings/ttl_s` for an API.
fn below_settings(task: Task) -> Vec<FieldProblem> {
    let problems = task.problem().get().map(|problem| problem.fields).unwrap_or_default();
    let inside = problems.into_iter().filter_map(|mut field| {
        let (_, of_policy) = field.pointer.rsplit_once("/policies/")?;
        field.pointer = of_policy.split_once("/settings")?.1.to_owned();
        Some(field)
    });
    inside.collect()
}
