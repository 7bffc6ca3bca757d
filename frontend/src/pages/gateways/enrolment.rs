//! Enrolment tokens: how new gateways join an environment. For platform administrators.

use leptos::prelude::*;
use sluice_contract::problem::Problem;
use sluice_contract::rest::environments::Environment;
use sluice_contract::rest::gateways::{CreateEnrolmentToken, CreatedEnrolmentToken, EnrolmentTokenInfo};

use crate::api;
use crate::components::{
    Ago, Badge, Button, CodeBlock, Column, ConfirmDialog, Crumb, DataTable, Dialog, DialogForm, EmptyState,
    Kind, Notice, PageHead, Segments, SelectField, TextField, Tone, set_page, use_environments, use_toasts,
};
use crate::icons::{KEY, PLUS};
use crate::state::{Paged, Task, effect, opened_by, paged, url_text};

#[component]
pub fn Enrolment() -> impl IntoView {
    set_page(|| vec![Crumb::link("Gateways", "/gateways"), Crumb::here("Enrolment")]);
    let picked = url_text("environment");
    let set = picked.setter();
    let environments = use_environments();
    let environment = Memo::new(move |_| {
        let slug = picked.get();
        let items = environments.all();
        items.iter().find(|environment| environment.slug == slug).or(items.first()).cloned()
    });
    let tokens = paged::<EnrolmentTokenInfo>(move || {
        environment.get().map(|it| format!("/environments/{}/enrolment-tokens", it.id)).unwrap_or_default()
    });
    let creating = RwSignal::new(false);
    let revoking = RwSignal::new(None::<EnrolmentTokenInfo>);
    view! {
        <PageHead
            title=Signal::stored("Enrolment".to_owned())
            note=Signal::stored(
                "A token lets gateways join one environment. It carries the fingerprint of the control plane's certificate, may be reused, and expires.".to_owned(),
            )
        >
            <Button kind=Kind::Primary icon=PLUS on_click=move |()| creating.set(true)>
                "New token"
            </Button>
        </PageHead>
        {move || environment_choice(environments.all(), Signal::derive(move || environment.get().map(|e| e.slug).unwrap_or_default()), set)}
        <DataTable
            label="Enrolment tokens"
            columns=columns(revoking)
            list=tokens
            empty=|| view! {
                <EmptyState
                    icon=KEY
                    title="No token yet"
                    note="Create one, then start a gateway with the command that is shown with it."
                />
            }
        />
        <Create environment=environment tokens open=creating />
        <Revoke environment=environment token=revoking tokens />
    }
}

fn environment_choice(items: Vec<Environment>, value: Signal<String>, set: Callback<String>) -> AnyView {
    if items.len() < 2 {
        return ().into_any();
    }
    let slug = RwSignal::new(value.get_untracked());
    effect(move || {
        let now = slug.get();
        if now != value.get_untracked() {
            set.run(now);
        }
    });
    let options = items.into_iter().map(|it| (it.slug, it.name)).collect::<Vec<_>>();
    view! {
        <div class="toolbar">
            <SelectField label="Environment" value=slug options=Signal::stored(options) />
        </div>
    }
    .into_any()
}

fn columns(revoking: RwSignal<Option<EnrolmentTokenInfo>>) -> Vec<Column<EnrolmentTokenInfo>> {
    vec![
        Column::new("Name", |token: &EnrolmentTokenInfo| view! { <strong>{token.name.clone()}</strong> }),
        Column::new("State", |token: &EnrolmentTokenInfo| {
            let (tone, text) = if token.revoked_at.is_some() {
                (Tone::Idle, "revoked")
            } else if token.expires_at < chrono::Utc::now() {
                (Tone::Idle, "expired")
            } else {
                (Tone::Ok, "valid")
            };
            view! { <Badge tone text /> }
        }),
        Column::new("Created", |token: &EnrolmentTokenInfo| view! { <Ago at=token.created_at /> }),
        Column::new("Expires", |token: &EnrolmentTokenInfo| view! { <Ago at=token.expires_at /> }),
        Column::new("Gateways joined", |token: &EnrolmentTokenInfo| token.used).end(),
        Column::new("", move |token: &EnrolmentTokenInfo| {
            let mine = token.clone();
            token.revoked_at.is_none().then(|| {
                view! {
                    <Button size="sm" kind=Kind::DangerQuiet on_click=move |()| revoking.set(Some(mine.clone()))>
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
    environment: Memo<Option<Environment>>,
    tokens: Paged<EnrolmentTokenInfo>,
    open: RwSignal<bool>,
) -> impl IntoView {
    let task = Task::new();
    let name = RwSignal::new(String::new());
    let hours = RwSignal::new("24".to_owned());
    let created = RwSignal::new(None::<CreatedEnrolmentToken>);
    effect(move || {
        if open.get() {
            created.set(None);
            name.set(String::new());
            task.clear();
        }
    });
    let submit = move |()| {
        let Some(environment) = environment.get_untracked() else {
            task.fail(Problem::new(0, "no_environment", "There is no environment to join"));
            return;
        };
        let path = format!("/environments/{}/enrolment-tokens", environment.id);
        let body = CreateEnrolmentToken {
            name: name.get_untracked(),
            valid_hours: hours.get_untracked().parse().ok(),
        };
        task.run(async move { api::post::<_, CreatedEnrolmentToken>(&path, &body).await }, move |made| {
            created.set(Some(made));
            tokens.reload();
        });
    };
    let body = move || {
        match created.get() {
        Some(made) => view! {
            <div class="stack">
                <Notice tone=Tone::Warn>"The token is shown once. Start a gateway with it now, or keep it safe."</Notice>
                <CodeBlock text=Signal::stored(made.command) title="Command" wrap=true />
                <div class="form-actions">
                    <Button kind=Kind::Primary on_click=move |()| open.set(false)>"Done"</Button>
                </div>
            </div>
        }
        .into_any(),
        None => view! {
            <DialogForm open task action="Create token" on_submit=submit>
                <TextField label="Name" value=name required=true autofocus=true placeholder="Frankfurt fleet" error=task.field("/name") />
                <Segments
                    label="Valid for"
                    value=hours
                    options=vec![("1", "1 hour"), ("24", "1 day"), ("720", "30 days"), ("8760", "1 year")]
                    on_pick=move |picked| hours.set(picked)
                />
            </DialogForm>
        }
        .into_any(),
    }
    };
    view! { <Dialog open wide=true title="New enrolment token">{body}</Dialog> }
}

#[component]
fn Revoke(
    environment: Memo<Option<Environment>>,
    token: RwSignal<Option<EnrolmentTokenInfo>>,
    tokens: Paged<EnrolmentTokenInfo>,
) -> impl IntoView {
    let open = opened_by(token);
    let task = Task::new();
    let toasts = use_toasts();
    let revoke = move |()| {
        let Some((environment, token)) = environment.get_untracked().zip(token.get_untracked()) else {
            return;
        };
        let path = format!("/environments/{}/enrolment-tokens/{}", environment.id, token.id);
        task.run(async move { api::delete(&path, None).await }, move |()| {
            open.set(false);
            toasts.done("Token revoked");
            tokens.reload();
        });
    };
    view! {
        <ConfirmDialog
            open
            title=Signal::stored("Revoke this token?".to_owned())
            note=Signal::stored("Nobody can join with it any more. Gateways that have joined stay.".to_owned())
            action=Signal::stored("Revoke token".to_owned())
            on_confirm=revoke
            task
        />
    }
}
