//! The people of the tenant: invite, edit, let go.

use leptos::prelude::*;
use sluice_contract::rest::users::{CreateUser, CreatedUser, Role, UpdateUser, User};

use super::roles::{ROLES, title};
use crate::api;
use crate::components::{
    Ago, Badge, Button, CheckBox, Column, ConfirmDialog, Crumb, DataTable, Dialog, DialogForm, EmptyState,
    Kind, Menu, MenuItem, Notice, SearchField, Secret, Switch, TaskProblem, TextField, Tone, set_page,
    use_toasts,
};
use crate::format;
use crate::icons::{ELLIPSIS, Glyph, LINK, PENCIL, TRASH, USER_PLUS, USERS};
use crate::session::use_current;
use crate::state::{Paged, Task, effect, paged, url_text, when_closed};

/// What a person is about to do with a user.
#[derive(Clone, PartialEq)]
enum Intent {
    Edit(User),
    Remove(User),
    Invite(User),
}

#[component]
pub fn Users() -> impl IntoView {
    set_page(|| vec![Crumb::link("Users & teams", "/org/users"), Crumb::here("Users")]);
    let current = use_current();
    let (search, sort) = (url_text("q"), url_text("sort"));
    let list = paged::<User>(move || {
        current.path(&format!("/users{}", format::query(&[("q", search.get()), ("sort", sort.get())])))
    });
    let adding = RwSignal::new(false);
    let intent = RwSignal::new(None::<Intent>);
    view! {
        <div class="toolbar">
            <SearchField label="Search users" value=search.signal() on_change=search.setter() />
            <span class="grow"></span>
            <Button kind=Kind::Primary icon=USER_PLUS on_click=move |()| adding.set(true)>
                "Invite user"
            </Button>
        </div>
        <DataTable
            label="Users"
            columns=columns(intent)
            list
            sort
            empty=|| view! {
                <EmptyState icon=USERS title="Nobody matches" note="Try another part of the name or e-mail." />
            }
        />
        <Invite open=adding list />
        <Edit intent list />
        <Remove intent list />
        <InviteAgain intent />
    }
}

fn columns(intent: RwSignal<Option<Intent>>) -> Vec<Column<User>> {
    vec![
        Column::new("Name", |user: &User| {
            view! {
                <span class="stack" data-gap="0">
                    <strong>{user.name.clone()}</strong>
                    <span class="tiny muted break">{user.email.clone()}</span>
                </span>
            }
        })
        .sort("name"),
        Column::new("Roles", |user: &User| {
            let mut roles: Vec<_> =
                user.roles.iter().map(|role| view! { <Badge text=title(*role) /> }.into_any()).collect();
            if user.platform_admin {
                roles.insert(
                    0,
                    view! { <Badge tone=Tone::Accent text="Platform administrator" /> }.into_any(),
                );
            }
            view! { <span class="row" data-gap="1">{roles}</span> }
        }),
        Column::new("State", |user: &User| {
            let (tone, text) = match (user.disabled, user.last_sign_in_at) {
                (true, _) => (Tone::Bad, "disabled"),
                (false, None) => (Tone::Warn, "invited"),
                (false, Some(_)) => (Tone::Ok, "active"),
            };
            view! { <Badge tone text /> }
        }),
        Column::new("Last sign-in", |user: &User| match user.last_sign_in_at {
            Some(at) => view! { <Ago at /> }.into_any(),
            None => view! { <span class="muted">"never"</span> }.into_any(),
        }),
        Column::new("", move |user: &User| actions(user.clone(), intent)).end(),
    ]
}

fn actions(user: User, intent: RwSignal<Option<Intent>>) -> impl IntoView {
    let label = Signal::stored(format!("Actions for {}", user.name));
    let invited = user.last_sign_in_at.is_none();
    let user = StoredValue::new(user);
    view! {
        <Menu label class="button icon-button" trigger=|| view! { <Glyph icon=ELLIPSIS /> }>
            <MenuItem icon=PENCIL on_click=move |()| intent.set(Some(Intent::Edit(user.get_value())))>
                "Edit"
            </MenuItem>
            {invited
                .then(|| {
                    view! {
                        <MenuItem icon=LINK on_click=move |()| intent.set(Some(Intent::Invite(user.get_value())))>
                            "New invitation link"
                        </MenuItem>
                    }
                })}
            <MenuItem
                icon=TRASH
                danger=true
                on_click=move |()| intent.set(Some(Intent::Remove(user.get_value())))
            >
                "Remove from tenant"
            </MenuItem>
        </Menu>
    }
}

#[component]
fn RolePicker(roles: RwSignal<Vec<Role>>) -> impl IntoView {
    let boxes = ROLES.map(|role| {
        let checked = Signal::derive(move || roles.with(|roles| roles.contains(&role)));
        let change = move |on: bool| {
            roles.update(|roles| {
                roles.retain(|known| *known != role);
                if on {
                    roles.push(role);
                }
            });
        };
        view! { <CheckBox label=title(role) checked on_change=change /> }
    });
    view! {
        <fieldset class="fieldset">
            <legend>"Roles"</legend>
            <div class="stack" data-gap="1">
                {boxes.collect_view()}
            </div>
        </fieldset>
    }
}

#[component]
fn Invite(open: RwSignal<bool>, list: Paged<User>) -> impl IntoView {
    let current = use_current();
    let task = Task::new();
    let (email, name) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let roles = RwSignal::new(vec![Role::Consumer]);
    let created = RwSignal::new(None::<CreatedUser>);
    effect(move || {
        if open.get() {
            email.set(String::new());
            name.set(String::new());
            roles.set(vec![Role::Consumer]);
            created.set(None);
            task.clear();
        }
    });
    let submit = move |()| {
        let path = untrack(|| current.path("/users"));
        let body = CreateUser {
            email: email.get_untracked().trim().to_owned(),
            name: name.get_untracked().trim().to_owned(),
            roles: roles.get_untracked(),
        };
        task.run(async move { api::post::<_, CreatedUser>(&path, &body).await }, move |made| {
            created.set(Some(made));
            list.reload();
        });
    };
    let body = move || {
        match created.get() {
        Some(made) => view! { <Invited made open /> }.into_any(),
        None => view! {
            <DialogForm open task action="Invite" on_submit=submit>
                <TextField label="E-mail" kind="email" value=email required=true autofocus=true error=task.field("/email") />
                <TextField label="Name" value=name required=true error=task.field("/name") />
                <RolePicker roles />
            </DialogForm>
        }
        .into_any(),
    }
    };
    view! { <Dialog open title="Invite user">{body}</Dialog> }
}

/// The one-time link, for the inviter to pass on.
#[component]
fn Invited(made: CreatedUser, open: RwSignal<bool>) -> impl IntoView {
    let CreatedUser { user, invitation } = made;
    let body = match invitation {
        Some(path) => {
            let link = window().location().origin().unwrap_or_default() + &path;
            view! {
                <p>{format!("Send this link to {}. It works once, for 7 days, and is shown only now.", user.name)}</p>
                <Secret text=link label="Copy invitation link" />
            }
            .into_any()
        }
        None => {
            view! { <Notice tone=Tone::Ok>{format!("{} has an account already and joined.", user.email)}</Notice> }
                .into_any()
        }
    };
    view! {
        <div class="stack">
            {body} <div class="form-actions">
                <Button kind=Kind::Primary on_click=move |()| open.set(false)>
                    "Done"
                </Button>
            </div>
        </div>
    }
}

/// A dialog that is open while the intent is of its kind, and clears it when it closes.
fn opened(intent: RwSignal<Option<Intent>>, mine: fn(&Intent) -> bool) -> RwSignal<bool> {
    let open = RwSignal::new(false);
    effect(move || {
        if intent.with(|intent| intent.as_ref().is_some_and(mine)) {
            open.set(true);
        }
    });
    when_closed(open, move || intent.set(None));
    open
}

fn subject(intent: RwSignal<Option<Intent>>) -> Option<User> {
    intent.get().map(|intent| match intent {
        Intent::Edit(user) | Intent::Remove(user) | Intent::Invite(user) => user,
    })
}

#[component]
fn Edit(intent: RwSignal<Option<Intent>>, list: Paged<User>) -> impl IntoView {
    let current = use_current();
    let toasts = use_toasts();
    let open = opened(intent, |intent| matches!(intent, Intent::Edit(_)));
    let task = Task::new();
    let name = RwSignal::new(String::new());
    let roles = RwSignal::new(Vec::new());
    let disabled = RwSignal::new(false);
    effect(move || {
        if let Some(user) = subject(intent) {
            name.set(user.name);
            roles.set(user.roles);
            disabled.set(user.disabled);
            task.clear();
        }
    });
    let submit = move |()| {
        let Some(user) = untrack(|| subject(intent)) else { return };
        let path = untrack(|| current.path(&format!("/users/{}", user.id)));
        let etag = api::version_tag(user.version);
        let body = UpdateUser {
            name: name.get_untracked(),
            roles: roles.get_untracked(),
            disabled: disabled.get_untracked(),
        };
        task.run(async move { api::put::<_, User>(&path, &body, Some(&etag)).await }, move |user| {
            open.set(false);
            toasts.done(format!("{} saved", user.name));
            list.reload();
        });
    };
    let note = Signal::derive(move || subject(intent).map(|user| user.email).unwrap_or_default());
    view! {
        <Dialog open title="Edit user" note>
            <DialogForm open task action="Save" on_submit=submit>
                <TextField label="Name" value=name required=true error=task.field("/name") />
                <RolePicker roles />
                <Switch
                    label="Disabled"
                    checked=disabled
                    help="Cannot sign in; open sessions end at once."
                />
            </DialogForm>
        </Dialog>
    }
}

#[component]
fn Remove(intent: RwSignal<Option<Intent>>, list: Paged<User>) -> impl IntoView {
    let current = use_current();
    let toasts = use_toasts();
    let open = opened(intent, |intent| matches!(intent, Intent::Remove(_)));
    let task = Task::new();
    let remove = move |()| {
        let Some(user) = untrack(|| subject(intent)) else { return };
        let path = untrack(|| current.path(&format!("/users/{}", user.id)));
        let etag = api::version_tag(user.version);
        task.run(async move { api::delete(&path, Some(&etag)).await }, move |()| {
            open.set(false);
            toasts.done(format!("{} was removed", user.name));
            list.reload();
        });
    };
    let title = Signal::derive(move || {
        format!("Remove {}?", subject(intent).map(|user| user.name).unwrap_or_default())
    });
    view! {
        <ConfirmDialog
            open
            title
            note=Signal::stored(
                "They lose every role in this tenant. Their account and what they made stay.".to_owned(),
            )
            action=Signal::stored("Remove user".to_owned())
            on_confirm=remove
            task
        />
    }
}

#[component]
fn InviteAgain(intent: RwSignal<Option<Intent>>) -> impl IntoView {
    let current = use_current();
    let open = opened(intent, |intent| matches!(intent, Intent::Invite(_)));
    let task = Task::new();
    let created = RwSignal::new(None::<CreatedUser>);
    let ask = move |()| {
        let Some(user) = untrack(|| subject(intent)) else { return };
        let path = untrack(|| current.path(&format!("/users/{}/invitation", user.id)));
        task.run(async move { api::post::<_, CreatedUser>(&path, &()).await }, move |made| {
            created.set(Some(made));
        });
    };
    effect(move || {
        if open.get() {
            created.set(None);
            task.clear();
        }
    });
    let body = move || match created.get() {
        Some(made) => view! { <Invited made open /> }.into_any(),
        None => view! {
            <div class="stack">
                <TaskProblem task />
                <p>"A new link replaces the one that was sent before."</p>
                <div class="form-actions">
                    <Button on_click=move |()| open.set(false)>"Cancel"</Button>
                    <Button kind=Kind::Primary busy=task.busy() on_click=ask>"Create link"</Button>
                </div>
            </div>
        }
        .into_any(),
    };
    view! { <Dialog open title="New invitation link">{body}</Dialog> }
}
