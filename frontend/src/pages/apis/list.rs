//! All APIs of the tenant.

use leptos::prelude::*;
use sluice_contract::definition::{ApiDefinition, Route, Target, Timeouts, Upstream};
use sluice_contract::rest::apis::{Api, ApiSummary, CreateApi};
use sluice_contract::rest::session::Permission;

use super::routes::new_route;
use crate::api;
use crate::components::{
    Ago, Badge, Button, Column, Crumb, DataTable, Dialog, EmptyState, Kind, LinkButton, PageHead,
    SearchField, TaskProblem, TextField, Tone, set_page, use_toasts,
};
use crate::format;
use crate::icons::{FILE_UP, PLUS, WAYPOINTS};
use crate::session::use_current;
use crate::state::{Task, effect, go, paged, url_text};

#[component]
pub fn ApiList() -> impl IntoView {
    set_page(|| vec![Crumb::here("APIs")]);
    let current = use_current();
    let (search, sort) = (url_text("q"), url_text("sort"));
    let list = paged::<ApiSummary>(move || {
        current.path(&format!("/apis{}", format::query(&[("q", search.get()), ("sort", sort.get())])))
    });
    let creating = RwSignal::new(false);
    let may_edit = move || current.can(Permission::ManageApis);
    view! {
        <PageHead
            title=Signal::stored("APIs".to_owned())
            note=Signal::stored("What this tenant publishes.".to_owned())
        >
            <Show when=may_edit>
                <LinkButton href="/apis/import" icon=FILE_UP>
                    "Import"
                </LinkButton>
                <Button kind=Kind::Primary icon=PLUS on_click=move |()| creating.set(true)>
                    "New API"
                </Button>
            </Show>
        </PageHead>
        <div class="toolbar">
            <SearchField label="Search APIs" value=search.signal() on_change=search.setter() />
        </div>
        <DataTable
            label="APIs"
            columns=columns()
            list
            sort
            href=|it: &ApiSummary| format!("/apis/{}", it.id)
            empty=|| view! {
                <EmptyState
                    icon=WAYPOINTS
                    title="No API yet"
                    note="Import an OpenAPI document, or create an API from the address of what it stands for."
                />
            }
        />
        <CreateDialog open=creating />
    }
}

fn columns() -> Vec<Column<ApiSummary>> {
    vec![
        Column::new("Name", |it: &ApiSummary| view! { <strong>{it.name.clone()}</strong> }).sort("name"),
        Column::new("Path", |it: &ApiSummary| view! { <code>{it.slug.clone()}</code> }),
        Column::new("Routes", |it: &ApiSummary| it.routes).end(),
        Column::new("Live", |it: &ApiSummary| live_badges(it)),
        Column::new("Catalogue", |it: &ApiSummary| {
            it.listed.then(|| view! { <Badge tone=Tone::Info text="listed" /> })
        }),
        Column::new("Changed", |it: &ApiSummary| view! { <Ago at=it.updated_at /> }).sort("updated_at"),
    ]
}

fn live_badges(api: &ApiSummary) -> impl IntoView + use<> {
    if api.live.is_empty() {
        return view! { <Badge text="not released" /> }.into_any();
    }
    let badges = api.live.iter().map(|live| {
        let text = format!("{} r{}", live.environment_slug, live.revision);
        view! { <Badge tone=Tone::Ok dot=true text /> }
    });
    badges.collect_view().into_any()
}

/// Makes an API that passes everything on to one address: a first step that works at once.
#[component]
fn CreateDialog(open: RwSignal<bool>) -> impl IntoView {
    let current = use_current();
    let toasts = use_toasts();
    let task = Task::new();
    let go = go();
    let (name, slug, target) =
        (RwSignal::new(String::new()), RwSignal::new(String::new()), RwSignal::new(String::new()));
    effect(move || {
        if open.get() {
            task.clear();
        }
    });
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let body = CreateApi {
            slug: slug.get_untracked(),
            name: name.get_untracked(),
            description: String::new(),
            team: None,
            draft: pass_through(&target.get_untracked()),
        };
        let path = untrack(|| current.path("/apis"));
        task.run(async move { api::post::<_, Api>(&path, &body).await }, move |made| {
            open.set(false);
            toasts.done(format!("API {} created", made.name));
            go.run(format!("/apis/{}", made.id));
        });
    };
    view! {
        <Dialog open title="New API">
            <form class="form" on:submit=submit>
                <TaskProblem task fields_shown=true />
                <TextField label="Name" value=name required=true autofocus=true error=task.field("/name") />
                <TextField
                    label="Path segment"
                    value=slug
                    required=true
                    mono=true
                    help="Part of its address for ever: lower-case letters, digits and hyphens."
                    error=task.field("/slug")
                />
                <TextField
                    label="Upstream address"
                    value=target
                    required=true
                    mono=true
                    placeholder="https://orders.internal.example"
                    help="Every path is passed on to it until you say otherwise."
                    error=task.field("/draft/upstreams/0/targets/0/url")
                />
                <div class="form-actions">
                    <Button on_click=move |()| open.set(false)>"Cancel"</Button>
                    <Button kind=Kind::Primary submit=true busy=task.busy()>
                        "Create API"
                    </Button>
                </div>
            </form>
        </Dialog>
    }
}

fn pass_through(target: &str) -> ApiDefinition {
    let route = |id: &str, path: &str| Route { path: path.to_owned(), ..new_route(id) };
    ApiDefinition {
        routes: vec![route("root", "/"), route("everything", "/{*path}")],
        upstreams: vec![Upstream {
            name: "origin".to_owned(),
            targets: vec![Target { url: target.to_owned(), weight: 1, zone: None }],
            protocol: Default::default(),
            host: Default::default(),
            timeouts: Timeouts::default(),
            breaker: None,
        }],
        ..ApiDefinition::default()
    }
}
