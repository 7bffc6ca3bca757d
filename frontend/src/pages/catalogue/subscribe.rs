//! Asking for a subscription: for which application, with which words.

use leptos::prelude::*;
use sluice_contract::ids::ApiId;
use sluice_contract::problem::Problem;
use sluice_contract::rest::applications::Application;
use sluice_contract::rest::page::Page;
use sluice_contract::rest::plans::{Approval, Plan};
use sluice_contract::rest::subscriptions::{RequestSubscription, Subscription, SubscriptionState};

use crate::api;
use crate::components::{
    Button, Dialog, Kind, LinkButton, Notice, SelectField, TaskProblem, TextArea, Tone, use_toasts,
};
use crate::session::use_current;
use crate::state::{Task, effect, go, opened_by, remote};

/// Asks for `chosen` while it holds a plan.
#[component]
pub(super) fn Subscribe(api: ApiId, api_name: String, chosen: RwSignal<Option<Plan>>) -> impl IntoView {
    let current = use_current();
    let toasts = use_toasts();
    let task = Task::new();
    let go = go();
    let open = opened_by(chosen);
    let application = RwSignal::new(String::new());
    let message = RwSignal::new(String::new());
    let applications = remote(move || {
        let path = current.path("/applications?limit=200&sort=name");
        async move { api::get::<Page<Application>>(&path).await }
    });
    let items = Signal::derive(move || applications.get().map(|page| page.items).unwrap_or_default());
    effect(move || {
        if let Some(first) = items.get().first() {
            application.set(first.id.to_string());
        }
    });
    effect(move || {
        if open.get() {
            message.set(String::new());
            task.clear();
        }
    });
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Some(plan) = chosen.get_untracked() else { return };
        let Ok(application) = application.get_untracked().parse() else {
            task.fail(Problem::new(0, "no_application", "Choose an application"));
            return;
        };
        let body = RequestSubscription { application, api, plan: plan.id, message: message.get_untracked() };
        let path = untrack(|| current.path("/subscriptions"));
        task.run(async move { api::post::<_, Subscription>(&path, &body).await }, move |made| {
            open.set(false);
            toasts.done(match made.state {
                SubscriptionState::Approved => "Subscribed",
                _ => "Subscription requested",
            });
            go.run(format!("/apps/{}", made.application));
        });
    };
    let title = Signal::derive(move || {
        format!("Subscribe to {api_name}, plan {}", chosen.get().map(|plan| plan.name).unwrap_or_default())
    });
    let manual = move || chosen.with(|plan| plan.as_ref().is_some_and(|it| it.approval == Approval::Manual));
    let options = Signal::derive(move || {
        items.get().into_iter().map(|it| (it.id.to_string(), it.name)).collect::<Vec<_>>()
    });
    let body = move || {
        if applications.get().is_some() && items.with(Vec::is_empty) {
            return view! {
                <div class="stack">
                    <Notice tone=Tone::Info>"A subscription belongs to an application. Create one first."</Notice>
                    <div class="form-actions">
                        <LinkButton href="/apps" kind=Kind::Primary>
                            "Go to applications"
                        </LinkButton>
                    </div>
                </div>
            }
            .into_any();
        }
        let words = move || {
            manual().then(|| {
                view! {
                    <TextArea
                        label="Message to the approver"
                        value=message
                        optional=true
                        error=task.field("/message")
                    />
                }
            })
        };
        view! {
            <form class="form" on:submit=submit>
                <TaskProblem task fields_shown=true />
                <SelectField label="Application" value=application options />
                {words}
                <div class="form-actions">
                    <Button on_click=move |()| open.set(false)>"Cancel"</Button>
                    <Button kind=Kind::Primary submit=true busy=task.busy()>
                        "Subscribe"
                    </Button>
                </div>
            </form>
        }
        .into_any()
    };
    view! { <Dialog open title>{body}</Dialog> }
}
