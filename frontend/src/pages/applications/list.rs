//! All applications that one may see.

use leptos::prelude::*;
use sluice_contract::rest::applications::Application;
use sluice_contract::rest::session::Permission;

use super::edit::EditApplication;
use crate::components::{
    Ago, Button, Column, Crumb, DataTable, EmptyState, Kind, PageHead, SearchField, set_page,
};
use crate::format;
use crate::icons::{BOXES, PLUS};
use crate::session::use_current;
use crate::state::{go, paged, url_text};

#[component]
pub fn ApplicationList() -> impl IntoView {
    set_page(|| vec![Crumb::here("Applications")]);
    let current = use_current();
    let (search, sort) = (url_text("q"), url_text("sort"));
    let list = paged::<Application>(move || {
        current.path(&format!("/applications{}", format::query(&[("q", search.get()), ("sort", sort.get())])))
    });
    let creating = RwSignal::new(false);
    let go = go();
    let may_create = move || current.can(Permission::ManageApplications);
    view! {
        <PageHead
            title=Signal::stored("Applications".to_owned())
            note=Signal::stored("Who calls APIs. Each holds its own keys and subscriptions.".to_owned())
        >
            <Show when=may_create>
                <Button kind=Kind::Primary icon=PLUS on_click=move |()| creating.set(true)>
                    "New application"
                </Button>
            </Show>
        </PageHead>
        <div class="toolbar">
            <SearchField label="Search applications" value=search.signal() on_change=search.setter() />
        </div>
        <DataTable
            label="Applications"
            columns=columns()
            list
            sort
            href=|it: &Application| format!("/apps/{}", it.id)
            empty=|| view! {
                <EmptyState
                    icon=BOXES
                    title="No application yet"
                    note="Create one for each program that calls APIs, give it a key, and subscribe it to an API in the catalogue."
                />
            }
        />
        <EditApplication
            subject=Signal::stored(None)
            open=creating
            on_saved=move |saved: Application| go.run(format!("/apps/{}", saved.id))
        />
    }
}

fn columns() -> Vec<Column<Application>> {
    vec![
        Column::new("Name", |it: &Application| view! { <strong>{it.name.clone()}</strong> }).sort("name"),
        Column::new("Owner", |it: &Application| it.owner_name.clone()),
        Column::new("Keys", |it: &Application| it.active_keys).end(),
        Column::new("Subscriptions", |it: &Application| it.active_subscriptions).end(),
        Column::new("Created", |it: &Application| view! { <Ago at=it.created_at /> }).sort("created_at"),
    ]
}
