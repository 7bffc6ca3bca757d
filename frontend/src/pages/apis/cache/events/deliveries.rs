//! What came from a source in the last days, and what became of it.

use std::time::Duration;

use leptos::prelude::*;
use sluice_contract::rest::event_sources::{EventDelivery, EventSource};

use super::outcome_badge;
use crate::components::{Ago, Column, DataTable, Dialog, EmptyState};
use crate::icons::RADIO;
use crate::pages::apis::cache::{kind_of, named};
use crate::pages::apis::draft::use_draft;
use crate::state::{opened_by, paged, when_closed};

const EVERY: Duration = Duration::from_secs(3);

/// Opens while there is something to look at.
#[component]
pub(super) fn Deliveries(
    looking: RwSignal<Option<EventSource>>,
    #[prop(into)] on_close: Callback<()>,
) -> impl IntoView {
    let open = opened_by(looking);
    when_closed(open, move || on_close.run(()));
    let title =
        Signal::derive(move || format!("Events of {}", looking.get().map(|it| it.name).unwrap_or_default()));
    view! {
        <Dialog open title note=Signal::stored("Of the last three days, newest first.".to_owned()) wide=true>
            {move || looking.get().map(|it| view! { <Table source=it /> })}
        </Dialog>
    }
}

#[component]
fn Table(source: EventSource) -> impl IntoView {
    let draft = use_draft();
    let list =
        paged::<EventDelivery>(move || draft.path(&format!("/event-sources/{}/deliveries", source.id)));
    let list = list.every(EVERY);
    let columns = vec![
        Column::new("When", |it: &EventDelivery| view! { <Ago at=it.at /> }),
        Column::new(
            "Message",
            |it: &EventDelivery| view! { <code class="break tiny">{it.message.clone()}</code> },
        ),
        Column::new("Outcome", |it: &EventDelivery| outcome_badge(it.outcome)),
        Column::new("What", detail),
    ];
    view! {
        <DataTable
            label="Events"
            columns
            list
            empty=|| view! {
                <EmptyState icon=RADIO title="Nothing came yet" note="What is sent to its address, or found in its stream, is listed here." />
            }
        />
    }
}

fn detail(it: &EventDelivery) -> AnyView {
    if let Some(code) = &it.code {
        return view! { {reason(code)} }.into_any();
    }
    let purged = it.scopes.iter().map(|scope| {
        let name = named(scope);
        view! {
            <div>
                {kind_of(scope)} " " <code class="break">{name}</code>
            </div>
        }
    });
    let wrong = it.fields.iter().map(|field| {
        view! {
            <div>
                <code class="break">{field.pointer.clone()}</code>
                " "
                {field.message.clone()}
            </div>
        }
    });
    view! { <div class="stack" data-gap="1">{purged.collect_view()} {wrong.collect_view()}</div> }.into_any()
}

fn reason(code: &str) -> String {
    match code {
        "unsigned" => "without the headers that sign it",
        "wrong_signature" => "signed with another secret, or changed on its way",
        "stale_timestamp" => "more than five minutes old, or its sender's clock is wrong",
        "disabled" => "while it was switched off",
        "rate_limited" => "more than it may in a minute",
        other => other,
    }
    .to_owned()
}
