//! One warming, gateway by gateway, while it goes on.

use std::collections::BTreeMap;

use leptos::prelude::*;
use sluice_contract::rest::warmings::{GatewayWarming, GatewayWarmingState, Warming};
use sluice_contract::warming::WarmReport;

use super::{EVERY, badge};
use crate::api;
use crate::components::{Button, Dialog, Kind, Notice, ProgressItem, ProgressList, Stage, TaskProblem, Tone};
use crate::pages::apis::draft::use_draft;
use crate::session::use_current;
use crate::state::{Task, opened_by, remote};
use sluice_contract::rest::session::Permission;

/// A warming of the list, while the signal holds one.
#[component]
pub(super) fn ShownWarming(shown: RwSignal<Option<Warming>>) -> impl IntoView {
    let open = opened_by(shown);
    let body = move || shown.get().map(|warming| view! { <Live warming open /> });
    view! {
        <Dialog open title="Warming">
            {body}
        </Dialog>
    }
}

/// Asks again until it has ended.
#[component]
fn Live(warming: Warming, open: RwSignal<bool>) -> impl IntoView {
    let draft = use_draft();
    let current = use_current();
    let task = Task::new();
    let path = draft.path(&format!("/warmings/{}", warming.id));
    let cancel_path = format!("{path}/cancel");
    let latest = remote(move || {
        let path = path.clone();
        async move { api::get::<Warming>(&path).await }
    });
    let latest = latest.every_while(EVERY, |warming| warming.ended_at.is_none());
    let now = Signal::derive(move || latest.get().unwrap_or_else(|| warming.clone()));
    let items = Signal::derive(move || {
        now.with(|warming| {
            warming.gateways.iter().map(|gateway| item(gateway, warming.urls)).collect::<Vec<_>>()
        })
    });
    let problem = move || {
        let problem = now.with(|warming| warming.problem.clone());
        problem.map(|problem| view! { <Notice tone=Tone::Bad>{problem}</Notice> })
    };
    let left_out = move || {
        let said = now.with(|warming| counted(&warming.left_out));
        (!said.is_empty()).then(|| {
            view! { <p class="secondary small">"Left out of what the sources gave: " {said}</p> }
        })
    };
    let may_cancel =
        move || now.with(|warming| warming.ended_at.is_none()) && current.can(Permission::ManageCache);
    let cancel = move |()| {
        let path = cancel_path.clone();
        let work = async move { api::post::<_, Warming>(&path, &serde_json::json!({})).await };
        task.run(work, |_| {});
    };
    let cancel = StoredValue::new(cancel);
    view! {
        <div class="stack">
            <TaskProblem task />
            <div>{move || badge(now.with(|warming| warming.state))}</div>
            {problem}
            <ProgressList label="Gateways" items />
            {left_out}
            <div class="form-actions">
                <Show when=may_cancel>
                    <Button busy=task.busy() on_click=move |()| cancel.with_value(|cancel| cancel(()))>
                        "Cancel warming"
                    </Button>
                </Show>
                <Button kind=Kind::Primary on_click=move |()| open.set(false)>
                    "Close"
                </Button>
            </div>
        </div>
    }
}

fn item(gateway: &GatewayWarming, urls: u64) -> ProgressItem {
    let GatewayWarming { gateway: _, name, state, report } = gateway;
    let (stage, words) = match state {
        GatewayWarmingState::Waiting => (Stage::Waiting, Some("waits for its turn")),
        GatewayWarmingState::Running => (Stage::Running, None),
        GatewayWarmingState::Done => (Stage::Done, None),
        GatewayWarmingState::Cancelled => (Stage::Late, Some("cancelled")),
        GatewayWarmingState::NotReached => (Stage::Failed, Some("not connected")),
        GatewayWarmingState::Behind => (Stage::Failed, Some("does not serve the release")),
    };
    let told = told(report);
    let detail = match words {
        Some(words) if told.is_empty() => words.to_owned(),
        Some(words) => format!("{words}; {told}"),
        None => told,
    };
    ProgressItem { name: name.clone(), stage, detail, note: format!("{} of {urls}", report.done()) }
}

/// `12 stored, 1 failed (status_500: 1)`.
fn told(report: &WarmReport) -> String {
    let WarmReport { stored, taken_over, held, failed, skipped, reasons } = report;
    let counts = [
        (stored, "stored"),
        (taken_over, "from the second level"),
        (held, "there already"),
        (failed, "failed"),
        (skipped, "skipped"),
    ];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| **count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let why = if reasons.is_empty() { String::new() } else { format!(" ({})", counted(reasons)) };
    format!("{}{why}", counts.join(", "))
}

/// `other_host: 3, too_long: 1`.
fn counted(reasons: &BTreeMap<String, u64>) -> String {
    let reasons: Vec<String> = reasons.iter().map(|(why, count)| format!("{why}: {count}")).collect();
    reasons.join(", ")
}
