//! An invited person chooses a password with the one-time link.

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use sluice_contract::rest::session::Session;
use sluice_contract::rest::users::AcceptInvitation;

use crate::api;
use crate::components::{Button, Crumb, Kind, TaskProblem, TextField, set_page};
use crate::session::use_current;
use crate::shell::Plain;
use crate::state::{Task, go_replacing};

#[component]
pub fn Welcome() -> impl IntoView {
    set_page(|| vec![Crumb::here("Welcome")]);
    let current = use_current();
    let go = go_replacing();
    let task = Task::new();
    let token = use_query_map().with_untracked(|query| query.get("token")).unwrap_or_default();
    let password = RwSignal::new(String::new());
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let body = AcceptInvitation { token: token.clone(), password: password.get_untracked() };
        task.run(async move { api::post::<_, Session>("/invitations", &body).await }, move |session| {
            current.sign_in(session);
            go.run("/".to_owned());
        });
    };
    view! {
        <Plain>
            <div class="stack" data-gap="6">
                <div class="stack" data-gap="1">
                    <h1>"Welcome"</h1>
                    <p class="secondary">"You were invited to Sluice. Choose a password to begin."</p>
                </div>
                <form class="form" on:submit=submit>
                    <TaskProblem task fields_shown=true />
                    <TextField
                        label="Password"
                        kind="password"
                        value=password
                        required=true
                        autofocus=true
                        minlength=12
                        autocomplete="new-password"
                        help="At least 12 characters. A sentence works well."
                        error=task.field("/password")
                    />
                    <Button kind=Kind::Primary size="lg" submit=true busy=task.busy()>
                        "Set password and sign in"
                    </Button>
                </form>
            </div>
        </Plain>
    }
}
