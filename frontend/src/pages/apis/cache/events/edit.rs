//! Making and changing a webhook.

use leptos::prelude::*;
use sluice_contract::problem::Problem;
use sluice_contract::rest::event_sources::{EventSource, EventSourceSecret, SaveEventSource};

use super::rules::{RuleFields, Rules, Sample};
use super::secret::Issued;
use crate::api;
use crate::components::{Dialog, DialogForm, EnvironmentChoice, SelectField, Switch, TextField, use_toasts};
use crate::pages::apis::draft::{Draft, use_draft};
use crate::state::{Paged, Task, effect, opened_by};

/// Which one is edited.
#[derive(Clone, PartialEq)]
pub(super) enum Subject {
    New,
    Of(Box<EventSource>),
}

#[derive(Clone, Copy)]
struct Form {
    name: RwSignal<String>,
    environment: RwSignal<String>,
    per_minute: RwSignal<String>,
    soft: RwSignal<bool>,
    enabled: RwSignal<bool>,
    rules: Rules,
}

impl Form {
    fn new() -> Self {
        let [name, environment, per_minute] = [(); 3].map(|()| RwSignal::new(String::new()));
        let [soft, enabled] = [(); 2].map(|()| RwSignal::new(false));
        Self { name, environment, per_minute, soft, enabled, rules: Rules::new() }
    }

    fn set(self, it: Option<&EventSource>) {
        self.name.set(it.map(|it| it.name.clone()).unwrap_or_default());
        self.environment.set(it.map(|it| it.environment.to_string()).unwrap_or_default());
        self.per_minute.set(it.map_or(60, |it| it.per_minute).to_string());
        self.soft.set(it.is_some_and(|it| it.soft));
        self.enabled.set(it.is_none_or(|it| it.enabled));
        self.rules.set(it.map(|it| it.rules.as_slice()).unwrap_or_default());
    }

    /// Waits for the environments where none was picked.
    async fn body(self, environments: EnvironmentChoice) -> Result<SaveEventSource, Problem> {
        let environment = match self.environment.get_untracked().parse() {
            Ok(picked) => picked,
            Err(_) => environments.picked().await?.id,
        };
        Ok(SaveEventSource {
            name: self.name.get_untracked(),
            environment,
            rules: untrack(|| self.rules.typed()),
            soft: self.soft.get_untracked(),
            enabled: self.enabled.get_untracked(),
            // What is no number is refused as zero is.
            per_minute: self.per_minute.get_untracked().trim().parse().unwrap_or(0),
        })
    }
}

async fn store(
    draft: Draft,
    subject: Subject,
    form: Form,
    environments: EnvironmentChoice,
) -> Result<(EventSource, Option<String>), Problem> {
    let body = form.body(environments).await?;
    match subject {
        Subject::New => {
            let path = draft.path("/event-sources");
            let EventSourceSecret { source, secret } = api::post(&path, &body).await?;
            Ok((source, Some(secret)))
        }
        Subject::Of(it) => {
            let path = draft.path(&format!("/event-sources/{}", it.id));
            Ok((api::put(&path, &body, Some(&api::version_tag(it.version))).await?, None))
        }
    }
}

/// Opens while there is a subject; a new one's secret goes to `issued`.
#[component]
pub(super) fn Edit(
    editing: RwSignal<Option<Subject>>,
    environments: EnvironmentChoice,
    issued: RwSignal<Option<Issued>>,
    list: Paged<EventSource>,
) -> impl IntoView {
    let draft = use_draft();
    let toasts = use_toasts();
    let task = Task::new();
    let form = Form::new();
    let open = opened_by(editing);
    effect(move || {
        if let Some(subject) = editing.get() {
            task.clear();
            form.set(match &subject {
                Subject::New => None,
                Subject::Of(it) => Some(it.as_ref()),
            });
        }
    });
    let submit = move |()| {
        let Some(subject) = editing.get_untracked() else { return };
        task.run(store(draft, subject, form, environments), move |(source, secret)| {
            open.set(false);
            toasts.done(format!("Webhook {} saved", source.name));
            if let Some(secret) = secret {
                issued.set(Some(Issued { source, secret }));
            }
            list.reload();
        });
    };
    let title = Signal::derive(move || {
        editing.with(|editing| match editing {
            Some(Subject::Of(it)) => format!("Edit webhook {}", it.name),
            _ => "New webhook".to_owned(),
        })
    });
    view! {
        <Dialog open title wide=true>
            <DialogForm open task action="Save webhook" on_submit=submit>
                {fields(form, environments, task)}
            </DialogForm>
        </Dialog>
    }
}

fn fields(form: Form, environments: EnvironmentChoice, task: Task) -> impl IntoView {
    let options = Signal::derive(move || {
        environments.all().into_iter().map(|it| (it.id.to_string(), it.name)).collect::<Vec<_>>()
    });
    view! {
        <TextField
            label="Name"
            value=form.name
            required=true
            autofocus=true
            placeholder="Shop"
            help="The audit log and the list of purges name it."
            error=task.field("/name")
        />
        <SelectField
            label="Environment"
            value=form.environment
            options
            error=task.field("/environment")
        />
        <RuleFields rules=form.rules task />
        <Sample rules=form.rules />
        <TextField
            label="Events a minute"
            value=form.per_minute
            kind="number"
            help="More are answered with 429, and their sender tries again."
            error=task.field("/per_minute")
        />
        <Switch
            label="Soft"
            checked=form.soft
            help="What is covered becomes stale: it may be served while it is fetched anew, where the policy or the upstream allows that."
        />
        <Switch label="Takes events" checked=form.enabled />
    }
}
