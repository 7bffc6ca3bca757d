//! The plan of an environment: shown, made, changed and deleted.

use leptos::prelude::*;
use sluice_contract::rest::session::Permission;
use sluice_contract::rest::warmings::KeptWarmingPlan;

use super::plan::PlanDialog;
use super::plan_path;
use super::summary::{is_made, summary};
use crate::api;
use crate::components::{
    Button, ConfirmDialog, EnvironmentChoice, EnvironmentField, Kind, Skeleton, use_toasts,
};
use crate::icons::{PENCIL, PLUS, TRASH};
use crate::pages::apis::draft::use_draft;
use crate::session::use_current;
use crate::state::{Task, opened_by, remote};

#[component]
pub(super) fn Planned(environments: EnvironmentChoice) -> impl IntoView {
    let draft = use_draft();
    let current = use_current();
    let (editing, deleting) = (RwSignal::new(None), RwSignal::new(None));
    let plan = remote(move || {
        // Another is fetched when another is picked.
        let _ = environments.slug();
        async move {
            let environment = environments.picked().await?.id;
            api::get::<KeptWarmingPlan>(&plan_path(draft, environment)).await
        }
    });
    let may = move || current.can(Permission::ManageCache);
    let actions = move |kept: KeptWarmingPlan| {
        let made = is_made(&kept);
        let (words, icon) = if made { ("Edit plan", PENCIL) } else { ("Make a plan", PLUS) };
        let mine = kept.clone();
        let delete = made.then(|| {
            view! {
                <Button kind=Kind::Quiet icon=TRASH on_click=move |()| deleting.set(Some(kept.clone()))>
                    "Delete plan"
                </Button>
            }
        });
        view! {
            <div class="row">
                <Button kind=Kind::Quiet icon on_click=move |()| editing.set(Some(mine.clone()))>
                    {words}
                </Button>
                {delete}
            </div>
        }
    };
    let drawn = move |kept: KeptWarmingPlan| {
        view! {
            {summary(&kept)}
            {may().then(|| actions(kept))}
        }
    };
    let several = move || environments.all().len() > 1;
    view! {
        <Show when=several>
            <EnvironmentField choice=environments />
        </Show>
        {plan.view(Skeleton::Lines(2), drawn)}
        <PlanDialog editing on_saved=move |()| plan.reload() />
        <DeletePlan deleting on_deleted=move |()| plan.reload() />
    }
}

#[component]
fn DeletePlan(
    deleting: RwSignal<Option<KeptWarmingPlan>>,
    #[prop(into)] on_deleted: Callback<()>,
) -> impl IntoView {
    let draft = use_draft();
    let toasts = use_toasts();
    let task = Task::new();
    let open = opened_by(deleting);
    let delete = move |()| {
        let Some(kept) = deleting.get_untracked() else { return };
        let path = plan_path(draft, kept.environment);
        let work = async move { api::delete(&path, Some(&api::version_tag(kept.version))).await };
        task.run(work, move |()| {
            toasts.done("Plan deleted");
            open.set(false);
            on_deleted.run(());
        });
    };
    view! {
        <ConfirmDialog
            open
            title=Signal::stored("Delete the plan?".to_owned())
            note=Signal::stored("Nothing is warmed by itself any more. A warming that goes on is not cancelled.".to_owned())
            action=Signal::stored("Delete plan".to_owned())
            on_confirm=delete
            task
        />
    }
}
