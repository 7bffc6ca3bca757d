//! One application: what it is, its keys, what it may call.

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use sluice_contract::rest::applications::Application;
use sluice_contract::rest::session::Permission;

use super::edit::EditApplication;
use super::keys::Keys;
use super::subscriptions::Subscriptions;
use crate::api;
use crate::components::{
    Ago, Button, ConfirmDialog, Crumb, Kind, LinkButton, PageHead, Panel, Skeleton, set_page, use_toasts,
};
use crate::icons::{CALLS, PENCIL, TRASH};
use crate::session::use_current;
use crate::state::{Remote, Task, go, remote};

#[component]
pub fn ApplicationDetail() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id")).unwrap_or_default());
    let current = use_current();
    let application = remote(move || {
        let path = current.path(&format!("/applications/{}", id.get()));
        async move { api::get::<Application>(&path).await }
    });
    set_page(move || {
        let name = application.get().map_or_else(|| "Application".to_owned(), |it| it.name);
        vec![Crumb::link("Applications", "/apps"), Crumb::here(name)]
    });
    view! {
        {application.heading("Application")}
        {application
            .live(Skeleton::Lines(8), move |latest| view! { <Body latest remote=application /> })}
    }
}

#[component]
fn Body(latest: Signal<Application>, remote: Remote<Application>) -> impl IntoView {
    let current = use_current();
    let editing = RwSignal::new(false);
    let deleting = RwSignal::new(false);
    let id = latest.get_untracked().id;
    let may_edit = move || current.can(Permission::ManageApplications);
    let may_see_calls = move || current.can(Permission::ReadCalls);
    view! {
        <PageHead
            title=Signal::derive(move || latest.with(|it| it.name.clone()))
            note=Signal::derive(move || latest.with(|it| it.description.clone()))
        >
            <Show when=may_see_calls>
                <LinkButton href=format!("/calls?application={id}") icon=CALLS>
                    "Its calls"
                </LinkButton>
            </Show>
            <Show when=may_edit>
                <Button icon=PENCIL on_click=move |()| editing.set(true)>
                    "Edit"
                </Button>
                <Button kind=Kind::DangerQuiet icon=TRASH on_click=move |()| deleting.set(true)>
                    "Delete"
                </Button>
            </Show>
        </PageHead>
        <div class="stack">
            <Keys application=id on_change=move |()| remote.reload() />
            <Subscriptions application=id />
            <Panel title="Facts">{move || latest.with(facts)}</Panel>
        </div>
        <EditApplication
            subject=Signal::derive(move || Some(latest.get()))
            open=editing
            on_saved=move |saved| remote.set(saved)
        />
        <Delete application=latest open=deleting />
    }
}

fn facts(application: &Application) -> impl IntoView + use<> {
    view! {
        <dl class="facts">
            <dt>"Owner"</dt>
            <dd>{application.owner_name.clone()}</dd>
            <dt>"Created"</dt>
            <dd>
                <Ago at=application.created_at />
            </dd>
            <dt>"Id"</dt>
            <dd>
                <code>{application.id.to_string()}</code>
            </dd>
        </dl>
    }
}

#[component]
fn Delete(application: Signal<Application>, open: RwSignal<bool>) -> impl IntoView {
    let current = use_current();
    let toasts = use_toasts();
    let task = Task::new();
    let go = go();
    let delete = move |()| {
        let it = application.get_untracked();
        let path = untrack(|| current.path(&format!("/applications/{}", it.id)));
        let etag = api::version_tag(it.version);
        task.run(async move { api::delete(&path, Some(&etag)).await }, move |()| {
            open.set(false);
            toasts.done(format!("Application {} deleted", it.name));
            go.run("/apps".to_owned());
        });
    };
    view! {
        <ConfirmDialog
            open
            title=Signal::stored("Delete this application?".to_owned())
            note=Signal::stored(
                "Its keys are refused by every gateway at once, and its subscriptions end. This cannot be undone."
                    .to_owned(),
            )
            phrase=Signal::derive(move || application.with(|it| it.name.clone()))
            action=Signal::stored("Delete application".to_owned())
            on_confirm=delete
            task
        />
    }
}
