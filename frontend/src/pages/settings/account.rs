//! One's own account.

use gloo_net::http::Method;
use leptos::prelude::*;
use sluice_contract::rest::session::ChangePassword;

use crate::api;
use crate::components::{Button, Crumb, Kind, Panel, TaskProblem, TextField, set_page, use_toasts};
use crate::session::use_current;
use crate::state::Task;

#[component]
pub fn Account() -> impl IntoView {
    set_page(|| vec![Crumb::link("Settings", "/settings"), Crumb::here("Account")]);
    let current = use_current();
    let facts = move || {
        current.session().map(|session| {
            let admin = session.platform_admin.then(|| {
                view! {
                    <dt>"Role"</dt>
                    <dd>"Platform administrator"</dd>
                }
            });
            view! {
                <dl class="facts">
                    <dt>"Name"</dt>
                    <dd>{session.name}</dd>
                    <dt>"E-mail"</dt>
                    <dd>{session.email}</dd>
                    {admin}
                </dl>
            }
        })
    };
    view! {
        <div class="grid" data-min="lg">
            <Panel title="You">{facts}</Panel>
            <Panel title="Password" note="Changing it ends all your other sessions.">
                <PasswordForm />
            </Panel>
        </div>
    }
}

#[component]
fn PasswordForm() -> impl IntoView {
    let task = Task::new();
    let toasts = use_toasts();
    let (present, new) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let body = ChangePassword { current: present.get_untracked(), new: new.get_untracked() };
        let change = async move { api::send(Method::PUT, "/session/password", Some(&body), None).await };
        task.run(change, move |()| {
            present.set(String::new());
            new.set(String::new());
            toasts.done("Password changed");
        });
    };
    view! {
        <form class="form" on:submit=submit>
            <TaskProblem task fields_shown=true />
            <TextField
                label="Present password"
                kind="password"
                value=present
                required=true
                autocomplete="current-password"
                error=task.field("/current")
            />
            <TextField
                label="New password"
                kind="password"
                value=new
                required=true
                minlength=12
                autocomplete="new-password"
                help="At least 12 characters. A sentence works well."
                error=task.field("/new")
            />
            <div class="form-actions">
                <Button kind=Kind::Primary submit=true busy=task.busy()>
                    "Change password"
                </Button>
            </div>
        </form>
    }
}
