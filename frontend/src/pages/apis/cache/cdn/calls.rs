//! What a CDN was told in the last days, and what it is still to be told.

use std::time::Duration;

use leptos::prelude::*;
use sluice_contract::rest::cdn_hooks::{CdnCall, CdnHook};

use super::state_badge;
use crate::components::{Ago, Column, DataTable, Dialog, EmptyState};
use crate::format;
use crate::icons::WAYPOINTS;
use crate::pages::apis::cache::{kind_of, named};
use crate::pages::apis::draft::use_draft;
use crate::state::{opened_by, paged, when_closed};

const EVERY: Duration = Duration::from_secs(2);

/// Opens while there is something to look at.
#[component]
pub(super) fn Calls(
    looking: RwSignal<Option<CdnHook>>,
    #[prop(into)] on_close: Callback<()>,
) -> impl IntoView {
    let open = opened_by(looking);
    when_closed(open, move || on_close.run(()));
    let title = Signal::derive(move || {
        format!("Requests of {}", looking.get().map(|it| it.name).unwrap_or_default())
    });
    view! {
        <Dialog open title note=Signal::stored("Of the last three days, newest first.".to_owned()) wide=true>
            {move || looking.get().map(|it| view! { <Table hook=it /> })}
        </Dialog>
    }
}

#[component]
fn Table(hook: CdnHook) -> impl IntoView {
    let draft = use_draft();
    let list = paged::<CdnCall>(move || draft.path(&format!("/cdn-hooks/{}/calls", hook.id)));
    let list = list.every(EVERY);
    let columns = vec![
        Column::new("Purge", |it: &CdnCall| {
            let name = named(&it.scope);
            view! {
                <span class="row" data-gap="1">
                    {kind_of(&it.scope)} <code class="break">{name}</code>
                </span>
            }
        }),
        Column::new("When", |it: &CdnCall| view! { <Ago at=it.at /> }),
        Column::new("State", |it: &CdnCall| state_badge(it.state)),
        Column::new("Sent", |it: &CdnCall| format::plural(it.attempts as usize, "time", "times")),
        Column::new("Answer", answer),
    ];
    view! {
        <DataTable
            label="Requests"
            columns
            list
            empty=|| view! {
                <EmptyState icon=WAYPOINTS title="Nothing was sent yet" note="What is purged from now on is listed here." />
            }
        />
    }
}

fn answer(it: &CdnCall) -> AnyView {
    let status = it.status.map(|status| status.to_string());
    let said = it.error.clone().or(status).unwrap_or_default();
    let next = it.next_at.filter(|_| it.attempts > 0).map(|at| format!(". Again at {}.", format::clock(at)));
    view! { <span class="break">{said}{next}</span> }.into_any()
}
