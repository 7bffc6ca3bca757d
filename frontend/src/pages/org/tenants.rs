//! The tenants of the platform. For platform administrators.

use leptos::prelude::*;
use sluice_contract::rest::session::Session;
use sluice_contract::rest::tenants::{CreateTenant, Tenant, UpdateTenant};

use crate::api;
use crate::components::{
    Ago, Button, Column, Crumb, DataTable, Dialog, DialogForm, EmptyState, Kind, TextField, set_page,
    use_toasts,
};
use crate::format;
use crate::icons::{BUILDING, PENCIL, PLUS};
use crate::session::{Current, use_current};
use crate::state::{Paged, Task, effect, paged, url_text};

#[component]
pub fn Tenants() -> impl IntoView {
    set_page(|| vec![Crumb::link("Users & teams", "/org/users"), Crumb::here("Tenants")]);
    let sort = url_text("sort");
    let list = paged::<Tenant>(move || format!("/tenants{}", format::query(&[("sort", sort.get())])));
    let open = RwSignal::new(false);
    let subject = RwSignal::new(None::<Tenant>);
    let create = move |()| {
        subject.set(None);
        open.set(true);
    };
    view! {
        <div class="toolbar">
            <p class="secondary small">"Nothing of one tenant is ever visible to another."</p>
            <span class="grow"></span>
            <Button kind=Kind::Primary icon=PLUS on_click=create>
                "New tenant"
            </Button>
        </div>
        <DataTable
            label="Tenants"
            columns=columns(subject, open)
            list
            sort
            empty=|| view! {
                <EmptyState icon=BUILDING title="No tenant" note="Create one to publish APIs in it." />
            }
        />
        <Edit subject open list />
    }
}

fn columns(subject: RwSignal<Option<Tenant>>, open: RwSignal<bool>) -> Vec<Column<Tenant>> {
    vec![
        Column::new("Name", |tenant: &Tenant| view! { <strong>{tenant.name.clone()}</strong> }).sort("name"),
        Column::new("Path", |tenant: &Tenant| view! { <code>{format!("/{}", tenant.slug)}</code> }),
        Column::new("Created", |tenant: &Tenant| view! { <Ago at=tenant.created_at /> }),
        Column::new("", move |tenant: &Tenant| {
            let mine = tenant.clone();
            let edit = move |()| {
                subject.set(Some(mine.clone()));
                open.set(true);
            };
            view! {
                <Button
                    size="sm"
                    kind=Kind::Quiet
                    icon=PENCIL
                    label=format!("Rename {}", tenant.name)
                    on_click=edit
                />
            }
        })
        .end(),
    ]
}

#[component]
fn Edit(subject: RwSignal<Option<Tenant>>, open: RwSignal<bool>, list: Paged<Tenant>) -> impl IntoView {
    let current = use_current();
    let toasts = use_toasts();
    let task = Task::new();
    let (name, slug) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    effect(move || {
        if open.get() {
            name.set(subject.get_untracked().map(|tenant| tenant.name).unwrap_or_default());
            slug.set(String::new());
            task.clear();
        }
    });
    let submit = move |()| {
        let (name, slug) = (name.get_untracked(), slug.get_untracked());
        let save = async move {
            match subject.get_untracked() {
                Some(tenant) => {
                    let etag = api::version_tag(tenant.version);
                    api::put::<_, Tenant>(
                        &format!("/tenants/{}", tenant.id),
                        &UpdateTenant { name },
                        Some(&etag),
                    )
                    .await
                }
                None => api::post::<_, Tenant>("/tenants", &CreateTenant { slug, name }).await,
            }
        };
        task.run(save, move |tenant| {
            open.set(false);
            toasts.done(format!("{} saved", tenant.name));
            list.reload();
            refresh(current);
        });
    };
    let is_new = move || subject.with(Option::is_none);
    let title = Signal::derive(move || if is_new() { "New tenant" } else { "Rename tenant" }.to_owned());
    view! {
        <Dialog open title>
            <DialogForm open task action="Save" on_submit=submit>
                <TextField label="Name" value=name required=true autofocus=true error=task.field("/name") />
                <Show when=is_new>
                    <TextField
                        label="Path"
                        value=slug
                        required=true
                        mono=true
                        placeholder="acme"
                        help="First part of its APIs' addresses: lower-case letters, digits, hyphens. It never changes."
                        error=task.field("/slug")
                    />
                </Show>
            </DialogForm>
        </Dialog>
    }
}

/// The switcher in the sidebar lists the tenants of the session.
fn refresh(current: Current) {
    leptos::task::spawn_local(async move {
        // Without an answer the switcher is older than the list, until the next sign-in.
        if let Ok(session) = api::get::<Session>("/session").await {
            current.sign_in(session);
        }
    });
}
