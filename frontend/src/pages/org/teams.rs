//! Teams: groups that own APIs and applications.

use leptos::prelude::*;
use sluice_contract::ids::UserId;
use sluice_contract::rest::page::Page;
use sluice_contract::rest::teams::{SaveTeam, Team};
use sluice_contract::rest::users::User;

use crate::api;
use crate::components::{
    Ago, Button, CheckBox, Column, Crumb, DataTable, DeleteDialog, Deletion, Dialog, DialogForm, EmptyState,
    Kind, SearchField, TextField, set_page, use_toasts,
};
use crate::format;
use crate::icons::{PENCIL, PLUS, TRASH, USERS};
use crate::session::{Current, use_current};
use crate::state::{Paged, Task, effect, paged, remote, url_text};

#[component]
pub fn Teams() -> impl IntoView {
    set_page(|| vec![Crumb::link("Users & teams", "/org/users"), Crumb::here("Teams")]);
    let current = use_current();
    let (search, sort) = (url_text("q"), url_text("sort"));
    let list = paged::<Team>(move || {
        current.path(&format!("/teams{}", format::query(&[("q", search.get()), ("sort", sort.get())])))
    });
    let open = RwSignal::new(false);
    let subject = RwSignal::new(None::<Team>);
    let deleting = RwSignal::new(None);
    let create = move |()| {
        subject.set(None);
        open.set(true);
    };
    view! {
        <div class="toolbar">
            <SearchField label="Search teams" value=search.signal() on_change=search.setter() />
            <span class="grow"></span>
            <Button kind=Kind::Primary icon=PLUS on_click=create>
                "New team"
            </Button>
        </div>
        <DataTable
            label="Teams"
            columns=columns(current, subject, open, deleting)
            list
            sort
            empty=|| view! {
                <EmptyState
                    icon=USERS
                    title="No team yet"
                    note="Teams own APIs and applications together. Create one and add its members."
                />
            }
        />
        <Edit subject open list />
        <DeleteDialog deleting on_deleted=move |()| list.reload() />
    }
}

fn columns(
    current: Current,
    subject: RwSignal<Option<Team>>,
    open: RwSignal<bool>,
    deleting: RwSignal<Option<Deletion>>,
) -> Vec<Column<Team>> {
    vec![
        Column::new("Name", |team: &Team| view! { <strong>{team.name.clone()}</strong> }).sort("name"),
        Column::new("Members", |team: &Team| format::plural(team.members.len(), "person", "people")),
        Column::new("Created", |team: &Team| view! { <Ago at=team.created_at /> }),
        Column::new("", move |team: &Team| {
            let (mine, name) = (team.clone(), team.name.clone());
            let deletion = Deletion {
                path: untrack(|| current.path(&format!("/teams/{}", team.id))),
                version: team.version,
                kind: "team",
                name: name.clone(),
                note: "Its members keep their accounts and roles. What it owned belongs to nobody then.",
            };
            let edit = move |()| {
                subject.set(Some(mine.clone()));
                open.set(true);
            };
            view! {
                <Button size="sm" kind=Kind::Quiet icon=PENCIL label=format!("Edit {name}") on_click=edit />
                <Button
                    size="sm"
                    kind=Kind::Quiet
                    icon=TRASH
                    label=format!("Delete {name}")
                    on_click=move |()| deleting.set(Some(deletion.clone()))
                />
            }
        })
        .end(),
    ]
}

/// Creates a team, or edits `subject`.
#[component]
fn Edit(subject: RwSignal<Option<Team>>, open: RwSignal<bool>, list: Paged<Team>) -> impl IntoView {
    let current = use_current();
    let toasts = use_toasts();
    let task = Task::new();
    let name = RwSignal::new(String::new());
    let members = RwSignal::new(Vec::<UserId>::new());
    effect(move || {
        if open.get() {
            let team = subject.get_untracked();
            name.set(team.as_ref().map(|team| team.name.clone()).unwrap_or_default());
            members.set(team.map(|team| team.members).unwrap_or_default());
            task.clear();
        }
    });
    let submit = move |()| {
        let body = SaveTeam { name: name.get_untracked(), members: members.get_untracked() };
        let team = subject.get_untracked();
        let path = untrack(|| match &team {
            Some(team) => current.path(&format!("/teams/{}", team.id)),
            None => current.path("/teams"),
        });
        let etag = team.map(|team| api::version_tag(team.version));
        let save = async move {
            match etag {
                Some(etag) => api::put::<_, Team>(&path, &body, Some(&etag)).await,
                None => api::post::<_, Team>(&path, &body).await,
            }
        };
        task.run(save, move |team| {
            open.set(false);
            toasts.done(format!("Team {} saved", team.name));
            list.reload();
        });
    };
    let title = Signal::derive(move || {
        if subject.with(Option::is_some) { "Edit team" } else { "New team" }.to_owned()
    });
    view! {
        <Dialog open title>
            <DialogForm open task action="Save" on_submit=submit>
                <TextField label="Name" value=name required=true autofocus=true error=task.field("/name") />
                <Members members />
            </DialogForm>
        </Dialog>
    }
}

#[component]
fn Members(members: RwSignal<Vec<UserId>>) -> impl IntoView {
    let current = use_current();
    let users = remote(move || {
        let path = current.path("/users?limit=200&sort=name");
        async move { api::get::<Page<User>>(&path).await }
    });
    let boxes = move || {
        let users = users.get().map(|page| page.items).unwrap_or_default();
        users
            .into_iter()
            .map(|user| {
                let id = user.id;
                let checked = Signal::derive(move || members.with(|members| members.contains(&id)));
                let change = move |on: bool| {
                    members.update(|members| {
                        members.retain(|member| *member != id);
                        if on {
                            members.push(id);
                        }
                    });
                };
                view! { <CheckBox label=format!("{} ({})", user.name, user.email) checked on_change=change /> }
            })
            .collect_view()
    };
    view! {
        <fieldset class="fieldset">
            <legend>"Members"</legend>
            <div class="stack" data-gap="1">
                {boxes}
            </div>
        </fieldset>
    }
}
