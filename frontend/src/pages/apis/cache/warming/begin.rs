//! Warming now, by the plan or from a list.

use leptos::prelude::*;
use sluice_contract::rest::warmings::{CreateWarming, Warming};

use super::fields::sources_of;
use super::plan::Listed;
use crate::api;
use crate::components::{Dialog, DialogForm, EnvironmentChoice, EnvironmentField, use_toasts};
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
    let (paths, sitemaps) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    effect(move || {
        if open.get() {
            task.clear();
        }
    });
    let submit = move |()| {
        let listed = sources_of(paths, sitemaps);
        let sources = (!listed.is_empty()).then_some(listed);
        let path = draft.path("/warmings");
        let environment = environments.picked();
        let work = async move {
            let body = CreateWarming { environment: environment.await?.id, sources };
            api::post::<_, Warming>(&path, &body).await
        };
        task.run(work, move |warming| {
            toasts.done("Warming started");
            open.set(false);
            on_begun.run(warming);
        });
    };
    view! {
        <Dialog
            open
            title="Warm the cache"
            note=Signal::stored("Now, with the pace of the plan. Without paths and sitemaps: what the plan says.".to_owned())
        >
            <DialogForm open task action="Start warming" on_submit=submit>
                <EnvironmentField choice=environments />
                <Listed paths sitemaps task />
            </DialogForm>
        </Dialog>
    }
}
