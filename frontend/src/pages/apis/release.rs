//! Releasing: what will change, then each gateway as it takes it over.

use leptos::prelude::*;
use sluice_contract::problem::Problem;
use sluice_contract::rest::releases::{CreateRelease, Release};
use sluice_contract::rest::revisions::{CreateRevision, Diff, RevisionSummary};

use super::draft::{Draft, use_draft};
use crate::api;
use crate::components::{
    Button, Change, DiffView, EnvironmentChoice, EnvironmentField, Kind, RolloutDialog, Skeleton,
    TaskProblem, use_environments, use_toasts,
};
use crate::format::query_value;
use crate::icons::ROCKET;
use crate::state::{Task, effect, remote};

/// Puts a revision into an environment, or withdraws the API. Without a number it freezes the draft first. `on_change`
/// runs when it is released, and when the person has seen how far that got.
#[component]
pub(super) fn ReleaseDialog(
    open: RwSignal<bool>,
    #[prop(into)] number: Signal<Option<u32>>,
    #[prop(into)] on_change: Callback<()>,
) -> impl IntoView {
    let task = Task::new();
    let change = RwSignal::new(None::<Change>);
    let environments = use_environments();
    effect(move || {
        if open.get() {
            task.clear();
        }
    });
    let title = Signal::derive(move || match number.get() {
        Some(number) => format!("Release revision {number}"),
        None => "Release the draft".to_owned(),
    });
    view! {
        <RolloutDialog open title wide=true change on_close=on_change>
            <Choose task number environments change on_change open />
        </RolloutDialog>
    }
}

#[component]
fn Choose(
    task: Task,
    number: Signal<Option<u32>>,
    environments: EnvironmentChoice,
    change: RwSignal<Option<Change>>,
    on_change: Callback<()>,
    open: RwSignal<bool>,
) -> impl IntoView {
    let draft = use_draft();
    let toasts = use_toasts();
    let live = move || {
        let slug = environments.slug();
        draft.latest.with(|it| it.value.live.iter().any(|live| live.environment_slug == slug))
    };
    let diff = remote(move || {
        let is_live = live();
        let to = number.get().map_or_else(|| "draft".to_owned(), |number| number.to_string());
        let from = format!("live:{}", environments.slug());
        let path = draft.path(&format!("/diff?from={}&to={}", query_value(&from), query_value(&to)));
        async move { if is_live { api::get::<Diff>(&path).await.map(Some) } else { Ok(None) } }
    });
    let act = move |withdraw: bool| {
        let environment = environments.picked();
        let (revision, frozen) = (number.get_untracked(), freeze(draft));
        let path = draft.path("/releases");
        let work = async move {
            let environment = environment.await?;
            let revision = match (withdraw, revision) {
                (true, _) => None,
                (false, Some(number)) => Some(number),
                (false, None) => Some(frozen.await?),
            };
            let body = CreateRelease { environment: environment.id, revision };
            api::post::<_, Release>(&path, &body).await
        };
        task.run(work, move |release| {
            toasts.done(if withdraw { "API withdrawn" } else { "Released" });
            let path = draft.path(&format!("/releases/{}", release.id));
            change.set(Some(Change { path, first: release.progress }));
            on_change.run(());
        });
    };
    let changes = move || {
        diff.view(Skeleton::Lines(3), |diff| match diff {
            Some(diff) => view! { <DiffView changes=diff.changes label="What changes" /> }.into_any(),
            None => {
                view! { <p class="secondary small">"Nothing of this API is live there yet."</p> }.into_any()
            }
        })
    };
    view! {
        <div class="form">
            <TaskProblem task />
            <EnvironmentField choice=environments />
            {changes}
            <div class="form-actions">
                <Show when=live>
                    <Button kind=Kind::DangerQuiet busy=task.busy() on_click=move |()| act(true)>
                        "Withdraw"
                    </Button>
                </Show>
                <Button on_click=move |()| open.set(false)>"Cancel"</Button>
                <Button kind=Kind::Primary icon=ROCKET busy=task.busy() on_click=move |()| act(false)>
                    "Release now"
                </Button>
            </div>
        </div>
    }
}

/// Freezes the draft as it is now, once awaited, unless it is what the newest revision is.
fn freeze(draft: Draft) -> impl Future<Output = Result<u32, Problem>> {
    let api = draft.api();
    let (path, etag) = (draft.path("/revisions"), draft.etag());
    async move {
        if let (false, Some(newest)) = (api.changed, api.newest_revision) {
            return Ok(newest);
        }
        let body = CreateRevision { note: String::new() };
        let made: RevisionSummary = api::post_tagged(&path, &body, etag.as_deref()).await?;
        Ok(made.number)
    }
}
