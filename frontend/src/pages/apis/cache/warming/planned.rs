//! The plan of an environment: shown, made, changed and deleted.

use leptos::prelude::*;
use sluice_contract::rest::session::Permission;
use sluice_contract::rest::warmings::KeptWarmingPlan;

use super::plan::PlanDialog;
use super::plan_path;
use super::summary::{is_made, summary};
use crate::api;
use crate::components::{
    Button, DeleteDialog, Deletion, EnvironmentChoice, EnvironmentField, Kind, Skeleton,
};
use crate::icons::{PENCIL, PLUS, TRASH};
use crate::pages::apis::draft::use_draft;
use crate::session::use_current;
use crate::state::remote;

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
        let deletion = Deletion {
            path: plan_path(draft, kept.environment),
            version: kept.version,
            kind: "plan",
            name: format!("for {}", environments.name_of(kept.environment)),
            note: "Nothing is warmed by itself any more. A warming that goes on is not cancelled.",
        };
        let delete = made.then(|| {
            view! {
                <Button kind=Kind::Quiet icon=TRASH on_click=move |()| deleting.set(Some(deletion.clone()))>
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
        <DeleteDialog deleting on_deleted=move |()| plan.reload() />
    }
}
