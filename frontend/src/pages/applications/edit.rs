//! Creating and editing an application.

use leptos::prelude::*;
use sluice_contract::definition::PolicyAttachment;
use sluice_contract::rest::applications::{Application, SaveApplication};

use crate::api;
use crate::components::{Button, Dialog, Kind, TaskProblem, TextArea, TextField, use_toasts};
use crate::session::use_current;
use crate::state::{Task, effect};

/// Creates an application, or edits `subject`.
#[component]
pub(super) fn EditApplication(
    #[prop(into)] subject: Signal<Option<Application>>,
    open: RwSignal<bool>,
    #[prop(into)] on_saved: Callback<Application>,
) -> impl IntoView {
    let current = use_current();
    let toasts = use_toasts();
    let task = Task::new();
    let name = RwSignal::new(String::new());
    let description = RwSignal::new(String::new());
    effect(move || {
        if open.get() {
            let application = subject.get_untracked();
            name.set(application.as_ref().map(|it| it.name.clone()).unwrap_or_default());
            description.set(application.map(|it| it.description).unwrap_or_default());
            task.clear();
        }
    });
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let before = subject.get_untracked();
        let body = SaveApplication {
            name: name.get_untracked(),
            description: description.get_untracked(),
            team: before.as_ref().and_then(|it| it.team),
            policies: before.as_ref().map_or_else(Vec::<PolicyAttachment>::new, |it| it.policies.clone()),
        };
        let path = untrack(|| match &before {
            Some(it) => current.path(&format!("/applications/{}", it.id)),
            None => current.path("/applications"),
        });
        let etag = before.map(|it| api::version_tag(it.version));
        let save = async move {
            match etag {
                Some(etag) => api::put::<_, Application>(&path, &body, Some(&etag)).await,
                None => api::post::<_, Application>(&path, &body).await,
            }
        };
        task.run(save, move |saved| {
            open.set(false);
            toasts.done(format!("Application {} saved", saved.name));
            on_saved.run(saved);
        });
    };
    let title = Signal::derive(move || {
        if subject.with(Option::is_some) { "Edit application" } else { "New application" }.to_owned()
    });
    view! {
        <Dialog open title>
            <form class="form" on:submit=submit>
                <TaskProblem task fields_shown=true />
                <TextField label="Name" value=name required=true autofocus=true error=task.field("/name") />
                <TextArea
                    label="Description"
                    value=description
                    optional=true
                    error=task.field("/description")
                />
                <div class="form-actions">
                    <Button on_click=move |()| open.set(false)>"Cancel"</Button>
                    <Button kind=Kind::Primary submit=true busy=task.busy()>
                        "Save"
                    </Button>
                </div>
            </form>
        </Dialog>
    }
}
