//! Warming the cache: now, by a plan, and what became of it gateway by gateway.

mod begin;
mod fields;
mod plan;
mod planned;
mod shown;
mod summary;

use std::time::Duration;

use leptos::prelude::*;
use sluice_contract::ids::EnvironmentId;
use sluice_contract::rest::session::Permission;
use sluice_contract::rest::warmings::{Warming, WarmingCause, WarmingState};
use sluice_contract::warming::WarmReport;

use crate::components::{
    Ago, Badge, Button, Column, DataTable, EmptyState, EnvironmentChoice, Kind, Panel, Tone,
};
use crate::format;
use crate::icons::LAYERS;
use crate::pages::apis::draft::{Draft, use_draft};
use crate::session::use_current;
use crate::state::paged;
use begin::WarmDialog;
use planned::Planned;
use shown::ShownWarming;

const EVERY: Duration = Duration::from_millis(700);
const SELDOM: Duration = Duration::from_secs(5);

/// The section of the cache's page.
#[component]
pub(super) fn WarmingPanel(environments: EnvironmentChoice) -> impl IntoView {
    let draft = use_draft();
    let current = use_current();
    let id = draft.api().id;
    let asking = RwSignal::new(false);
    let shown = RwSignal::new(None::<Warming>);
    let list = paged::<Warming>(move || current.path(&format!("/apis/{id}/warmings")));
    // Releases, the clock and gateways begin some, too.
    let list = list.every(SELDOM).every_while(EVERY, |rows| rows.iter().any(|row| row.ended_at.is_none()));
    let may = move || current.can(Permission::ManageCache);
    let actions = move || {
        view! {
            <Show when=may>
                <Button size="sm" on_click=move |()| asking.set(true)>
                    "Warm now"
                </Button>
            </Show>
        }
    };
    view! {
        <Panel
            title="Warming"
            note="Fetches answers before callers ask for them. It is charged to nobody and is not among the calls."
            actions
        >
            <div class="stack">
                <Planned environments />
                <DataTable
                    label="Warmings"
                    columns=columns(environments, shown)
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
        <WarmDialog
            open=asking
            environments
            on_begun=move |warming: Warming| {
                list.reload();
                shown.set(Some(warming));
            }
        />
        <ShownWarming shown />
    }
}

fn plan_path(draft: Draft, environment: EnvironmentId) -> String {
    draft.path(&format!("/environments/{environment}/warming-plan"))
}

fn columns(environments: EnvironmentChoice, shown: RwSignal<Option<Warming>>) -> Vec<Column<Warming>> {
    vec![
        Column::new("Why", |it: &Warming| cause(it.cause)),
        Column::new("Environment", move |it: &Warming| {
            let id = it.environment;
            let name = move || environments.name_of(id);
            view! { {name} }
        }),
        Column::new("When", |it: &Warming| view! { <Ago at=it.created_at /> }),
        Column::new("By", |it: &Warming| it.created_by.clone()),
        Column::new("State", |it: &Warming| badge(it.state)),
        Column::new("Addresses", |it: &Warming| format::grouped(it.urls)).end(),
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
        WarmingCause::Gateway => "a gateway came up",
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
    let sum =
        |of: fn(&WarmReport) -> u64| warming.gateways.iter().map(|gateway| of(&gateway.report)).sum::<u64>();
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
