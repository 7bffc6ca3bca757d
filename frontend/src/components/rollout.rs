//! How far a change has got among the gateways: used by releases, purges and revocations.

use std::future::Future;
use std::time::Duration;

use leptos::prelude::*;
use sluice_contract::problem::Problem;
use sluice_contract::rest::releases::{GatewayProgress, Progress, ProgressState};

use super::{Badge, Notice, ProgressItem, ProgressList, Stage, Tone};
use crate::state::remote;

const EVERY: Duration = Duration::from_millis(700);

/// What a change's state looks like, everywhere.
pub fn progress_badge(state: ProgressState) -> AnyView {
    let (tone, text, live) = match state {
        ProgressState::Waiting => (Tone::Idle, "waiting for a gateway", false),
        ProgressState::Running => (Tone::Info, "rolling out", true),
        ProgressState::Done => (Tone::Ok, "on every gateway", false),
        ProgressState::Lagging => (Tone::Warn, "a gateway lags", true),
        ProgressState::Failed => (Tone::Bad, "failed on a gateway", false),
    };
    view! { <Badge tone text dot=true live /> }.into_any()
}

/// The gateways, each with how far it is; asks again until all live ones have it.
#[component]
pub fn Rollout<F, R>(first: Progress, poll: F) -> impl IntoView
where
    F: Fn() -> R + Send + Sync + 'static,
    R: Future<Output = Result<Progress, Problem>> + 'static,
{
    let latest = remote(poll).every(EVERY);
    let progress = Signal::derive(move || latest.get().unwrap_or_else(|| first.clone()));
    let items = Signal::derive(move || progress.get().gateways.into_iter().map(item).collect::<Vec<_>>());
    let nobody = move || progress.with(|progress| progress.gateways.is_empty());
    view! {
        <div class="stack">
            <div>{move || progress_badge(progress.with(|progress| progress.state))}</div>
            <Show when=nobody>
                <Notice tone=Tone::Info>
                    "No gateway serves this environment yet. The first one to come takes it over."
                </Notice>
            </Show>
            <ProgressList label="Gateways" items />
        </div>
    }
}

fn item(gateway: GatewayProgress) -> ProgressItem {
    let GatewayProgress { gateway: _, name, live, applied, took_ms, laggard, failure } = gateway;
    let (stage, detail) = match (failure, applied, laggard, live) {
        (Some(reason), ..) => (Stage::Failed, reason),
        (None, true, ..) => (Stage::Done, "has it".to_owned()),
        (None, false, true, _) => (Stage::Late, "behind for more than 30 seconds".to_owned()),
        (None, false, false, true) => (Stage::Running, "is taking it over".to_owned()),
        (None, false, false, false) => (Stage::Waiting, "not heard of".to_owned()),
    };
    let note = took_ms.map(|took| format!("{took} ms")).unwrap_or_default();
    ProgressItem { name, stage, detail, note }
}
