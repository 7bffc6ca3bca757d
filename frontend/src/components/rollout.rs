//! How far a change has got among the gateways: used by releases, purges and revocations.

use std::time::Duration;

use leptos::prelude::*;
use serde::Deserialize;
use sluice_contract::rest::releases::{GatewayProgress, Progress, ProgressState};

use super::{Badge, Button, Dialog, Kind, Notice, ProgressItem, ProgressList, Stage, Tone};
use crate::api;
use crate::state::{Paged, remote, when_closed};

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

/// A list of changes asks again until all of its rows have settled.
pub fn until_settled<T: Send + Sync + 'static>(list: Paged<T>, progress: fn(&T) -> &Progress) -> Paged<T> {
    list.every_while(EVERY, move |rows| rows.iter().any(|row| !progress(row).is_settled()))
}

/// A change that was made: where its state is read (below `/api/v1`), and what that was at first.
#[derive(Clone)]
pub struct Change {
    pub path: String,
    pub first: Progress,
}

/// The part that releases, purges and revocations have in common.
#[derive(PartialEq, Deserialize)]
struct Reported {
    progress: Progress,
}

/// A dialog that asks for a change and then, once there is one, shows each gateway as it takes it over. When it
/// closes, the change is forgotten and the page behind is told, since it may have been read before the last gateway.
#[component]
pub fn RolloutDialog(
    open: RwSignal<bool>,
    #[prop(into)] title: Signal<String>,
    #[prop(optional)] wide: bool,
    change: RwSignal<Option<Change>>,
    #[prop(into)] on_close: Callback<()>,
    /// What asks for the change, unless it was made before.
    #[prop(optional)]
    children: Option<ChildrenFn>,
) -> impl IntoView {
    when_closed(open, move || {
        if change.with_untracked(Option::is_some) {
            change.set(None);
            on_close.run(());
        }
    });
    let children = StoredValue::new(children);
    let body = move || match change.get() {
        Some(change) => view! { <Rollout change open /> }.into_any(),
        None => children.with_value(|children| children.as_ref().map(|children| children())).into_any(),
    };
    view! {
        <Dialog open title wide>
            {body}
        </Dialog>
    }
}

/// The gateways, each with how far it is; asks again until all live ones have it.
#[component]
fn Rollout(change: Change, open: RwSignal<bool>) -> impl IntoView {
    let Change { path, first } = change;
    let latest = remote(move || {
        let path = path.clone();
        async move { api::get::<Reported>(&path).await.map(|change| change.progress) }
    });
    let latest = latest.every_while(EVERY, |progress| !progress.is_settled());
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
            <div class="form-actions">
                <Button kind=Kind::Primary on_click=move |()| open.set(false)>
                    "Done"
                </Button>
            </div>
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
