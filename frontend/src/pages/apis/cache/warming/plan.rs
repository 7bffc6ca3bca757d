//! The form of a plan: where addresses come from, how fast, and when by itself.

use leptos::prelude::*;
use sluice_contract::rest::warmings::KeptWarmingPlan;

use super::fields::{Fields, wrong_source};
use super::plan_path;
use crate::api;
use crate::components::{Dialog, DialogForm, SelectField, Switch, TextArea, TextField, use_toasts};
use crate::pages::apis::draft::use_draft;
use crate::state::{Task, effect, opened_by};

/// The plan that the signal holds, while it holds one.
#[component]
pub(super) fn PlanDialog(
    editing: RwSignal<Option<KeptWarmingPlan>>,
    #[prop(into)] on_saved: Callback<()>,
) -> impl IntoView {
    let draft = use_draft();
    let toasts = use_toasts();
    let task = Task::new();
    let fields = Fields::new();
    let open = opened_by(editing);
    effect(move || {
        if let Some(kept) = editing.get() {
            task.clear();
            fields.show(kept.plan);
        }
    });
    let submit = move |()| {
        let Some(kept) = editing.get_untracked() else { return };
        let plan = match fields.read() {
            Ok(plan) => plan,
            Err(problem) => return task.fail(problem),
        };
        let path = plan_path(draft, kept.environment);
        let work = async move {
            api::put::<_, KeptWarmingPlan>(&path, &plan, Some(&api::version_tag(kept.version))).await
        };
        task.run(work, move |_| {
            toasts.done("Plan saved");
            open.set(false);
            on_saved.run(());
        });
    };
    view! {
        <Dialog open title="Plan for warming" wide=true>
            <DialogForm open task action="Save plan" on_submit=submit>
                <Sources fields task />
                <Manner fields task />
                <Switch label="After each release" checked=fields.on_release />
                <Switch
                    label="When a gateway comes up"
                    checked=fields.on_gateway
                    help="Only that gateway, which begins with an empty memory."
                />
                <SelectField label="By the clock" value=fields.when options=schedules() />
                {move || schedule_field(fields, task)}
            </DialogForm>
        </Dialog>
    }
}

#[component]
fn Sources(fields: Fields, task: Task) -> impl IntoView {
    view! {
        <Listed paths=fields.paths sitemaps=fields.sitemaps task />
        <TextField
            label="Most asked for"
            kind="number"
            value=fields.top
            optional=true
            error=wrong_source(task, "count")
            help="So many addresses that were asked for most in the last day, from the call log."
        />
    }
}

/// Addresses that are named, one a line.
#[component]
pub(super) fn Listed(paths: RwSignal<String>, sitemaps: RwSignal<String>, task: Task) -> impl IntoView {
    let none = task.field("/sources");
    let listed = wrong_source(task, "paths");
    view! {
        <TextArea
            label="Paths"
            value=paths
            optional=true
            mono=true
            placeholder="/items?page=1"
            error=Signal::derive(move || listed.get().or_else(|| none.get()))
            help="One a line, below the API's base, with the query as callers send it."
        />
        <TextArea
            label="Sitemaps"
            value=sitemaps
            optional=true
            mono=true
            placeholder="https://www.example.com/sitemap.xml"
            error=wrong_source(task, "url")
            help="One a line. Locations on hosts of the API are warmed, or on the sitemap's own; an index is followed."
        />
    }
}

/// How addresses are fetched.
#[component]
fn Manner(fields: Fields, task: Task) -> impl IntoView {
    view! {
        <div class="grid" data-min="sm">
            <TextField
                label="Requests a second"
                kind="number"
                value=fields.per_second
                required=true
                error=task.field("/pace/per_second")
            />
            <TextField
                label="Requests at a time"
                kind="number"
                value=fields.concurrency
                required=true
                error=task.field("/pace/concurrency")
            />
        </div>
        <TextField
            label="Address of callers"
            value=fields.address
            optional=true
            mono=true
            placeholder="https://api.example.com"
            error=task.field("/address")
            help="Scheme and host as callers write them: stored answers are told apart by both. Empty: the API's own host, or each gateway's address."
        />
        <TextField
            label="Renew (seconds)"
            kind="number"
            value=fields.renew
            required=true
            error=task.field("/renew_s")
            help="Fetch anew what stays fresh for less than that."
        />
    }
}

fn schedules() -> Vec<(String, String)> {
    [("never", "never"), ("every", "every so many minutes"), ("daily", "once a day")]
        .map(|(key, text)| (key.to_owned(), text.to_owned()))
        .to_vec()
}

fn schedule_field(fields: Fields, task: Task) -> Option<AnyView> {
    match fields.when.get().as_str() {
        "every" => {
            let error = task.field("/schedule/minutes");
            Some(view! { <TextField label="Minutes" kind="number" value=fields.minutes error /> }.into_any())
        }
        "daily" => {
            let error = task.field("/schedule/minute");
            Some(
                view! { <TextField label="Time of day, UTC" kind="time" value=fields.time error /> }
                    .into_any(),
            )
        }
        _ => None,
    }
}
