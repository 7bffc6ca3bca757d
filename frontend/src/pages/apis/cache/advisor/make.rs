//! Making the policy that is advised: at once, or once somebody has read what tells against it.

use leptos::prelude::*;
use sluice_contract::rest::apis::Api;
use sluice_contract::rest::cache_advice::{CacheChoice, MakeCachePolicy, RouteAdvice};
use sluice_contract::rest::session::Permission;

use super::words;
use crate::api::{self, Tagged};
use crate::components::{Button, ConfirmDialog, TaskProblem, use_toasts};
use crate::format;
use crate::pages::apis::draft::use_draft;
use crate::session::use_current;
use crate::state::Task;

/// A button for who may change APIs. `again` runs when the draft has the policy, or is another than it was.
#[component]
pub(super) fn Make(advice: RouteAdvice, choice: CacheChoice, again: Callback<()>) -> impl IntoView {
    let current = use_current();
    let (draft, toasts, task) = (use_draft(), use_toasts(), Task::new());
    let asking = RwSignal::new(false);
    let RouteAdvice { route, risks, to_confirm, .. } = advice;
    let label = format!("Make the policy for {route}");
    let title = format!("Cache answers of {route}?");
    let note = note(
        &route,
        choice,
        &risks.iter().filter(|it| it.is_to_confirm()).map(|it| words::risk(it).1).collect::<Vec<_>>(),
    );
    let make = Callback::new(move |()| {
        let wanted = MakeCachePolicy { route: route.clone(), ttl_s: choice.ttl_s, confirmed: to_confirm };
        let (path, etag, whole) = (draft.path("/cache-advice"), draft.etag(), draft.path(""));
        let work = async move {
            match api::post_tagged::<_, Api>(&path, &wanted, etag.as_deref()).await {
                Err(stale) if stale.status == 412 => api::get_tagged::<Api>(&whole).await.map(Err),
                Ok(made) => Ok(Ok(Tagged { etag: Some(api::version_tag(made.version)), value: made })),
                Err(problem) => Err(problem),
            }
        };
        task.run(work, move |answer| {
            asking.set(false);
            match answer {
                Ok(made) => {
                    draft.take(made);
                    toasts.done("Policy made in the draft: release it");
                }
                Err(theirs) => {
                    draft.take(theirs);
                    toasts.done("Somebody has changed the API meanwhile: here it is as it is now");
                }
            }
            again.run(());
        });
    });
    let begin = move |()| if to_confirm { asking.set(true) } else { make.run(()) };
    let (label, title, note) = (Signal::stored(label), Signal::stored(title), Signal::stored(note));
    view! {
        <Show when=move || current.can(Permission::ManageApis)>
            <Show when=move || !to_confirm>
                <TaskProblem task />
            </Show>
            <Button size="sm" label busy=task.busy() on_click=begin>
                {if to_confirm { "Make the policy…" } else { "Make the policy" }}
            </Button>
            <ConfirmDialog
                open=asking
                title
                note
                action="I have read it: make the policy"
                on_confirm=make
                task
            />
        </Show>
    }
}

/// What is asked before a policy is made in spite of risks.
fn note(route: &str, choice: CacheChoice, risks: &[String]) -> String {
    format!(
        "Answers of {route} would be kept for {}, with copies for each caller. {}",
        format::span(choice.ttl_s),
        risks.join(" ")
    )
}
