//! Releasing: what will change, then each gateway as it takes it over.

use leptos::prelude::*;
use sluice_contract::problem::Problem;
use sluice_contract::rest::releases::{CreateRelease, Release};
use sluice_contract::rest::revisions::{CreateRevision, Diff, RevisionSummary};

use super::draft::{Draft, use_draft};
use crate::api;
use crate::components::{
    Button, Dialog, DiffView, EnvironmentChoice, EnvironmentField, Kind, Rollout, Skeleton, TaskProblem,
    use_environments, use_toasts,
};
use crate::format::query_value;
use crate::icons::ROCKET;
use crate::state::{Task, effect, remote};

/// Puts a revision into an environment, or withdraws the API. Without a number it freezes the draft first.
#[component]
pub(super) fn ReleaseDialog(
    open: RwSignal<bool>,
    #[prop(into)] number: Signal<Option<u32>>,
    #[prop(into)] on_done: Callback<()>,
) -> impl IntoView {
    let task = Task::new();
    let released = RwSignal::new(None::<Release>);
    let environments = use_environments();
    effect(move || {
        if open.get() {
            released.set(None);
            task.clear();
        }
    });
    let title = Signal::derive(move || match number.get() {
        Some(number) => format!("Release revision {number}"),
        None => "Release the draft".to_owned(),
    });
    let body = move || match released.get() {
        Some(release) => view! { <Progress release open /> }.into_any(),
        None => view! { <Choose task number environments released on_done open /> }.into_any(),
    };
    view! {
        <Dialog open title wide=true>
            {body}
        </Dialog>
    }
}

#[component]
fn Choose(
    task: Task,
    number: Signal<Option<u32>>,
    environments: EnvironmentChoice,
    released: RwSignal<Option<Release>>,
    on_done: Callback<()>,
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
        let revision = number.get_untracked();
        let work = async move {
            let environment = environment?;
            let revision = match (withdraw, revision) {
                (true, _) => None,
                (false, Some(number)) => Some(number),
                (false, None) => Some(freeze(draft).await?),
            };
            let body = CreateRelease { environment: environment.id, revision };
            api::post::<_, Release>(&draft.path("/releases"), &body).await
        };
        task.run(work, move |release| {
            toasts.done(if withdraw { "API withdrawn" } else { "Released" });
            released.set(Some(release));
            on_done.run(());
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

/// Freezes the draft unless it is what the newest revision is.
async fn freeze(draft: Draft) -> Result<u32, Problem> {
    let api = draft.api();
    if let (false, Some(newest)) = (api.changed, api.newest_revision) {
        return Ok(newest);
    }
    let (path, etag) = (draft.path("/revisions"), draft.etag());
    let body = CreateRevision { note: String::new() };
    let made: RevisionSummary = api::post_tagged(&path, &body, etag.as_deref()).await?;
    Ok(made.number)
}

#[component]
fn Progress(release: Release, open: RwSignal<bool>) -> impl IntoView {
    let draft = use_draft();
    let id = release.id;
    let poll = move || {
        let path = draft.path(&format!("/releases/{id}"));
        async move { api::get::<Release>(&path).await.map(|release| release.progress) }
    };
    view! {
        <div class="stack">
            <Rollout first=release.progress poll />
            <div class="form-actions">
                <Button kind=Kind::Primary on_click=move |()| open.set(false)>
                    "Done"
                </Button>
            </div>
        </div>
    }
}
