//! What an API is, for people; where it answers; and its end.

use leptos::prelude::*;
use sluice_contract::definition::Access;
use sluice_contract::rest::session::Permission;

use super::draft::use_draft;
use crate::api;
use crate::components::{
    Ago, Button, CodeBlock, ConfirmDialog, Kind, LinkButton, Panel, SelectField, Switch, TaskProblem,
    TextArea, TextField, use_toasts,
};
use crate::icons::{CALLS, FILE_UP, TRASH};
use crate::session::use_current;
use crate::state::{Task, effect, go};

#[component]
pub fn OverviewTab() -> impl IntoView {
    let draft = use_draft();
    let current = use_current();
    let deleting = RwSignal::new(false);
    let id = draft.api().id;
    let may_edit = move || current.can(Permission::ManageApis);
    view! {
        <div class="stack">
            <Panel title="Where it answers">
                <div class="stack">
                    <CodeBlock
                        title="curl"
                        text=Signal::derive(move || {
                            let base = draft.latest.with(|it| it.value.base_path.clone());
                            format!("curl -H 'X-API-Key: <key>' http://<gateway>{base}/")
                        })
                    />
                    <div class="row">
                        <LinkButton href=format!("/calls?api={id}") icon=CALLS>
                            "Its calls"
                        </LinkButton>
                        <Show when=may_edit>
                            <LinkButton href=format!("/apis/import?api={id}") icon=FILE_UP>
                                "Import again"
                            </LinkButton>
                        </Show>
                    </div>
                </div>
            </Panel>
            <About />
            <Show when=may_edit>
                <Panel title="Delete" note="Withdraw it from every environment first.">
                    <Button kind=Kind::DangerQuiet icon=TRASH on_click=move |()| deleting.set(true)>
                        "Delete API"
                    </Button>
                </Panel>
            </Show>
        </div>
        <Delete open=deleting />
    }
}

#[component]
fn About() -> impl IntoView {
    let draft = use_draft();
    let current = use_current();
    let task = Task::new();
    let name = RwSignal::new(String::new());
    let description = RwSignal::new(String::new());
    let listed = RwSignal::new(false);
    let access = RwSignal::new(String::new());
    effect(move || {
        let api = draft.latest.get().value;
        name.set(api.name);
        description.set(api.description);
        listed.set(api.listed);
        access.set(access_name(api.draft.access).to_owned());
    });
    let read_only = Signal::derive(move || !current.can(Permission::ManageApis));
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        draft.save(
            task,
            |update| {
                update.name = name.get_untracked();
                update.description = description.get_untracked();
                update.listed = listed.get_untracked();
                update.draft.access = match access.get_untracked().as_str() {
                    "public" => Access::Public,
                    _ => Access::Subscription,
                };
            },
            || (),
        );
    };
    let options = vec![
        ("subscription".to_owned(), "Applications with an approved subscription".to_owned()),
        ("public".to_owned(), "Anybody, without a key".to_owned()),
    ];
    view! {
        <Panel title="About">
            <form class="form" on:submit=submit>
                <TaskProblem task fields_shown=true />
                <TextField
                    label="Name"
                    value=name
                    required=true
                    disabled=read_only
                    error=task.field("/name")
                />
                <TextArea
                    label="Description"
                    value=description
                    optional=true
                    error=task.field("/description")
                />
                <SelectField
                    label="Who may call"
                    value=access
                    options=Signal::stored(options)
                    disabled=read_only
                />
                <Switch
                    label="Listed in the catalogue"
                    checked=listed
                    help="Consumers find it and can ask to subscribe once it is released."
                    disabled=read_only
                />
                <p class="secondary tiny">
                    "Changed " {move || view! { <Ago at=draft.latest.get().value.updated_at /> }}
                </p>
                <Show when=move || !read_only.get()>
                    <div class="form-actions">
                        <Button kind=Kind::Primary submit=true busy=task.busy()>
                            "Save"
                        </Button>
                    </div>
                </Show>
            </form>
        </Panel>
    }
}

fn access_name(access: Access) -> &'static str {
    match access {
        Access::Subscription => "subscription",
        Access::Public => "public",
    }
}

#[component]
fn Delete(open: RwSignal<bool>) -> impl IntoView {
    let draft = use_draft();
    let toasts = use_toasts();
    let task = Task::new();
    let go = go();
    let delete = move |()| {
        let (path, etag) = (draft.path(""), draft.etag());
        task.run(async move { api::delete(&path, etag.as_deref()).await }, move |()| {
            open.set(false);
            toasts.done("API deleted");
            go.run("/apis".to_owned());
        });
    };
    view! {
        <ConfirmDialog
            open
            title=Signal::stored("Delete this API?".to_owned())
            note=Signal::stored(
                "Its revisions, plans and subscriptions go with it. This cannot be undone.".to_owned(),
            )
            phrase=Signal::derive(move || draft.latest.with(|it| it.value.slug.clone()))
            action=Signal::stored("Delete API".to_owned())
            on_confirm=delete
            task
        />
    }
}
