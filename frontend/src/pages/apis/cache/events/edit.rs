//! Making and changing a source of events: a webhook, or a stream that is read.

use leptos::prelude::*;
use sluice_contract::ids::EnvironmentId;
use sluice_contract::problem::Problem;
use sluice_contract::rest::event_sources::{EventSource, EventSourceSecret, SaveEventSource};

use super::rules::{RuleFields, Rules, Sample};
use super::secret::Issued;
use super::stream::{StreamFields, StreamForm};
use crate::api;
use crate::components::{Dialog, DialogForm, EnvironmentChoice, SelectField, Switch, TextField, use_toasts};
use crate::pages::apis::draft::{Draft, use_draft};
use crate::state::{Paged, Task, effect, opened_by};

/// Which one is edited.
#[derive(Clone, PartialEq)]
pub(super) enum Subject {
    Webhook,
    Stream,
    Of(Box<EventSource>),
}

impl Subject {
    fn reads(&self) -> bool {
        match self {
            Self::Webhook => false,
            Self::Stream => true,
            Self::Of(it) => it.stream.is_some(),
        }
    }

    /// `webhook` or `stream`.
    fn word(&self) -> &'static str {
        if self.reads() { "stream" } else { "webhook" }
    }
}

#[derive(Clone, Copy)]
struct Form {
    name: RwSignal<String>,
    environment: RwSignal<String>,
    per_minute: RwSignal<String>,
    soft: RwSignal<bool>,
    enabled: RwSignal<bool>,
    rules: Rules,
    stream: StreamForm,
}

impl Form {
    fn new() -> Self {
        let [name, environment, per_minute] = [(); 3].map(|()| RwSignal::new(String::new()));
        let [soft, enabled] = [(); 2].map(|()| RwSignal::new(false));
        Self { name, environment, per_minute, soft, enabled, rules: Rules::new(), stream: StreamForm::new() }
    }

    fn set(self, it: Option<&EventSource>) {
        self.name.set(it.map(|it| it.name.clone()).unwrap_or_default());
        self.environment.set(it.map(|it| it.environment.to_string()).unwrap_or_default());
        self.per_minute.set(it.map_or(60, |it| it.per_minute).to_string());
        self.soft.set(it.is_some_and(|it| it.soft));
        self.enabled.set(it.is_none_or(|it| it.enabled));
        self.stream.set(it);
        self.rules.set(it.map(|it| it.rules.as_slice()).unwrap_or_default());
    }

    /// What has been typed by now, for some environment.
    fn typed(self, reads: bool) -> impl FnOnce(EnvironmentId) -> SaveEventSource {
        let (stream, stream_password) = reads.then(|| self.stream.typed()).unzip();
        let (name, rules) = (self.name.get_untracked(), untrack(|| self.rules.typed()));
        let (soft, enabled) = (self.soft.get_untracked(), self.enabled.get_untracked());
        // What is no number is refused as zero is.
        let per_minute = self.per_minute.get_untracked().trim().parse().unwrap_or(0);
        move |environment| SaveEventSource {
            name,
            environment,
            rules,
            soft,
            enabled,
            per_minute,
            stream,
            stream_password: stream_password.flatten(),
        }
    }
}

/// Waits for the environments where none was picked.
fn store(
    draft: Draft,
    subject: Subject,
    form: Form,
    environments: EnvironmentChoice,
) -> impl Future<Output = Result<(EventSource, Option<String>), Problem>> {
    let environment = environments.with_id(&form.environment.get_untracked());
    let (sources, typed) = (draft.path("/event-sources"), form.typed(subject.reads()));
    async move {
        let body = typed(environment.await?);
        match subject {
            Subject::Webhook | Subject::Stream => {
                let EventSourceSecret { source, secret } = api::post(&sources, &body).await?;
                Ok((source, secret))
            }
            Subject::Of(it) => {
                let path = format!("{sources}/{}", it.id);
                Ok((api::put(&path, &body, Some(&api::version_tag(it.version))).await?, None))
            }
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
                Subject::Webhook | Subject::Stream => None,
                Subject::Of(it) => Some(it.as_ref()),
            });
            if subject == Subject::Stream {
                // What one writes to a stream is meant for who reads it.
                form.per_minute.set("600".to_owned());
            }
        }
    });
    let submit = move |()| {
        let Some(subject) = editing.get_untracked() else { return };
        let what = if subject.reads() { "Stream" } else { "Webhook" };
        task.run(store(draft, subject, form, environments), move |(source, secret)| {
            open.set(false);
            toasts.done(format!("{what} {} saved", source.name));
            if let Some(secret) = secret {
                issued.set(Some(Issued { source, secret }));
            }
            list.reload();
        });
    };
    let title = Signal::derive(move || {
        editing.with(|editing| match editing {
            Some(subject @ Subject::Of(it)) => format!("Edit {} {}", subject.word(), it.name),
            Some(subject) => format!("New {}", subject.word()),
            None => String::new(),
        })
    });
    let action = Signal::derive(move || {
        editing.with(|editing| format!("Save {}", editing.as_ref().map_or("webhook", Subject::word)))
    });
    view! {
        <Dialog open title wide=true>
            <DialogForm open task action on_submit=submit>
                {fields(form, environments, editing, task)}
            </DialogForm>
        </Dialog>
    }
}

fn fields(
    form: Form,
    environments: EnvironmentChoice,
    editing: RwSignal<Option<Subject>>,
    task: Task,
) -> impl IntoView {
    let reads = move || editing.with(|editing| editing.as_ref().is_some_and(Subject::reads));
    let has_password = Signal::derive(move || {
        editing.with(|editing| matches!(editing, Some(Subject::Of(it)) if it.has_stream_password))
    });
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
        <Show when=reads>
            <StreamFields form=form.stream has_password task />
        </Show>
        <RuleFields rules=form.rules task />
        <Sample rules=form.rules />
        <TextField
            label="Events a minute"
            value=form.per_minute
            kind="number"
            help="More webhooks are answered with 429, and their sender tries again. What more there is in a stream waits."
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
