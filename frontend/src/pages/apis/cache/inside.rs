//! Looking up what gateways have stored of an address.

use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use sluice_contract::rest::asked::FromGateway;
use sluice_contract::rest::cache::{CacheEntries, CacheLookup, LookUpCache};

use super::asked::outcome_words;
use super::entry::{asked, entry};
use super::scope::{below_base, host_of};
use crate::api;
use crate::components::{Button, EnvironmentChoice, EnvironmentField, Panel, TaskProblem, TextField};
use crate::format;
use crate::pages::apis::draft::use_draft;
use crate::session::use_current;
use crate::state::Task;

#[component]
pub(super) fn Inside(environments: EnvironmentChoice) -> impl IntoView {
    let draft = use_draft();
    let current = use_current();
    let task = Task::new();
    let address = RwSignal::new(String::new());
    let found = RwSignal::new(None::<CacheLookup>);
    let look_up = move |event: SubmitEvent| {
        event.prevent_default();
        let api = draft.api();
        let address = address.with_untracked(|text| text.trim().to_owned());
        let path = below_base(&address, &api.base_path);
        let (https, host) = host_of(&address);
        let to = untrack(|| current.path(&format!("/apis/{}/cache/entries", api.id)));
        found.set(None);
        let environment = environments.picked();
        let work = async move {
            let body = LookUpCache { environment: environment.await?.id, path, host, https };
            api::post::<_, CacheLookup>(&to, &body).await
        };
        task.run(work, move |lookup| found.set(Some(lookup)));
    };
    let shown = move || found.get().map(|lookup| gateways(lookup.gateways));
    view! {
        <Panel
            title="Look inside"
            note="What each gateway has of an address in memory: keys, variants, fields and freshness, and whether its second level has the same. Bodies and secrets are not shown."
        >
            <form class="form" on:submit=look_up>
                <TaskProblem task />
                <EnvironmentField choice=environments />
                <TextField
                    label="Address to look up"
                    value=address
                    required=true
                    mono=true
                    placeholder="/items?page=2"
                    help="As callers ask for it, below the API's base, with its query. A whole URL will do, too: its host is part of the key that the second level is asked for."
                    error=task.field("/path")
                />
                <div>
                    <Button submit=true busy=task.busy()>
                        "Look up"
                    </Button>
                </div>
            </form>
            <div class="stack" aria-live="polite">
                {shown}
            </div>
        </Panel>
    }
}

fn gateways(told: Vec<FromGateway<CacheEntries>>) -> AnyView {
    if told.is_empty() {
        return view! { <p class="secondary small">"No gateway of this environment was heard of lately."</p> }.into_any();
    }
    told.into_iter().map(gateway).collect_view().into_any()
}

fn gateway(told: FromGateway<CacheEntries>) -> AnyView {
    let heading = match (&told.answer, told.took_us) {
        (Some(answer), Some(took)) => {
            let entries = format::plural(answer.entries.len(), "stored response", "stored responses");
            format!("{entries}, looked up in {}", format::micros(took))
        }
        _ => outcome_words(told.outcome).to_owned(),
    };
    let entries = told.answer.map(|answer| {
        let more = (answer.more > 0).then(|| {
            let more = format!("{} more are not shown.", format::grouped(answer.more));
            view! { <p class="secondary small">{more}</p> }
        });
        view! {
            {answer.entries.into_iter().map(entry).collect_view()}
            {more}
            {answer.asked.as_deref().map(asked)}
        }
    });
    view! {
        <section class="stack">
            <h3>{told.name} " · " {heading}</h3>
            {entries}
        </section>
    }
    .into_any()
}
