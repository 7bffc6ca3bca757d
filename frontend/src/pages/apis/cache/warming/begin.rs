//! Warming now, by the plan or from a list.

use leptos::prelude::*;
use sluice_contract::rest::warmings::{CreateWarming, Warming, WarmingSource};

use super::fields::{lines_of, wrong_source};
use crate::api;
use crate::components::{Dialog, DialogForm, EnvironmentChoice, EnvironmentField, TextArea, use_toasts};
use crate::pages::apis::draft::use_draft;
use crate::state::{Task, effect};

/// What to warm now.
#[component]
pub(super) fn WarmDialog(
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
        let listed = paths.with_untracked(|text| lines_of(text));
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
                    error=wrong_source(task, "paths")
                    help="One a line, below the API's base, with the query as callers send it. None: as the plan says."
                />
            </DialogForm>
        </Dialog>
    }
}
