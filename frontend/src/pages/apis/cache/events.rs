//! What purges the cache when something happens elsewhere: webhooks of this API, what they sent, and their secrets.

mod deliveries;
mod edit;
mod rules;
mod secret;

use leptos::prelude::*;
use sluice_contract::event_mapping::{EventRule, EventTarget};
use sluice_contract::rest::event_sources::{DeliveryOutcome, EventSource};
use sluice_contract::rest::session::Permission;

use crate::api;
use crate::components::{
    Ago, Badge, Button, Column, ConfirmDialog, DataTable, EmptyState, EnvironmentChoice, Kind, Panel, Tone,
    use_toasts,
};
use crate::icons::{HISTORY, KEY, PENCIL, PLUS, RADIO, TRASH};
use crate::pages::apis::draft::use_draft;
use crate::session::use_current;
use crate::state::{Paged, Task, opened_by, paged};
use deliveries::Deliveries;
use edit::{Edit, Subject};
use secret::{Issued, NewSecret};

/// What can be done with one of them.
#[derive(Clone, Copy)]
struct Acts {
    editing: RwSignal<Option<Subject>>,
    looking: RwSignal<Option<EventSource>>,
    rotating: RwSignal<Option<EventSource>>,
    deleting: RwSignal<Option<EventSource>>,
}

#[component]
pub fn Events(environments: EnvironmentChoice) -> impl IntoView {
    let draft = use_draft();
    let may_edit = use_current().can(Permission::ManageCache);
    let list = paged::<EventSource>(move || draft.path("/event-sources?sort=name"));
    let acts = Acts {
        editing: RwSignal::new(None),
        looking: RwSignal::new(None),
        rotating: RwSignal::new(None),
        deleting: RwSignal::new(None),
    };
    let issued = RwSignal::new(None::<Issued>);
    let create = move |()| acts.editing.set(Some(Subject::New));
    let actions = move || {
        may_edit.then(|| view! { <Button size="sm" icon=PLUS on_click=create>"New webhook"</Button> })
    };
    view! {
        <Panel
            title="Purged by events"
            note="A shop, a CMS or a pipeline says by a signed webhook what has changed, and what that tags is purged."
            actions
            flush=true
        >
            <DataTable
                label="Event sources"
                columns=columns(environments, acts, may_edit)
                list
                empty=|| view! {
                    <EmptyState
                        icon=RADIO
                        title="No webhook yet"
                        note="Give whoever changes the data an address to tell, and answers can be cached for long."
                    />
                }
            />
        </Panel>
        <Edit editing=acts.editing environments issued list />
        <NewSecret rotating=acts.rotating issued list />
        <Deliveries looking=acts.looking on_close=move |()| list.reload() />
        <Delete deleting=acts.deleting list />
    }
}

fn columns(environments: EnvironmentChoice, acts: Acts, may_edit: bool) -> Vec<Column<EventSource>> {
    vec![
        Column::new("Name", |it: &EventSource| {
            let state = (!it.enabled).then(|| view! { <Badge text="off" /> });
            view! {
                <span class="row">
                    <strong>{it.name.clone()}</strong>
                    {state}
                </span>
            }
        }),
        Column::new("Environment", move |it: &EventSource| {
            let id = it.environment;
            let name = move || {
                let found = environments.all().into_iter().find(|it| it.id == id);
                found.map_or_else(|| id.to_string(), |it| it.name)
            };
            view! { {name} }
        }),
        Column::new("Purges", |it: &EventSource| {
            let rules = it.rules.iter().map(|rule| view! { <code class="tiny break">{words(rule)}</code> });
            let soft = it.soft.then(|| view! { <Badge text="soft" /> });
            view! { <span class="row" data-gap="1">{rules.collect_view()} {soft}</span> }
        }),
        Column::new("Last event", |it: &EventSource| match it.last {
            Some(last) => view! {
                <span class="row" data-gap="1">
                    <Ago at=last.at />
                    {outcome_badge(last.outcome)}
                </span>
            }
            .into_any(),
            None => view! { <span class="muted">"none yet"</span> }.into_any(),
        }),
        Column::new("", move |it: &EventSource| buttons(it, acts, may_edit)).end(),
    ]
}

fn buttons(it: &EventSource, acts: Acts, may_edit: bool) -> AnyView {
    let [looked, edited, rotated, deleted] = [(); 4].map(|()| it.clone());
    let name = &it.name;
    let quiet = |icon, label: String, act: Callback<()>| {
        view! { <Button size="sm" kind=Kind::Quiet icon=icon label=label on_click=act /> }
    };
    let look = Callback::new(move |()| acts.looking.set(Some(looked.clone())));
    let edit = Callback::new(move |()| acts.editing.set(Some(Subject::Of(edited.clone().into()))));
    let rotate = Callback::new(move |()| acts.rotating.set(Some(rotated.clone())));
    let delete = Callback::new(move |()| acts.deleting.set(Some(deleted.clone())));
    let look = quiet(HISTORY, format!("Events of {name}"), look);
    let changes = may_edit.then(|| {
        view! {
            {quiet(PENCIL, format!("Edit {name}"), edit)}
            {quiet(KEY, format!("New secret for {name}"), rotate)}
            {quiet(TRASH, format!("Delete {name}"), delete)}
        }
    });
    view! {
        {look}
        {changes}
    }
    .into_any()
}

/// `tag product-{value}`.
fn words(rule: &EventRule) -> String {
    format!("{} {}", target_name(rule.purge), rule.template)
}

fn target_name(purge: EventTarget) -> &'static str {
    match purge {
        EventTarget::Tag => "tag",
        EventTarget::Path => "address",
        EventTarget::Prefix => "prefix",
    }
}

fn outcome_badge(outcome: DeliveryOutcome) -> impl IntoView {
    let (tone, text) = match outcome {
        DeliveryOutcome::Purged => (Tone::Ok, "purged"),
        DeliveryOutcome::Nothing => (Tone::Idle, "named nothing"),
        DeliveryOutcome::Repeated => (Tone::Idle, "repeated"),
        DeliveryOutcome::Invalid => (Tone::Bad, "does not fit"),
        DeliveryOutcome::Refused => (Tone::Warn, "refused"),
    };
    view! { <Badge tone text /> }
}

#[component]
fn Delete(deleting: RwSignal<Option<EventSource>>, list: Paged<EventSource>) -> impl IntoView {
    let draft = use_draft();
    let toasts = use_toasts();
    let task = Task::new();
    let open = opened_by(deleting);
    let delete = move |()| {
        let Some(it) = deleting.get_untracked() else { return };
        let path = draft.path(&format!("/event-sources/{}", it.id));
        let etag = api::version_tag(it.version);
        task.run(async move { api::delete(&path, Some(&etag)).await }, move |()| {
            open.set(false);
            toasts.done(format!("Webhook {} deleted", it.name));
            list.reload();
        });
    };
    let title = Signal::derive(move || {
        format!("Delete webhook {}?", deleting.get().map(|it| it.name).unwrap_or_default())
    });
    view! {
        <ConfirmDialog
            open
            title
            note=Signal::stored("Its address answers 404 from then on, and its events are no longer listed.".to_owned())
            action=Signal::stored("Delete webhook".to_owned())
            on_confirm=delete
            task
        />
    }
}
