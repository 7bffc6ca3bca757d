//! Plans of an API: what a subscription allows.

use leptos::prelude::*;
use serde_json::{Value, json};
use sluice_contract::definition::PolicyAttachment;
use sluice_contract::rest::plans::{Approval, Plan, SavePlan};
use sluice_contract::rest::session::Permission;

use super::draft::{Draft, use_draft};
use crate::api;
use crate::components::{
    Ago, Badge, Button, Column, DataTable, DeleteDialog, Deletion, Dialog, EmptyState, Kind, SelectField,
    Switch, TaskProblem, TextField, Tone, use_toasts,
};
use crate::icons::{PENCIL, PLUS, TAG, TRASH};
use crate::session::use_current;
use crate::state::{Paged, Task, effect, paged};

const RATE_LIMIT: &str = "rate-limit";

#[component]
pub fn PlansTab() -> impl IntoView {
    let draft = use_draft();
    let current = use_current();
    let list = paged::<Plan>(move || draft.path("/plans?sort=created_at"));
    let open = RwSignal::new(false);
    let subject = RwSignal::new(None::<Plan>);
    let deleting = RwSignal::new(None);
    let may_edit = current.can(Permission::ManageApis);
    let create = move |()| {
        subject.set(None);
        open.set(true);
    };
    view! {
        <div class="toolbar">
            <p class="secondary small">"Changes of a plan reach its subscribers at once, without a release."</p>
            <span class="grow"></span>
            <Show when=move || may_edit>
                <Button icon=PLUS on_click=create>
                    "New plan"
                </Button>
            </Show>
        </div>
        <DataTable
            label="Plans"
            columns=columns(draft, subject, open, deleting, may_edit)
            list
            empty=|| view! {
                <EmptyState
                    icon=TAG
                    title="No plan yet"
                    note="Consumers subscribe to a plan. Create one to let them in."
                />
            }
        />
        <Edit subject open list />
        <DeleteDialog deleting on_deleted=move |()| list.reload() />
    }
}

fn columns(
    draft: Draft,
    subject: RwSignal<Option<Plan>>,
    open: RwSignal<bool>,
    deleting: RwSignal<Option<Deletion>>,
    may_edit: bool,
) -> Vec<Column<Plan>> {
    vec![
        Column::new("Name", |it: &Plan| {
            view! {
                <span class="stack" data-gap="0">
                    <strong>{it.name.clone()}</strong>
                    <span class="secondary tiny">{it.description.clone()}</span>
                </span>
            }
        }),
        Column::new("Limit", |it: &Plan| {
            limit_of(&it.policies).map(|(requests, period)| format!("{requests} in {period} s"))
        }),
        Column::new("Approval", |it: &Plan| match it.approval {
            Approval::Automatic => view! { <Badge tone=Tone::Ok text="automatic" /> },
            Approval::Manual => view! { <Badge tone=Tone::Info text="manual" /> },
        }),
        Column::new("State", |it: &Plan| if it.closed { "closed" } else { "open" }),
        Column::new("Created", |it: &Plan| view! { <Ago at=it.created_at /> }),
        Column::new("", move |it: &Plan| {
            let mine = it.clone();
            let deletion = Deletion {
                path: draft.path(&format!("/plans/{}", it.id)),
                version: it.version,
                kind: "plan",
                name: it.name.clone(),
                note: "A plan with subscriptions cannot be deleted: close it instead.",
            };
            may_edit.then(|| {
                view! {
                    <Button
                        size="sm"
                        kind=Kind::Quiet
                        icon=PENCIL
                        label=format!("Edit {}", it.name)
                        on_click=move |()| {
                            subject.set(Some(mine.clone()));
                            open.set(true);
                        }
                    />
                    <Button
                        size="sm"
                        kind=Kind::Quiet
                        icon=TRASH
                        label=format!("Delete {}", it.name)
                        on_click=move |()| deleting.set(Some(deletion.clone()))
                    />
                }
            })
        })
        .end(),
    ]
}

/// Requests and period of a plan's rate limit.
fn limit_of(policies: &[PolicyAttachment]) -> Option<(u64, u64)> {
    let settings = &policies.iter().find(|it| it.kind == RATE_LIMIT && it.enabled)?.settings;
    let number = |key: &str| settings.get(key).and_then(Value::as_u64);
    Some((number("requests")?, number("period_s").unwrap_or(60)))
}

/// The same policies with this rate limit; what else they say stays.
fn with_limit(mut policies: Vec<PolicyAttachment>, requests: &str, period: &str) -> Vec<PolicyAttachment> {
    policies.retain(|it| it.kind != RATE_LIMIT);
    if let Ok(requests) = requests.trim().parse::<u64>() {
        let period = period.trim().parse::<u64>().unwrap_or(60);
        let settings = json!({ "requests": requests, "period_s": period });
        policies.push(PolicyAttachment { kind: RATE_LIMIT.to_owned(), enabled: true, settings });
    }
    policies
}

#[component]
fn Edit(subject: RwSignal<Option<Plan>>, open: RwSignal<bool>, list: Paged<Plan>) -> impl IntoView {
    let draft = use_draft();
    let toasts = use_toasts();
    let task = Task::new();
    let [name, description, requests, period] = [(); 4].map(|()| RwSignal::new(String::new()));
    let approval = RwSignal::new("manual".to_owned());
    let closed = RwSignal::new(false);
    effect(move || {
        if !open.get() {
            return;
        }
        task.clear();
        let plan = subject.get_untracked();
        let limit = plan.as_ref().and_then(|it| limit_of(&it.policies));
        name.set(plan.as_ref().map(|it| it.name.clone()).unwrap_or_default());
        description.set(plan.as_ref().map(|it| it.description.clone()).unwrap_or_default());
        requests.set(limit.map(|(requests, _)| requests.to_string()).unwrap_or_default());
        period.set(limit.map_or_else(|| "60".to_owned(), |(_, period)| period.to_string()));
        let automatic = plan.as_ref().is_some_and(|it| it.approval == Approval::Automatic);
        approval.set(if automatic { "automatic" } else { "manual" }.to_owned());
        closed.set(plan.is_some_and(|it| it.closed));
    });
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let before = subject.get_untracked();
        let policies = before.as_ref().map(|it| it.policies.clone()).unwrap_or_default();
        let body = SavePlan {
            name: name.get_untracked(),
            description: description.get_untracked(),
            approval: if approval.get_untracked() == "automatic" {
                Approval::Automatic
            } else {
                Approval::Manual
            },
            policies: with_limit(policies, &requests.get_untracked(), &period.get_untracked()),
            closed: closed.get_untracked(),
        };
        let path = match &before {
            Some(plan) => draft.path(&format!("/plans/{}", plan.id)),
            None => draft.path("/plans"),
        };
        let etag = before.map(|plan| api::version_tag(plan.version));
        let save = async move {
            match etag {
                Some(etag) => api::put::<_, Plan>(&path, &body, Some(&etag)).await,
                None => api::post::<_, Plan>(&path, &body).await,
            }
        };
        task.run(save, move |plan| {
            open.set(false);
            toasts.done(format!("Plan {} saved", plan.name));
            list.reload();
        });
    };
    let title = Signal::derive(move || {
        if subject.with(Option::is_some) { "Edit plan" } else { "New plan" }.to_owned()
    });
    let approvals = Signal::stored(vec![
        ("manual".to_owned(), "A person decides".to_owned()),
        ("automatic".to_owned(), "Approved at once".to_owned()),
    ]);
    view! {
        <Dialog open title>
            <form class="form" on:submit=submit>
                <TaskProblem task />
                <TextField
                    label="Name"
                    value=name
                    required=true
                    autofocus=true
                    error=task.field("/name")
                />
                <TextField label="Description" value=description optional=true />
                <SelectField label="Approval" value=approval options=approvals />
                <TextField
                    label="Requests"
                    value=requests
                    kind="number"
                    optional=true
                    help="How many each subscription may make in one period; empty for no limit."
                />
                <TextField label="Period (seconds)" value=period kind="number" />
                <Switch label="Closed to new subscriptions" checked=closed />
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_replaces_the_one_before_and_nothing_else() {
        let other = PolicyAttachment { kind: "headers".to_owned(), enabled: true, settings: json!({}) };
        let policies = with_limit(vec![other.clone()], "10", "1");
        let policies = with_limit(policies, "20", "60");
        assert_eq!(limit_of(&policies), Some((20, 60)));
        assert_eq!(with_limit(policies, "", "60"), [other]);
    }
}
