//! Warming the cache: now, by a plan, and what became of it gateway by gateway.

mod plan;
mod shown;

use std::time::Duration;

use leptos::prelude::*;
use sluice_contract::rest::session::Permission;
use sluice_contract::rest::warmings::{CreateWarming, Warming, WarmingCause, WarmingSource, WarmingState};

use crate::api;
use crate::components::{
    Ago, Badge, Button, Column, DataTable, Dialog, DialogForm, EmptyState, EnvironmentChoice,
    EnvironmentField, Kind, Panel, TextArea, Tone, use_toasts,
};
use crate::format;
use crate::icons::LAYERS;
use crate::pages::apis::draft::use_draft;
use crate::session::use_current;
use crate::state::{Task, effect, paged};
use plan::PlanDialog;
use shown::ShownWarming;

const EVERY: Duration = Duration::from_millis(700);

/// The section of the cache's page.
#[component]
pub(super) fn WarmingPanel(environments: EnvironmentChoice) -> impl IntoView {
    let draft = use_draft();
    let current = use_current();
    let id = draft.api().id;
    let (planning, asking) = (RwSignal::new(false), RwSignal::new(false));
    let shown = RwSignal::new(None::<Warming>);
    let list = paged::<Warming>(move || current.path(&format!("/apis/{id}/warmings")));
    let list = list.every_while(EVERY, |rows| rows.iter().any(|row| row.ended_at.is_none()));
    let may = move || current.can(Permission::ManageCache);
    let begun = list.clone();
    view! {
        <Panel
            title="Warming"
            note="Fetches answers before callers ask for them. It is charged to nobody and is not among the calls."
        >
            <div class="stack">
                <Show when=may>
                    <div class="row">
                        <Button on_click=move |()| asking.set(true)>"Warm now"</Button>
                        <Button kind=Kind::Quiet on_click=move |()| planning.set(true)>
                            "Plan"
                        </Button>
                    </div>
                </Show>
                <DataTable
                    label="Warmings"
                    columns=columns(shown)
                    list
                    empty=|| view! {
                        <EmptyState
                            icon=LAYERS
                            title="Never warmed"
                            note="Say in the plan where addresses come from, or warm some now."
                        />
                    }
                />
            </div>
        </Panel>
        <PlanDialog open=planning environments />
        <WarmDialog
            open=asking
            environments
            on_begun=move |warming: Warming| {
                begun.reload();
                shown.set(Some(warming));
            }
        />
        <ShownWarming shown />
    }
}

fn columns(shown: RwSignal<Option<Warming>>) -> Vec<Column<Warming>> {
    vec![
        Column::new("Why", |it: &Warming| cause(it.cause)),
        Column::new("When", |it: &Warming| view! { <Ago at=it.created_at /> }),
        Column::new("By", |it: &Warming| it.created_by.clone()),
        Column::new("State", |it: &Warming| badge(it.state)),
        Column::new("Addresses", |it: &Warming| it.urls.to_string()).end(),
        Column::new("Gateways", summary),
        Column::new("", move |it: &Warming| {
            let mine = it.clone();
            view! {
                <Button
                    kind=Kind::Quiet
                    size="sm"
                    label="Gateways of the warming"
                    on_click=move |()| shown.set(Some(mine.clone()))
                >
                    "Show"
                </Button>
            }
        })
        .end(),
    ]
}

fn cause(cause: WarmingCause) -> &'static str {
    match cause {
        WarmingCause::Demand => "on demand",
        WarmingCause::Release => "after a release",
        WarmingCause::Schedule => "on schedule",
    }
}

fn badge(state: WarmingState) -> AnyView {
    let (tone, text, live) = match state {
        WarmingState::Queued => (Tone::Idle, "waiting", true),
        WarmingState::Running => (Tone::Info, "warming", true),
        WarmingState::Done => (Tone::Ok, "done", false),
        WarmingState::Cancelled => (Tone::Warn, "cancelled", false),
        WarmingState::Failed => (Tone::Bad, "failed", false),
    };
    view! { <Badge tone text dot=true live /> }.into_any()
}

/// `40 stored, 2 failed`, over all gateways; or why it failed.
fn summary(warming: &Warming) -> String {
    if let Some(problem) = &warming.problem {
        return problem.clone();
    }
    let sum = |of: fn(&sluice_contract::warming::WarmReport) -> u64| {
        warming.gateways.iter().map(|gateway| of(&gateway.report)).sum::<u64>()
    };
    let said = [
        (sum(|report| report.stored), "stored"),
        (sum(|report| report.taken_over), "from the second level"),
        (sum(|report| report.held), "there already"),
        (sum(|report| report.failed), "failed"),
        (sum(|report| report.skipped), "skipped"),
    ];
    let said: Vec<String> =
        said.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let gateways = format::plural(warming.gateways.len(), "gateway", "gateways");
    if said.is_empty() { gateways } else { format!("{gateways}: {}", said.join(", ")) }
}

/// Paths as they are typed, one a line.
fn paths_of(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// What to warm now.
#[component]
fn WarmDialog(
    open: RwSignal<bool>,
    environments: EnvironmentChoice,
    #[prop(into)] on_begun: Callback<Warming>,
) -> impl IntoView {
    let draft = use_draft();
    let toasts = use_toasts();
    let task = Task::new();
    let paths = RwSignal::new(String::new());
    effect(move || {
        if open.get() {
            task.clear();
        }
    });
    let submit = move |()| {
        let listed = paths.with_untracked(|text| paths_of(text));
        let sources = (!listed.is_empty()).then(|| vec![WarmingSource::List { paths: listed }]);
        let path = draft.path("/warmings");
        let work = async move {
            let body = CreateWarming { environment: environments.picked().await?.id, sources };
            api::post::<_, Warming>(&path, &body).await
        };
        task.run(work, move |warming| {
            toasts.done("Warming started");
            open.set(false);
            on_begun.run(warming);
        });
    };
    view! {
        <Dialog open title="Warm the cache">
            <DialogForm open task action="Start warming" on_submit=submit>
                <EnvironmentField choice=environments />
                <TextArea
                    label="Paths"
                    value=paths
                    optional=true
                    mono=true
                    placeholder="/items?page=1"
                    error=task.field("/sources/0/paths")
                    help="One a line, below the API's base, with the query as callers send it. None: as the plan says."
                />
            </DialogForm>
        </Dialog>
    }
}
