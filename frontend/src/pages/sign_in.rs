//! Signing in.

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use sluice_contract::rest::session::{Session, SignIn as Credentials};
use sluice_contract::rest::setup::SetupStatus;

use crate::api;
use crate::components::{Button, Crumb, Kind, Notice, TaskProblem, TextField, Tone, set_page};
use crate::session::use_current;
use crate::shell::Plain;
use crate::state::{Task, go_replacing, remote};

#[component]
pub fn SignIn() -> impl IntoView {
    set_page(|| vec![Crumb::here("Sign in")]);
    let current = use_current();
    let (email, password) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let task = Task::new();
    let go = go_replacing();
    let query = use_query_map();
    let setup = remote(|| api::get::<SetupStatus>("/setup"));
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let body = Credentials { email: email.get_untracked(), password: password.get_untracked() };
        let next = query.with_untracked(|query| query.get("next")).filter(|next| is_own_page(next));
        task.run(async move { api::post::<_, Session>("/session", &body).await }, move |session| {
            current.sign_in(session);
            go.run(next.unwrap_or_else(|| "/".to_owned()));
        });
    };
    let needs_setup = move || setup.get().is_some_and(|status| status.needed);
    view! {
        <Plain>
            <div class="stack" data-gap="6">
                <h1>"Sign in"</h1>
                <Show when=needs_setup>
                    <Notice tone=Tone::Info title="This installation is new">
                        "Open the one-time link that Sluice printed when it started, to create the first account."
                    </Notice>
                </Show>
                <form class="form" on:submit=submit>
                    <TaskProblem task fields_shown=true />
                    <TextField
                        label="E-mail"
                        kind="email"
                        value=email
                        required=true
                        autofocus=true
                        autocomplete="username"
                        error=task.field("/email")
                    />
                    <TextField
                        label="Password"
                        kind="password"
                        value=password
                        required=true
                        autocomplete="current-password"
                        error=task.field("/password")
                    />
                    <Button kind=Kind::Primary size="lg" submit=true busy=task.busy()>
                        "Sign in"
                    </Button>
                </form>
            </div>
        </Plain>
    }
}

/// Whether a return address stays inside of the console: `//host` and `/\host` would leave it.
fn is_own_page(next: &str) -> bool {
    next.starts_with('/') && !next[1..].starts_with(['/', '\\'])
}

#[cfg(test)]
mod tests {
    use super::is_own_page;

    #[test]
    fn a_return_address_never_leads_to_another_site() {
        assert!(is_own_page("/apis/1?tab=routes"));
        for evil in ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", ""] {
            assert!(!is_own_page(evil), "{evil}");
        }
    }
}
