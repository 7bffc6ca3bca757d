//! What purges the cache when something happens elsewhere: webhooks and streams of this API, what came from them, and the
//! secrets of webhooks.

mod deliveries;
mod edit;
mod rules;
mod secret;
mod stream;

use std::time::Duration;

use leptos::prelude::*;
use sluice_contract::event_mapping::{EventRule, EventTarget};
use sluice_contract::rest::event_sources::{DeliveryOutcome, EventSource, StreamReading};
use sluice_contract::rest::session::Permission;

use crate::components::{
    Ago, Badge, Button, Column, DataTable, DeleteDialog, Deletion, EmptyState, EnvironmentChoice, Kind,
    Panel, Tone,
};
use crate::icons::{HISTORY, KEY, PENCIL, PLUS, RADIO, TRASH};
use crate::pages::apis::draft::{Draft, use_draft};
use crate::session::use_current;
use crate::state::paged;
use deliveries::Deliveries;
use edit::{Edit, Subject};
use secret::{Issued, NewSecret};

/// How often it is looked how reading goes and what came last.
const EVERY: Duration = Duration::from_secs(5);

/// What can be done with one of them.
#[derive(Clone, Copy)]
struct Acts {
    draft: Draft,
    editing: RwSignal<Option<Subject>>,
    looking: RwSignal<Option<EventSource>>,
    rotating: RwSignal<Option<EventSource>>,
    deleting: RwSignal<Option<Deletion>>,
}

#[component]
pub fn Events(environments: EnvironmentChoice) -> impl IntoView {
    let draft = use_draft();
    let may_edit = use_current().can(Permission::ManageCache);
    let list = paged::<EventSource>(move || draft.path("/event-sources?sort=name")).every(EVERY);
    let acts = Acts {
        draft,
        editing: RwSignal::new(None),
        looking: RwSignal::new(None),
        rotating: RwSignal::new(None),
        deleting: RwSignal::new(None),
    };
    let issued = RwSignal::new(None::<Issued>);
    let create = move |subject: Subject| acts.editing.set(Some(subject));
    let actions = move || {
        may_edit.then(|| {
            view! {
                <Button size="sm" icon=PLUS on_click=move |()| create(Subject::Webhook)>"New webhook"</Button>
                <Button size="sm" icon=PLUS on_click=move |()| create(Subject::Stream)>"New stream"</Button>
            }
        })
    };
    view! {
        <Panel
            title="Purged by events"
            note="A shop, a CMS or a pipeline says by a signed webhook or in a stream what has changed, and what that tags is purged."
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
                        title="No source of events yet"
                        note="Give whoever changes the data an address to tell, or read the stream where it is told, and answers can be cached for long."
                    />
                }
            />
        </Panel>
        <Edit editing=acts.editing environments issued list />
        <NewSecret rotating=acts.rotating issued list />
        <Deliveries looking=acts.looking on_close=move |()| list.reload() />
        <DeleteDialog deleting=acts.deleting on_deleted=move |()| list.reload() />
    }
}

fn columns(environments: EnvironmentChoice, acts: Acts, may_edit: bool) -> Vec<Column<EventSource>> {
    vec![
        Column::new("Name", |it: &EventSource| {
            let state = (!it.enabled).then(|| view! { <Badge text="off" /> });
            let place = it.stream.as_ref().map(|stream| {
                view! { <code class="tiny muted break">{format!("{} {}", stream.url, stream.stream)}</code> }
            });
            let (reading, error) = it.reading.clone().filter(|_| it.enabled).map(how_it_reads).unzip();
            view! {
                <span class="stack" data-gap="0">
                    <span class="row">
                        <strong>{it.name.clone()}</strong>
                        {state} {reading}
                    </span>
                    {place} {error.flatten()}
                </span>
            }
        }),
        Column::new("Environment", move |it: &EventSource| {
            let id = it.environment;
            view! { {move || environments.name_of(id)} }
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
    let [looked, edited, rotated] = [(); 3].map(|()| it.clone());
    let (name, reads) = (&it.name, it.stream.is_some());
    let (kind, note) = match reads {
        true => ("stream", "It is read no longer, and its events are no longer listed."),
        false => ("webhook", "Its address answers 404 from then on, and its events are no longer listed."),
    };
    let path = acts.draft.path(&format!("/event-sources/{}", it.id));
    let deletion = Deletion { path, version: it.version, kind, name: name.clone(), note };
    let quiet = |icon, label: String, act: Callback<()>| {
        view! { <Button size="sm" kind=Kind::Quiet icon=icon label=label on_click=act /> }
    };
    let look = Callback::new(move |()| acts.looking.set(Some(looked.clone())));
    let edit = Callback::new(move |()| acts.editing.set(Some(Subject::Of(edited.clone().into()))));
    let rotate = Callback::new(move |()| acts.rotating.set(Some(rotated.clone())));
    let delete = Callback::new(move |()| acts.deleting.set(Some(deletion.clone())));
    let look = quiet(HISTORY, format!("Events of {name}"), look);
    let changes = may_edit.then(|| {
        view! {
            {quiet(PENCIL, format!("Edit {name}"), edit)}
            {(!reads).then(|| quiet(KEY, format!("New secret for {name}"), rotate))}
            {quiet(TRASH, format!("Delete {name}"), delete)}
        }
    });
    view! {
        {look}
        {changes}
    }
    .into_any()
}

/// Whether a stream is read, what waits in it, and why it is not read.
fn how_it_reads(reading: StreamReading) -> (AnyView, Option<AnyView>) {
    let (tone, text) = match (reading.since, &reading.error) {
        (_, Some(_)) => (Tone::Bad, "not read"),
        (Some(_), None) => (Tone::Ok, "read"),
        (None, None) => (Tone::Info, "not read yet"),
    };
    let waits = reading.waiting.unwrap_or(0) + reading.unacknowledged.unwrap_or(0);
    let waits = (waits > 0).then(|| view! { <Badge tone=Tone::Warn text=format!("{waits} waiting") /> });
    let why = reading.error.map(|error| view! { <span class="tiny break">{error}</span> }.into_any());
    let badges = view! {
        <Badge tone text dot=true />
        {waits}
    };
    (badges.into_any(), why)
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
