//! Making and changing a request to a CDN.

use leptos::prelude::*;
use sluice_contract::ids::EnvironmentId;
use sluice_contract::problem::Problem;
use sluice_contract::rest::cdn_hooks::{CdnHook, PurgeKind, SaveCdnHook};

use super::templates::{KindBoxes, header_problem, headers_of, text_of};
use crate::api;
use crate::components::{
    Dialog, DialogForm, EnvironmentChoice, SelectField, Switch, TextArea, TextField, use_toasts,
};
use crate::pages::apis::draft::{Draft, use_draft};
use crate::state::{Paged, Task, effect, opened_by};

const METHODS: [&str; 7] = ["POST", "PUT", "PATCH", "DELETE", "GET", "PURGE", "BAN"];

/// Which one is edited.
#[derive(Clone, PartialEq)]
pub(super) enum Subject {
    New,
    Of(Box<CdnHook>),
}

#[derive(Clone, Copy)]
struct Form {
    name: RwSignal<String>,
    environment: RwSignal<String>,
    kinds: RwSignal<Vec<PurgeKind>>,
    method: RwSignal<String>,
    url: RwSignal<String>,
    headers: RwSignal<String>,
    body: RwSignal<String>,
    secret: RwSignal<String>,
    enabled: RwSignal<bool>,
}

impl Form {
    fn new() -> Self {
        let [name, environment, method, url, headers, body, secret] =
            [(); 7].map(|()| RwSignal::new(String::new()));
        let (kinds, enabled) = (RwSignal::new(Vec::new()), RwSignal::new(true));
        Self { name, environment, kinds, method, url, headers, body, secret, enabled }
    }

    fn set(self, it: Option<&CdnHook>) {
        let text = |of: fn(&CdnHook) -> String| it.map(of).unwrap_or_default();
        self.name.set(text(|it| it.name.clone()));
        self.environment.set(text(|it| it.environment.to_string()));
        self.kinds.set(it.map_or_else(|| vec![PurgeKind::Tag], |it| it.kinds.clone()));
        self.method.set(it.map_or_else(|| METHODS[0].to_owned(), |it| it.method.clone()));
        self.url.set(text(|it| it.url.clone()));
        self.headers.set(text(|it| text_of(&it.headers)));
        self.body.set(text(|it| it.body.clone()));
        self.secret.set(String::new());
        self.enabled.set(it.is_none_or(|it| it.enabled));
    }

    /// What has been typed by now, for some environment. An empty secret changes none.
    fn typed(self) -> impl FnOnce(EnvironmentId) -> SaveCdnHook {
        let (name, kinds, method) =
            (self.name.get_untracked(), self.kinds.get_untracked(), self.method.get_untracked());
        let (url, body) = (self.url.get_untracked().trim().to_owned(), self.body.get_untracked());
        let headers = self.headers.with_untracked(|text| headers_of(text));
        let enabled = self.enabled.get_untracked();
        let secret = Some(self.secret.get_untracked().trim().to_owned()).filter(|text| !text.is_empty());
        move |environment| SaveCdnHook {
            name,
            environment,
            kinds,
            method,
            url,
            headers,
            body,
            enabled,
            secret,
        }
    }
}

/// Waits for the environments where none was picked.
fn store(
    draft: Draft,
    subject: Subject,
    form: Form,
    environments: EnvironmentChoice,
) -> impl Future<Output = Result<CdnHook, Problem>> {
    let environment = environments.with_id(&form.environment.get_untracked());
    let (hooks, typed) = (draft.path("/cdn-hooks"), form.typed());
    async move {
        let body = typed(environment.await?);
        match subject {
            Subject::New => api::post(&hooks, &body).await,
            Subject::Of(it) => {
                let path = format!("{hooks}/{}", it.id);
                api::put(&path, &body, Some(&api::version_tag(it.version))).await
            }
        }
    }
}

/// Opens while there is a subject.
#[component]
pub(super) fn Edit(
    editing: RwSignal<Option<Subject>>,
    environments: EnvironmentChoice,
    list: Paged<CdnHook>,
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
        task.run(store(draft, subject, form, environments), move |hook| {
            open.set(false);
            toasts.done(format!("CDN request {} saved", hook.name));
            list.reload();
        });
    };
    let title = Signal::derive(move || {
        editing.with(|editing| match editing {
            Some(Subject::Of(it)) => format!("Edit CDN request {}", it.name),
            _ => "New CDN request".to_owned(),
        })
    });
    let has_secret = Signal::derive(move || {
        editing.with(|editing| matches!(editing, Some(Subject::Of(it)) if it.has_secret))
    });
    view! {
        <Dialog open title wide=true>
            <DialogForm open task action="Save CDN request" on_submit=submit>
                {fields(form, environments, has_secret, task)}
            </DialogForm>
        </Dialog>
    }
}

fn fields(
    form: Form,
    environments: EnvironmentChoice,
    has_secret: Signal<bool>,
    task: Task,
) -> impl IntoView {
    let options = Signal::derive(move || {
        environments.all().into_iter().map(|it| (it.id.to_string(), it.name)).collect::<Vec<_>>()
    });
    let methods = METHODS.map(|method| (method.to_owned(), method.to_owned()));
    let secret = Signal::derive(move || {
        if has_secret.get() { "Secret (leave empty to keep it)" } else { "Secret" }.to_owned()
    });
    view! {
        <TextField
            label="Name"
            value=form.name
            required=true
            autofocus=true
            placeholder="Fastly"
            error=task.field("/name")
        />
        <SelectField
            label="Environment"
            value=form.environment
            options
            error=task.field("/environment")
        />
        <KindBoxes kinds=form.kinds task />
        <SelectField label="Method" value=form.method options=Signal::stored(methods.to_vec()) />
        <TextField
            label="URL"
            value=form.url
            required=true
            mono=true
            placeholder="https://api.example-cdn.com/service/1/purge/{value}"
            help="{value} is the tag or path, {path} the path as it is; {kind}, {api}, {environment}, {purge} and {soft} may be named, too."
            error=task.field("/url")
        />
        <TextArea
            label="Headers"
            value=form.headers
            optional=true
            mono=true
            placeholder="authorization: Bearer {secret}"
            help="One a line."
            error=header_problem(task)
        />
        <TextArea
            label="Body"
            value=form.body
            optional=true
            mono=true
            placeholder="{\"tags\": [\"{value}\"]}"
            error=task.field("/body")
        />
        <TextField
            label=secret
            value=form.secret
            kind="password"
            autocomplete="off"
            mono=true
            help="Stands for {secret} in headers. One that begins with whsec_ also signs the request as Standard Webhooks says."
            error=task.field("/secret")
        />
        <Switch label="Sent" checked=form.enabled />
    }
}
