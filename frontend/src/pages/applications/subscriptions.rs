//! What an application may call.

use leptos::prelude::*;
use sluice_contract::ids::ApplicationId;
use sluice_contract::rest::session::Permission;
use sluice_contract::rest::subscriptions::{DecideSubscription, Subscription, SubscriptionState};

use crate::api;
use crate::components::{
    Ago, Button, Column, ConfirmDialog, DataTable, EmptyState, Kind, LinkButton, Panel, use_toasts,
};
use crate::icons::LIBRARY;
use crate::pages::approvals::state_badge;
use crate::session::use_current;
use crate::state::{Paged, Task, opened_by, paged};

#[component]
pub(super) fn Subscriptions(application: ApplicationId) -> impl IntoView {
    let current = use_current();
    let list = paged::<Subscription>(move || {
        current.path(&format!("/subscriptions?application={application}&sort=-created_at"))
    });
    let ending = RwSignal::new(None::<Subscription>);
    let may_end = current.can(Permission::ManageApplications);
    view! {
        <Panel
            title="Subscriptions"
            note="What it may call, and under which plan."
            flush=true
            actions=|| view! { <LinkButton href="/catalogue" icon=LIBRARY>"Find an API"</LinkButton> }
        >
            <DataTable
                label="Subscriptions"
                columns=columns(ending, may_end)
                list
                empty=|| view! {
                    <EmptyState
                        icon=LIBRARY
                        title="No subscription yet"
                        note="Find an API in the catalogue and subscribe this application to one of its plans."
                    />
                }
            />
        </Panel>
        <End ending list />
    }
}

fn columns(ending: RwSignal<Option<Subscription>>, may_end: bool) -> Vec<Column<Subscription>> {
    vec![
        Column::new("API", |it: &Subscription| {
            view! { <a href=format!("/catalogue/{}", it.api)>{it.api_name.clone()}</a> }
        }),
        Column::new("Plan", |it: &Subscription| it.plan_name.clone()),
        Column::new("State", |it: &Subscription| state_badge(it.state)),
        Column::new("Reason", |it: &Subscription| it.reason.clone()),
        Column::new("Since", |it: &Subscription| view! { <Ago at=it.decided_at.unwrap_or(it.created_at) /> }),
        Column::new("", move |it: &Subscription| {
            let over = matches!(it.state, SubscriptionState::Ended | SubscriptionState::Rejected);
            let mine = it.clone();
            (may_end && !over).then(|| {
                view! {
                    <Button
                        size="sm"
                        kind=Kind::DangerQuiet
                        label=format!("End subscription to {}", it.api_name)
                        on_click=move |()| ending.set(Some(mine.clone()))
                    >
                        "End"
                    </Button>
                }
            })
        })
        .end(),
    ]
}

#[component]
fn End(ending: RwSignal<Option<Subscription>>, list: Paged<Subscription>) -> impl IntoView {
    let current = use_current();
    let toasts = use_toasts();
    let task = Task::new();
    let open = opened_by(ending);
    let end = move |()| {
        let Some(it) = ending.get_untracked() else { return };
        let path = untrack(|| current.path(&format!("/subscriptions/{}/end", it.id)));
        let etag = api::version_tag(it.version);
        let work = async move {
            let body = DecideSubscription { reason: String::new() };
            api::post_tagged::<_, Subscription>(&path, &body, Some(&etag)).await
        };
        task.run(work, move |it| {
            open.set(false);
            toasts.done(format!("Subscription to {} ended", it.api_name));
            list.reload();
        });
    };
    let title = Signal::derive(move || {
        format!("End the subscription to {}?", ending.get().map(|it| it.api_name).unwrap_or_default())
    });
    view! {
        <ConfirmDialog
            open
            title
            note=Signal::stored("Calls with this application's keys are refused from now on.".to_owned())
            action=Signal::stored("End subscription".to_owned())
            on_confirm=end
            task
        />
    }
}
