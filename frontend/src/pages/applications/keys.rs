//! Keys of an application: made here, shown once, revoked on every gateway.

use chrono::{TimeDelta, Utc};
use leptos::prelude::*;
use sluice_contract::ids::ApplicationId;
use sluice_contract::rest::applications::{
    CreateCredential, CreatedCredential, Credential, RevokedCredential,
};
use sluice_contract::rest::session::Permission;

use crate::api;
use crate::components::{
    Ago, Badge, Button, Change, Column, DataTable, Dialog, EmptyState, EnvironmentField, Kind, Notice, Panel,
    RolloutDialog, Secret, Segments, TaskProblem, TextField, Tone, use_environments, use_toasts,
};
use crate::icons::{KEY, PLUS};
use crate::session::use_current;
use crate::state::{Paged, Task, effect, opened_by, paged};

#[component]
pub(super) fn Keys(application: ApplicationId, #[prop(into)] on_change: Callback<()>) -> impl IntoView {
    let current = use_current();
    let list = paged::<Credential>(move || {
        current.path(&format!("/applications/{application}/credentials?sort=-created_at"))
    });
    let creating = RwSignal::new(false);
    let revoking = RwSignal::new(None::<Credential>);
    let may_edit = current.can(Permission::ManageApplications);
    let create = move || {
        view! {
            <Show when=move || may_edit>
                <Button icon=PLUS on_click=move |()| creating.set(true)>
                    "New key"
                </Button>
            </Show>
        }
    };
    view! {
        <Panel title="Keys" note="Sent by callers as X-API-Key." flush=true actions=create>
            <DataTable
                label="Keys"
                columns=columns(revoking, may_edit)
                list
                empty=|| view! {
                    <EmptyState
                        icon=KEY
                        title="No key yet"
                        note="Create one to call the APIs that this application is subscribed to."
                    />
                }
            />
        </Panel>
        <Create application list open=creating on_change />
        <Revoke application list revoking on_change />
    }
}

fn columns(revoking: RwSignal<Option<Credential>>, may_edit: bool) -> Vec<Column<Credential>> {
    vec![
        Column::new("Name", |it: &Credential| view! { <strong>{it.name.clone()}</strong> }),
        Column::new("Key", |it: &Credential| view! { <code>{format!("{}…", it.prefix)}</code> }),
        Column::new("Environment", |it: &Credential| it.environment_slug.clone()),
        Column::new("State", |it: &Credential| {
            let (tone, text) = match (it.revoked_at, it.expires_at) {
                (Some(_), _) => (Tone::Idle, "revoked"),
                (None, Some(at)) if at <= Utc::now() => (Tone::Idle, "expired"),
                _ => (Tone::Ok, "active"),
            };
            view! { <Badge tone text /> }
        }),
        Column::new("Expires", |it: &Credential| match it.expires_at {
            Some(at) => view! { <Ago at /> }.into_any(),
            None => "never".into_any(),
        }),
        Column::new("Created", |it: &Credential| view! { <Ago at=it.created_at /> }),
        Column::new("", move |it: &Credential| {
            let mine = it.clone();
            (may_edit && it.revoked_at.is_none()).then(|| {
                view! {
                    <Button
                        size="sm"
                        kind=Kind::DangerQuiet
                        label=format!("Revoke {}", it.name)
                        on_click=move |()| revoking.set(Some(mine.clone()))
                    >
                        "Revoke"
                    </Button>
                }
            })
        })
        .end(),
    ]
}

#[component]
fn Create(
    application: ApplicationId,
    list: Paged<Credential>,
    open: RwSignal<bool>,
    on_change: Callback<()>,
) -> impl IntoView {
    let current = use_current();
    let task = Task::new();
    let name = RwSignal::new(String::new());
    let days = RwSignal::new("never".to_owned());
    let created = RwSignal::new(None::<CreatedCredential>);
    let environments = use_environments();
    effect(move || {
        if open.get() {
            created.set(None);
            name.set(String::new());
            task.clear();
        }
    });
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let environment = environments.picked();
        let name = name.get_untracked();
        let expires_at = days.get_untracked().parse().ok().map(|days| Utc::now() + TimeDelta::days(days));
        let path = untrack(|| current.path(&format!("/applications/{application}/credentials")));
        let create = async move {
            let body = CreateCredential { name, environment: environment.await?.id, expires_at };
            api::post::<_, CreatedCredential>(&path, &body).await
        };
        task.run(create, move |made| {
            created.set(Some(made));
            list.reload();
            on_change.run(());
        });
    };
    let body = move || match created.get() {
        Some(made) => view! {
            <div class="stack">
                <Notice tone=Tone::Warn>"The key is shown once. Copy it now and keep it safe."</Notice>
                <Secret text=made.key label="Copy key" />
                <div class="form-actions">
                    <Button kind=Kind::Primary on_click=move |()| open.set(false)>
                        "Done"
                    </Button>
                </div>
            </div>
        }
        .into_any(),
        None => view! {
            <form class="form" on:submit=submit>
                <TaskProblem task fields_shown=true />
                <TextField
                    label="Name"
                    value=name
                    required=true
                    autofocus=true
                    placeholder="server"
                    error=task.field("/name")
                />
                <EnvironmentField choice=environments />
                <Segments
                    label="Expires after"
                    value=days
                    options=vec![
                        ("30", "30 days"),
                        ("90", "90 days"),
                        ("365", "1 year"),
                        ("never", "Never"),
                    ]
                    on_pick=move |picked| days.set(picked)
                />
                <div class="form-actions">
                    <Button on_click=move |()| open.set(false)>"Cancel"</Button>
                    <Button kind=Kind::Primary submit=true busy=task.busy()>
                        "Create key"
                    </Button>
                </div>
            </form>
        }
        .into_any(),
    };
    view! { <Dialog open title="New key">{body}</Dialog> }
}

/// Revokes a key and shows how far the gateways are.
#[component]
fn Revoke(
    application: ApplicationId,
    list: Paged<Credential>,
    revoking: RwSignal<Option<Credential>>,
    on_change: Callback<()>,
) -> impl IntoView {
    let current = use_current();
    let toasts = use_toasts();
    let task = Task::new();
    let open = opened_by(revoking);
    let change = RwSignal::new(None::<Change>);
    effect(move || {
        if open.get() {
            task.clear();
        }
    });
    let changed = move |()| {
        list.reload();
        on_change.run(());
    };
    let revoke = move |()| {
        let Some(it) = revoking.get_untracked() else { return };
        let path = untrack(|| current.path(&format!("/applications/{application}/credentials/{}", it.id)));
        let asked = path.clone();
        task.run(async move { api::delete_reply::<RevokedCredential>(&asked).await }, move |answer| {
            toasts.done(format!("Key {} revoked", answer.credential.name));
            change.set(Some(Change { path, first: answer.progress }));
            changed(());
        });
    };
    let title = Signal::derive(move || {
        format!("Revoke key {}?", revoking.get().map(|it| it.name).unwrap_or_default())
    });
    view! {
        <RolloutDialog open title change on_close=changed>
            <div class="form">
                <TaskProblem task />
                <p>"Every gateway refuses it within a second. This cannot be undone."</p>
                <div class="form-actions">
                    <Button on_click=move |()| open.set(false)>"Cancel"</Button>
                    <Button kind=Kind::Danger busy=task.busy() on_click=revoke>
                        "Revoke key"
                    </Button>
                </div>
            </div>
        </RolloutDialog>
    }
}
