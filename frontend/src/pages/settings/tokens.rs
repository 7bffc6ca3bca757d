//! API tokens for automation.

use chrono::{TimeDelta, Utc};
use leptos::prelude::*;
use sluice_contract::rest::api_tokens::{ApiToken, CreateApiToken, CreatedApiToken};
use sluice_contract::rest::session::Permission;

use crate::api;
use crate::components::{
    Ago, Badge, Button, CheckBox, Column, ConfirmDialog, Crumb, DataTable, Dialog, DialogForm, EmptyState,
    Kind, Notice, Secret, Segments, TextField, Tone, set_page, use_toasts,
};
use crate::icons::{KEY, PLUS};
use crate::session::use_current;
use crate::state::{Paged, Task, effect, opened_by, paged};

#[component]
pub fn Tokens() -> impl IntoView {
    set_page(|| vec![Crumb::link("Settings", "/settings"), Crumb::here("Tokens")]);
    let current = use_current();
    let list = paged::<ApiToken>(move || current.path("/tokens"));
    let creating = RwSignal::new(false);
    let revoking = RwSignal::new(None::<ApiToken>);
    view! {
        <div class="toolbar">
            <p class="secondary small">
                "For scripts and pipelines: sent as " <code class="inline-code">"Authorization: Bearer …"</code> "."
            </p>
            <span class="grow"></span>
            <Button kind=Kind::Primary icon=PLUS on_click=move |()| creating.set(true)>
                "New token"
            </Button>
        </div>
        <DataTable
            label="API tokens"
            columns=columns(revoking)
            list
            empty=|| view! {
                <EmptyState
                    icon=KEY
                    title="No token yet"
                    note="Create one with just the permissions that the script needs."
                />
            }
        />
        <Create open=creating list />
        <Revoke revoking list />
    }
}

fn columns(revoking: RwSignal<Option<ApiToken>>) -> Vec<Column<ApiToken>> {
    vec![
        Column::new("Name", |token: &ApiToken| {
            view! {
                <span class="stack" data-gap="0">
                    <strong>{token.name.clone()}</strong>
                    <code class="tiny muted">{format!("{}…", token.prefix)}</code>
                </span>
            }
        }),
        Column::new("May", |token: &ApiToken| {
            let badges =
                token.permissions.iter().map(|permission| view! { <Badge text=words(*permission) /> });
            view! { <span class="row" data-gap="1">{badges.collect_view()}</span> }
        }),
        Column::new("Expires", |token: &ApiToken| match token.expires_at {
            Some(at) if at < Utc::now() => view! { <Badge tone=Tone::Idle text="expired" /> }.into_any(),
            Some(at) => view! { <Ago at /> }.into_any(),
            None => view! { <span class="muted">"never"</span> }.into_any(),
        }),
        Column::new("Last used", |token: &ApiToken| match token.last_used_at {
            Some(at) => view! { <Ago at /> }.into_any(),
            None => view! { <span class="muted">"never"</span> }.into_any(),
        }),
        Column::new("By", |token: &ApiToken| token.created_by.clone()),
        Column::new("", move |token: &ApiToken| {
            let mine = token.clone();
            view! {
                <Button size="sm" kind=Kind::DangerQuiet on_click=move |()| revoking.set(Some(mine.clone()))>
                    "Revoke"
                </Button>
            }
        })
        .end(),
    ]
}

fn words(permission: Permission) -> &'static str {
    match permission {
        Permission::ManagePlatform => "Manage the platform",
        Permission::ManageTenant => "Manage users, teams, tokens",
        Permission::ManageApis => "Manage and release APIs",
        Permission::ManageCache => "Purge caches and look into them",
        Permission::ApproveSubscriptions => "Decide subscriptions",
        Permission::ManageApplications => "Manage applications and keys",
        Permission::ReadManagement => "Read APIs and applications",
        Permission::ReadCalls => "Read calls and analytics",
        Permission::ReadAudit => "Read the audit log",
        Permission::ReadCatalogue => "Read the catalogue",
    }
}

#[component]
fn Create(open: RwSignal<bool>, list: Paged<ApiToken>) -> impl IntoView {
    let current = use_current();
    let task = Task::new();
    let name = RwSignal::new(String::new());
    let permissions = RwSignal::new(Vec::<Permission>::new());
    let days = RwSignal::new("90".to_owned());
    let created = RwSignal::new(None::<CreatedApiToken>);
    effect(move || {
        if open.get() {
            name.set(String::new());
            permissions.set(Vec::new());
            created.set(None);
            task.clear();
        }
    });
    let submit = move |()| {
        let path = untrack(|| current.path("/tokens"));
        let body = CreateApiToken {
            name: name.get_untracked(),
            permissions: permissions.get_untracked(),
            expires_at: days.get_untracked().parse().ok().map(|days| Utc::now() + TimeDelta::days(days)),
        };
        task.run(async move { api::post::<_, CreatedApiToken>(&path, &body).await }, move |made| {
            created.set(Some(made));
            list.reload();
        });
    };
    // Nobody can grant what they may not do themselves.
    let boxes = move || {
        let own = current.tenant().map(|tenant| tenant.permissions).unwrap_or_default();
        own.into_iter().map(|permission| permission_box(permissions, permission)).collect_view()
    };
    let body = move || {
        match created.get() {
        Some(made) => view! {
            <div class="stack">
                <Notice tone=Tone::Warn>"The token is shown once. Copy it now."</Notice>
                <Secret text=made.secret label="Copy token" />
                <div class="form-actions">
                    <Button kind=Kind::Primary on_click=move |()| open.set(false)>"Done"</Button>
                </div>
            </div>
        }
        .into_any(),
        None => view! {
            <DialogForm open task action="Create token" on_submit=submit>
                <TextField label="Name" value=name required=true autofocus=true placeholder="deploy pipeline" error=task.field("/name") />
                <fieldset class="fieldset">
                    <legend>"It may"</legend>
                    <div class="stack" data-gap="1">{boxes}</div>
                </fieldset>
                <Segments
                    label="Expires after"
                    value=days
                    options=vec![("30", "30 days"), ("90", "90 days"), ("365", "1 year"), ("never", "Never")]
                    on_pick=move |picked| days.set(picked)
                />
            </DialogForm>
        }
        .into_any(),
    }
    };
    view! { <Dialog open title="New API token">{body}</Dialog> }
}

fn permission_box(permissions: RwSignal<Vec<Permission>>, permission: Permission) -> impl IntoView {
    let checked = Signal::derive(move || permissions.with(|permissions| permissions.contains(&permission)));
    let change = move |on: bool| {
        permissions.update(|permissions| {
            permissions.retain(|known| *known != permission);
            if on {
                permissions.push(permission);
            }
        });
    };
    view! { <CheckBox label=words(permission) checked on_change=change /> }
}

#[component]
fn Revoke(revoking: RwSignal<Option<ApiToken>>, list: Paged<ApiToken>) -> impl IntoView {
    let current = use_current();
    let toasts = use_toasts();
    let task = Task::new();
    let open = opened_by(revoking);
    let revoke = move |()| {
        let Some(token) = revoking.get_untracked() else { return };
        let path = untrack(|| current.path(&format!("/tokens/{}", token.id)));
        task.run(async move { api::delete(&path, None).await }, move |()| {
            open.set(false);
            toasts.done(format!("Token {} revoked", token.name));
            list.reload();
        });
    };
    let title = Signal::derive(move || {
        format!("Revoke token {}?", revoking.get().map(|token| token.name).unwrap_or_default())
    });
    view! {
        <ConfirmDialog
            open
            title
            note=Signal::stored("Whatever uses it is refused from now on.".to_owned())
            action=Signal::stored("Revoke token".to_owned())
            on_confirm=revoke
            task
        />
    }
}
