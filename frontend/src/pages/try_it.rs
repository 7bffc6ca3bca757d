//! Trying an API: a request is put together here and sent from the browser to the real gateway.

mod access;
mod answer;
mod cors;
mod form;
mod indent;
mod request;
mod send;

use leptos::prelude::*;
use sluice_contract::rest::catalogue::CatalogueRelease;
use sluice_contract::rest::environments::Environment;
use sluice_contract::rest::page::Page;

use crate::api;
use crate::components::{CodeBlock, EmptyState, Notice, Panel, TaskProblem, Tone};
use crate::icons::ROCKET;
use crate::session::use_current;
use crate::state::{Task, remote};
use access::{AccessNotice, own_origin};
use answer::AnswerView;
use form::{Form, Inputs};
pub use request::Operation;
use send::Answer;

/// What can be tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// Path of the API on the shared host.
    pub base_path: String,
    pub operations: Vec<Operation>,
    /// Where it is live, and what it says there about who calls.
    pub releases: Vec<CatalogueRelease>,
}

#[component]
pub fn TryIt(mut subject: Subject) -> impl IntoView {
    subject.operations.retain(|operation| !operation.methods().is_empty());
    let current = use_current();
    let environments = remote(move || {
        let path = current.path("/environments?limit=200");
        async move { api::get::<Page<Environment>>(&path).await }
    });
    if subject.operations.is_empty() || subject.releases.is_empty() {
        return view! {
            <EmptyState
                icon=ROCKET
                title="Nothing to try yet"
                note="The gateway answers for an API once it has a route and is released to an environment."
            />
        }
        .into_any();
    }
    let known = Signal::derive(move || environments.get().map(|page| page.items).unwrap_or_default());
    let inputs = Inputs::new(subject, known);
    let task = Task::new();
    let answer = RwSignal::new(None::<Answer>);
    let send = move |()| {
        answer.set(None);
        match untrack(|| inputs.command()) {
            Ok(command) => task.run(send::send(command, inputs.key()), move |came| answer.set(Some(came))),
            Err(problem) => task.fail(problem),
        }
    };
    let notice = move || {
        let environment = inputs.environment()?;
        if environment.gateway_urls.is_empty() {
            return Some(no_gateway(&environment.name).into_any());
        }
        let gateway = inputs.gateway();
        if gateway == own_origin() {
            return None;
        }
        let verdict = inputs.verdict(&own_origin());
        let on_change = Callback::new(move |()| environments.reload());
        Some(view! { <AccessNotice verdict environment on_change /> }.into_any())
    };
    let curl = Signal::derive(move || inputs.command().map(|command| command.text()).unwrap_or_default());
    let shown = move || match answer.get() {
        Some(answer) => view! { <AnswerView answer /> }.into_any(),
        None => view! { <p class="secondary small">"Nothing was sent yet."</p> }.into_any(),
    };
    view! {
        <div class="stack">
            {notice}
            <div class="split" data-even>
                <Panel title="Request">
                    <Form inputs task on_send=send />
                </Panel>
                <div class="stack">
                    <Panel title="Answer">
                        <TaskProblem task />
                        {shown}
                    </Panel>
                    <Panel title="The same in a terminal">
                        <CodeBlock title="curl" text=curl wrap=true />
                    </Panel>
                </div>
            </div>
        </div>
    }
    .into_any()
}

fn no_gateway(environment: &str) -> impl IntoView + use<> {
    let title = format!("No gateway of {environment} says where it is reached");
    view! {
        <Notice tone=Tone::Warn title>
            "Start one with its public URL (" <code>"SLUICE_GATEWAY_PUBLIC_URL"</code> ") and reload this page."
        </Notice>
    }
}
