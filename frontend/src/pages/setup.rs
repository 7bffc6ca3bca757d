//! First-run setup: the one-time link makes the first organisation and its administrator.

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use sluice_contract::rest::session::Session;
use sluice_contract::rest::setup::{CompleteSetup, DatabaseKind, SetupStatus};

use crate::api;
use crate::components::{
    Button, Crumb, EmptyState, Kind, LinkButton, Notice, Skeleton, TaskProblem, TextField, Tone, set_page,
};
use crate::icons::CIRCLE_CHECK;
use crate::session::use_current;
use crate::shell::Plain;
use crate::state::{Task, go_replacing, remote};

#[component]
pub fn Setup() -> impl IntoView {
    set_page(|| vec![Crumb::here("Setup")]);
    let status = remote(|| api::get::<SetupStatus>("/setup"));
    view! {
        <Plain wide=true>
            {status
                .view(
                    Skeleton::Lines(4),
                    |status| {
                        if status.needed {
                            view! { <SetupForm status /> }.into_any()
                        } else {
                            view! { <AlreadyDone /> }.into_any()
                        }
                    },
                )}
        </Plain>
    }
}

#[component]
fn AlreadyDone() -> impl IntoView {
    view! {
        <h1 class="visually-hidden">"Setup"</h1>
        <EmptyState
            icon=CIRCLE_CHECK
            title="This installation is set up"
            note="The one-time link has been used. Sign in with your account, or ask an administrator for one."
        >
            <LinkButton href="/login" kind=Kind::Primary>
                "Sign in"
            </LinkButton>
        </EmptyState>
    }
}

#[component]
fn SetupForm(status: SetupStatus) -> impl IntoView {
    let current = use_current();
    let go = go_replacing();
    let task = Task::new();
    let given = use_query_map().with_untracked(|query| query.get("token")).unwrap_or_default();
    let has_token = !given.is_empty();
    let token = RwSignal::new(given);
    let organisation = RwSignal::new(String::new());
    let name = RwSignal::new(String::new());
    let email = RwSignal::new(String::new());
    let password = RwSignal::new(String::new());
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let body = CompleteSetup {
            token: token.get_untracked().trim().to_owned(),
            organisation: organisation.get_untracked(),
            name: name.get_untracked(),
            email: email.get_untracked(),
            password: password.get_untracked(),
        };
        task.run(async move { api::post::<_, Session>("/setup", &body).await }, move |session| {
            current.sign_in(session);
            go.run("/".to_owned());
        });
    };
    view! {
        <div class="stack" data-gap="6">
            <div class="stack" data-gap="1">
                <h1>"Welcome to Sluice"</h1>
                <p class="secondary">
                    "Name your organisation and create the first account. It may do everything here."
                </p>
            </div>
            <form class="form" on:submit=submit>
                <TaskProblem task fields_shown=true />
                <Show when=move || !has_token>
                    <TextField
                        label="Setup code"
                        value=token
                        required=true
                        mono=true
                        help="The text after “token=” in the link that Sluice printed when it started."
                        error=task.field("/token")
                    />
                </Show>
                <TextField
                    label="Organisation"
                    value=organisation
                    required=true
                    autofocus=true
                    autocomplete="organization"
                    help="It becomes your tenant; its name in lower case begins the addresses of your APIs."
                    error=task.field("/organisation")
                />
                <div class="form-row">
                    <TextField
                        label="Your name"
                        value=name
                        required=true
                        autocomplete="name"
                        error=task.field("/name")
                    />
                    <TextField
                        label="E-mail"
                        kind="email"
                        value=email
                        required=true
                        autocomplete="username"
                        error=task.field("/email")
                    />
                </div>
                <TextField
                    label="Password"
                    kind="password"
                    value=password
                    required=true
                    minlength=12
                    autocomplete="new-password"
                    help="At least 12 characters. A sentence works well."
                    error=task.field("/password")
                />
                <StorageNotice status />
                <Button kind=Kind::Primary size="lg" submit=true busy=task.busy()>
                    "Create account"
                </Button>
            </form>
        </div>
    }
}

/// What this installation is good for, said before anybody relies on it.
#[component]
fn StorageNotice(status: SetupStatus) -> impl IntoView {
    let database = match status.database {
        DatabaseKind::Sqlite => {
            "Data is kept in the embedded SQLite database: one machine, one control plane. Production runs on Postgres."
        }
        DatabaseKind::Postgres => "Data is kept in Postgres.",
    };
    let loopback =
        status.loopback_allowed.then_some(" APIs may point at services on this machine (127.0.0.1).");
    view! { <Notice tone=Tone::Info>{database} {loopback}</Notice> }
}
