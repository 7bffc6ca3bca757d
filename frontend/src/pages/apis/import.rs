//! Import of an OpenAPI document: where it is, what it would do, and doing it. With `?api=` it merges into that API.

use leptos::prelude::*;
use leptos::task::spawn_local;
use sluice_contract::problem::Problem;
use sluice_contract::rest::apis::{Api, CreateApi, UpdateApi};
use sluice_contract::rest::imports::{DocumentSource, ImportPreview, PreviewImport};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;

use crate::api;
use crate::components::{
    Button, Crumb, DiffView, Kind, Notice, PageHead, Panel, Segments, TaskProblem, TextArea, TextField, Tone,
    set_page, use_toasts,
};
use crate::format;
use crate::session::use_current;
use crate::state::{Task, effect, go, url_text};

#[component]
pub fn Import() -> impl IntoView {
    set_page(|| vec![Crumb::link("APIs", "/apis"), Crumb::here("Import")]);
    let preview = RwSignal::new(None::<ImportPreview>);
    let into = url_text("api");
    view! {
        <PageHead
            title=Signal::stored("Import".to_owned())
            note=Signal::stored("OpenAPI 3.0, 3.1 or Swagger 2.0, as JSON or YAML. Nothing changes before you say so.".to_owned())
        />
        <div class="stack">
            <Source preview into=into.signal() />
            {move || preview.get().map(|it| view! { <Preview preview=it into=into.get() /> })}
        </div>
    }
}

/// Where the document is.
#[component]
fn Source(preview: RwSignal<Option<ImportPreview>>, into: Signal<String>) -> impl IntoView {
    let current = use_current();
    let task = Task::new();
    let from = RwSignal::new("url".to_owned());
    let (url, text, file_name) =
        (RwSignal::new(String::new()), RwSignal::new(String::new()), RwSignal::new(String::new()));
    let read_file = move |event: leptos::ev::Event| {
        let input = event.target().and_then(|it| it.dyn_into::<web_sys::HtmlInputElement>().ok());
        let Some(file) = input.and_then(|input| input.files()).and_then(|files| files.get(0)) else { return };
        file_name.set(file.name());
        spawn_local(async move {
            match JsFuture::from(file.text()).await.ok().and_then(|value| value.as_string()) {
                Some(read) => text.set(read),
                None => task.fail(Problem::new(0, "unreadable_file", "The file cannot be read as text")),
            }
        });
    };
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let source = match from.get_untracked().as_str() {
            "url" => DocumentSource::Url(url.get_untracked().trim().to_owned()),
            _ => DocumentSource::Text(text.get_untracked()),
        };
        let body = PreviewImport { source, api: into.get_untracked().parse().ok() };
        let path = untrack(|| current.path("/imports/preview"));
        preview.set(None);
        task.run(async move { api::post::<_, ImportPreview>(&path, &body).await }, move |it| {
            preview.set(Some(it));
        });
    };
    let field = move || match from.get().as_str() {
        "url" => view! {
            <TextField
                label="Address of the document"
                value=url
                mono=true
                required=true
                placeholder="https://example.com/openapi.json"
                error=task.field("/source/url")
            />
        }
        .into_any(),
        "file" => view! {
            <div class="field">
                <label class="field-label" for="document-file">
                    "File"
                </label>
                <input class="input" id="document-file" type="file" on:change=read_file />
                <p class="field-help">{move || file_name.get()}</p>
            </div>
        }
        .into_any(),
        _ => view! { <TextArea label="Document" value=text mono=true tall=true required=true /> }.into_any(),
    };
    view! {
        <Panel title="Document">
            <form class="form" on:submit=submit>
                <TaskProblem task />
                <Segments
                    label="Where it is"
                    value=from
                    options=vec![("url", "At an address"), ("file", "In a file"), ("text", "Pasted")]
                    on_pick=move |picked| from.set(picked)
                />
                {field}
                <div class="form-actions">
                    <Button kind=Kind::Primary submit=true busy=task.busy()>
                        "Preview"
                    </Button>
                </div>
            </form>
        </Panel>
    }
}

/// What the import would do, and the form that does it.
#[component]
fn Preview(preview: ImportPreview, into: String) -> impl IntoView {
    let ImportPreview { format, added, changed, removed, unchanged, changes, warnings, .. } = preview.clone();
    let count = |list: &[String]| format::grouped(list.len() as u64);
    let summary = format!(
        "{format}: {} added, {} changed, {} removed, {unchanged} as before.",
        count(&added),
        count(&changed),
        count(&removed)
    );
    let warnings = (!warnings.is_empty()).then(|| {
        let rows = warnings.into_iter().map(|it| {
            view! { <li><code class="inline-code">{it.pointer}</code> " " {it.message}</li> }
        });
        view! {
            <Notice tone=Tone::Warn title="Left out">
                <ul>{rows.collect_view()}</ul>
            </Notice>
        }
    });
    let merging = !into.is_empty();
    view! {
        <Panel title=preview.title.clone() note=summary>
            <div class="stack">
                {warnings}
                {if merging {
                    view! { <Merge preview=preview api=into /> }.into_any()
                } else {
                    view! { <Create preview=preview /> }.into_any()
                }} <DiffView changes label="What the import changes" />
            </div>
        </Panel>
    }
}

#[component]
fn Create(preview: ImportPreview) -> impl IntoView {
    let current = use_current();
    let toasts = use_toasts();
    let task = Task::new();
    let go = go();
    let ImportPreview { title, description, suggested_slug, draft, .. } = preview;
    let (name, slug) = (RwSignal::new(title), RwSignal::new(suggested_slug));
    let target = draft.upstreams.first().and_then(|it| it.targets.first()).map(|it| it.url.clone());
    let target = RwSignal::new(target.unwrap_or_default());
    let draft = StoredValue::new(draft);
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let mut draft = draft.get_value();
        if let Some(first) = draft.upstreams.first_mut().and_then(|it| it.targets.first_mut()) {
            first.url = target.get_untracked();
        }
        let body = CreateApi {
            slug: slug.get_untracked(),
            name: name.get_untracked(),
            description: description.clone(),
            team: None,
            draft,
        };
        let path = untrack(|| current.path("/apis"));
        task.run(async move { api::post::<_, Api>(&path, &body).await }, move |made| {
            toasts.done(format!("API {} created", made.name));
            go.run(format!("/apis/{}", made.id));
        });
    };
    view! {
        <form class="form" on:submit=submit>
            <TaskProblem task />
            <TextField label="Name" value=name required=true error=task.field("/name") />
            <TextField
                label="Path segment"
                value=slug
                required=true
                mono=true
                help="Part of its address for ever: lower-case letters, digits and hyphens."
                error=task.field("/slug")
            />
            <TextField label="Upstream address" value=target required=true mono=true />
            <div class="form-actions">
                <Button kind=Kind::Primary submit=true busy=task.busy()>
                    "Create API"
                </Button>
            </div>
        </form>
    }
}

/// Puts the merged draft in the place of the present one.
#[component]
fn Merge(preview: ImportPreview, api: String) -> impl IntoView {
    let current = use_current();
    let toasts = use_toasts();
    let task = Task::new();
    let go = go();
    let draft = StoredValue::new(preview.draft);
    let id = StoredValue::new(api);
    let merge = move |()| {
        let path = untrack(|| current.path(&format!("/apis/{}", id.get_value())));
        let draft = draft.get_value();
        let work = async move {
            let seen = api::get_tagged::<Api>(&path).await?;
            let Api { name, description, team, listed, .. } = seen.value;
            let update = UpdateApi { name, description, team, listed, draft };
            api::put::<_, Api>(&path, &update, seen.etag.as_deref()).await
        };
        task.run(work, move |saved| {
            toasts.done(format!("Draft of {} updated", saved.name));
            go.run(format!("/apis/{}", saved.id));
        });
    };
    effect(move || task.clear());
    view! {
        <TaskProblem task />
        <div class="form-actions">
            <Button kind=Kind::Primary busy=task.busy() on_click=merge>
                "Update the draft"
            </Button>
        </div>
    }
}
