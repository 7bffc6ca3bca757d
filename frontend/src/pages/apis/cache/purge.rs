//! Asking for a purge, and watching the gateways take it.

use leptos::prelude::*;
use sluice_contract::rest::purges::{CreatePurge, PurgeRecord};

use super::applications::Applications;
use super::name_of;
use super::preview::Preview;
use super::scope::{Choice, ScopeFields};
use crate::api;
use crate::components::{
    Change, DialogForm, EnvironmentChoice, EnvironmentField, RolloutDialog, Switch, TextField, use_toasts,
};
use crate::pages::apis::draft::use_draft;
use crate::session::{Current, use_current};
use crate::state::{Task, effect, opened_by};

/// What is typed before everything goes.
const SURE: &str = "everything";

/// What to purge; then each gateway as it removes it. `on_change` runs when a purge was made, and
/// when the person has seen how far it got.
#[component]
pub(super) fn PurgeDialog(
    open: RwSignal<bool>,
    environments: EnvironmentChoice,
    applications: Applications,
    #[prop(into)] on_change: Callback<()>,
) -> impl IntoView {
    let draft = use_draft();
    let current = use_current();
    let toasts = use_toasts();
    let task = Task::new();
    let change = RwSignal::new(None::<Change>);
    let choice = Choice::new();
    let soft = RwSignal::new(false);
    let sure = RwSignal::new(String::new());
    let unsure = RwSignal::new(None::<String>);
    effect(move || {
        if open.get() {
            task.clear();
            choice.clear();
            sure.set(String::new());
            unsure.set(None);
        }
    });
    let submit = move |()| {
        if choice.is_everything_now() && sure.with_untracked(|sure| sure.trim() != SURE) {
            unsure.set(Some(format!("What stands here has to be: {SURE}")));
            return;
        }
        unsure.set(None);
        let api = draft.api();
        let (scope, soft) = match choice.scope(api.id, &api.base_path) {
            Ok(scope) => (scope, soft.get_untracked()),
            Err(problem) => return task.fail(problem),
        };
        let (environment, path) = (environments.picked(), untrack(|| current.path("/purges")));
        let work = async move {
            let body = CreatePurge { environment: environment.await?.id, scope, soft };
            api::post::<_, PurgeRecord>(&path, &body).await
        };
        task.run(work, move |purge| {
            toasts.done("Purge started");
            change.set(Some(change_of(current, purge)));
            on_change.run(());
        });
    };
    let confirmation = move || {
        choice.is_everything().then(|| {
            view! {
                <TextField
                    label=format!("Type {SURE} to confirm")
                    value=sure
                    error=unsure
                    required=true
                    mono=true
                    help="Every API of this tenant is fetched anew: their upstreams will feel it."
                />
            }
        })
    };
    view! {
        <RolloutDialog open title="Purge the cache" change on_close=on_change>
            <DialogForm open task action="Purge now" on_submit=submit>
                <EnvironmentField choice=environments />
                <ScopeFields choice applications task />
                {confirmation}
                <Preview open choice environments />
                <Switch
                    label="Soft"
                    checked=soft
                    help="What is covered becomes stale: it may be served while it is fetched anew, or while the upstream is down, where the policy or the upstream allows that."
                />
            </DialogForm>
        </RolloutDialog>
    }
}

/// A purge of the list, while the signal holds one.
#[component]
pub(super) fn ShownPurge(
    shown: RwSignal<Option<PurgeRecord>>,
    applications: Applications,
    #[prop(into)] on_close: Callback<()>,
) -> impl IntoView {
    let current = use_current();
    let open = opened_by(shown);
    let change = RwSignal::new(None::<Change>);
    effect(move || {
        if let Some(purge) = shown.get() {
            change.set(Some(change_of(current, purge)));
        }
    });
    let title = Signal::derive(move || {
        shown.with(|shown| {
            shown
                .as_ref()
                .map(|it| format!("Purge of {}", name_of(&it.scope, applications)))
                .unwrap_or_default()
        })
    });
    view! { <RolloutDialog open title change on_close /> }
}

fn change_of(current: Current, purge: PurgeRecord) -> Change {
    Change { path: untrack(|| current.path(&format!("/purges/{}", purge.id))), first: purge.progress }
}
