//! What gateways would do with a request, told by them: whether its caller is let in, the key part by part, and what becomes of the
//! response.

use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use sluice_contract::definition::Access;
use sluice_contract::rest::applications::Application;
use sluice_contract::rest::asked::FromGateway;
use sluice_contract::rest::cache::{
    AccessRefusal, CacheExplanation, CacheReason, CacheRequest, ExplainCache, ExplainedAccess, ExplainedKey,
    ExplainedLimit, ExplainedRequest, RequestField,
};
use sluice_contract::rest::page::Page;

use super::asked::outcome_words;
use super::entry::{audience_words, copy_words, entry, key_facts};
use super::scope::{below_base, host_of};
use crate::api;
use crate::components::{
    Button, EnvironmentChoice, EnvironmentField, Panel, SelectField, TaskProblem, TextArea, TextField,
};
use crate::format;
use crate::pages::apis::draft::use_draft;
use crate::session::use_current;
use crate::state::{Task, remote};

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// What a person fills in.
#[derive(Clone, Copy)]
struct Asked {
    method: RwSignal<String>,
    address: RwSignal<String>,
    headers: RwSignal<String>,
    application: RwSignal<String>,
    response: RwSignal<String>,
}

#[component]
pub(super) fn Explain(environments: EnvironmentChoice) -> impl IntoView {
    let draft = use_draft();
    let current = use_current();
    let task = Task::new();
    let asked = Asked {
        method: RwSignal::new("GET".to_owned()),
        address: RwSignal::new(String::new()),
        headers: RwSignal::new(String::new()),
        application: RwSignal::new(String::new()),
        response: RwSignal::new("Cache-Control: max-age=60".to_owned()),
    };
    let explained = RwSignal::new(None::<CacheExplanation>);
    let applications = remote(move || {
        let path = current.path("/applications?limit=200");
        async move { api::get::<Page<Application>>(&path).await }
    });
    let choices = Signal::derive(move || {
        let known = applications.get().map(|page| page.items).unwrap_or_default();
        let known = known.into_iter().map(|it| (it.id.to_string(), it.name));
        std::iter::once((String::new(), "Nobody".to_owned())).chain(known).collect::<Vec<_>>()
    });
    let methods = Signal::derive(|| METHODS.map(|name| (name.to_owned(), name.to_owned())).to_vec());
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let api = draft.api();
        let request = asked.request(&api.base_path);
        let to = untrack(|| current.path(&format!("/apis/{}/cache/explain", api.id)));
        explained.set(None);
        let environment = environments.picked();
        let work = async move {
            let body = ExplainCache { environment: environment.await?.id, request };
            api::post::<_, CacheExplanation>(&to, &body).await
        };
        task.run(work, move |told| explained.set(Some(told)));
    };
    let shown = move || explained.get().map(|told| explanation(told.gateways, &environments.slug()));
    view! {
        <Panel
            title="Explain a request"
            note="Whether its caller is let in, by what a response to it is found, and whether it would be stored and served. A gateway works that out by the rules that serve requests; nothing is sent, and nothing taken from a limit."
        >
            <form class="form" on:submit=submit>
                <TaskProblem task />
                <EnvironmentField choice=environments />
                <SelectField label="Method" value=asked.method options=methods />
                <TextField
                    label="URL"
                    value=asked.address
                    required=true
                    mono=true
                    placeholder="https://gateway.example.com/acme/items?page=2"
                    help="The host is part of the key: paste the whole URL to have it as callers ask for it."
                    error=task.field("/request/path")
                />
                <TextArea
                    label="Request headers"
                    value=asked.headers
                    optional=true
                    mono=true
                    placeholder="Accept-Language: de"
                    help="One on each line."
                />
                <SelectField label="Application whose key it carries" value=asked.application options=choices />
                <TextArea
                    label="Headers of the response"
                    value=asked.response
                    optional=true
                    mono=true
                    help="Of a response with status 200, one on each line: would it be stored?"
                />
                <div>
                    <Button submit=true busy=task.busy()>
                        "Explain"
                    </Button>
                </div>
            </form>
            <div class="stack" aria-live="polite">
                {shown}
            </div>
        </Panel>
    }
}

impl Asked {
    fn request(self, base: &str) -> CacheRequest {
        let address = self.address.get_untracked();
        let (https, host) = host_of(address.trim());
        CacheRequest {
            method: self.method.get_untracked(),
            host,
            https,
            path: below_base(address.trim(), base),
            headers: self.headers.with_untracked(|text| fields(text)),
            body: None,
            application: self.application.with_untracked(|id| id.parse().ok()),
            response_status: 200,
            response_headers: self.response.with_untracked(|text| fields(text)),
        }
    }
}

/// `Name: value` on each line.
fn fields(text: &str) -> Vec<RequestField> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let field = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        RequestField { name: name.trim().to_owned(), value: value.trim().to_owned() }
    };
    lines.map(field).collect()
}

fn explanation(told: Vec<FromGateway<ExplainedRequest>>, environment: &str) -> AnyView {
    let states: Vec<_> = told.iter().map(|gateway| (gateway.name.clone(), state(gateway))).collect();
    let Some(first) = told.into_iter().find_map(|gateway| gateway.answer) else {
        let none = if states.is_empty() { "No gateway of this environment was heard of lately." } else { "" };
        return view! { <p class="secondary small">{none}</p> {rows(states)} }.into_any();
    };
    let keys = first.keys.iter().cloned().map(|key| key_view(key, environment)).collect_view();
    view! {
        {first.access.as_ref().map(access_view)}
        <p><b>{verdict(&first)}</b></p>
        <ul>{first.reasons.iter().map(|reason| view! { <li>{reason_words(*reason)}</li> }).collect_view()}</ul>
        {keys}
        <h3>"On each gateway now"</h3>
        {rows(states)}
    }
    .into_any()
}

fn rows(states: Vec<(String, String)>) -> AnyView {
    let rows: Vec<_> = states
        .into_iter()
        .map(|(name, words)| {
            view! {
                <dt>{name}</dt>
                <dd>{words}</dd>
            }
        })
        .collect();
    view! { <dl class="facts">{rows}</dl> }.into_any()
}

fn key_view(found: ExplainedKey, environment: &str) -> AnyView {
    let usable = found.usable;
    let note = match &found.entry {
        Some(_) if !usable => "It is for callers without credentials, which this one has.",
        Some(_) => "It is in memory:",
        None => "Nothing that answers the request is in memory.",
    };
    view! {
        <section class="stack">
            <h3>"Key " <code>{found.hash}</code></h3>
            {key_facts(&found.key, Some(environment.to_owned()))}
            <p class="secondary small">{note}</p>
            {found.entry.map(entry)}
            {found.copy.as_ref().map(|copy| view! { <p class="secondary small">"Second level: " {copy_words(copy)} "."</p> })}
        </section>
    }
    .into_any()
}

fn verdict(told: &ExplainedRequest) -> String {
    let operation = told.route.as_deref().map(|route| format!(" (operation {route})")).unwrap_or_default();
    match (&told.stored, told.cached) {
        (_, false) => format!("The request goes past the cache{operation}."),
        (Some(stored), true) => {
            let whom = audience_words(stored.for_whom);
            format!(
                "The response would be stored for {whom}, fresh for {}{operation}.",
                format::span(stored.lifetime_s)
            )
        }
        (None, true) => format!(
            "The request may be answered from the cache, and its response would not be stored{operation}."
        ),
    }
}

/// Whether the caller is let in, and the limits that hold.
fn access_view(access: &ExplainedAccess) -> AnyView {
    let limits = access.limits.iter().map(|limit| view! { <li>{limit_words(limit)}</li> }).collect_view();
    let refused = access.refusal.is_some();
    view! {
        <p><b>{access_words(access)}</b></p>
        <ul>{limits}</ul>
        {refused.then(|| view! { <p class="secondary small">"What the cache would do with it once it is let in:"</p> })}
    }
    .into_any()
}

fn access_words(access: &ExplainedAccess) -> String {
    let plan = access.plan_name.as_deref().map(|name| format!(" under the plan {name}")).unwrap_or_default();
    match access.refusal {
        Some(refusal) => format!("The caller is refused{plan}: {}.", refusal_words(refusal)),
        None if access.access == Access::Public => format!("Anybody may call{plan}."),
        None => format!("The caller is let in{plan}."),
    }
}

fn refusal_words(refusal: AccessRefusal) -> &'static str {
    match refusal {
        AccessRefusal::MissingKey => "401, there is no key, or the application has none here",
        AccessRefusal::UnknownKey => "401, the key is wrong or revoked",
        AccessRefusal::ExpiredKey => "401, the key has expired",
        AccessRefusal::NotSubscribed => "403, there is no approved subscription to the API",
        AccessRefusal::SubscriptionSuspended => "403, the subscription is suspended",
        AccessRefusal::RateLimited => "429, a limit is used up",
    }
}

fn limit_words(limit: &ExplainedLimit) -> String {
    let ExplainedLimit { name, requests, period_s, remaining, retry_s } = limit;
    let holds = format!("Limit of the {name}: {requests} requests in {}", format::span(*period_s));
    match (remaining, retry_s) {
        (None, _) => format!("{holds}, counted by the caller's address."),
        (Some(_), Some(seconds)) => format!("{holds}, the next is allowed in {}.", format::span(*seconds)),
        (Some(left), None) => format!("{holds}, {left} left."),
    }
}

fn state(gateway: &FromGateway<ExplainedRequest>) -> String {
    let Some(answer) = &gateway.answer else { return outcome_words(gateway.outcome).to_owned() };
    let stored = stored_words(answer);
    let left = answer.access.iter().flat_map(|access| &access.limits);
    match left.filter_map(|limit| limit.remaining).min() {
        Some(left) => format!("{stored}; {left} calls left of the limits"),
        None => stored,
    }
}

fn stored_words(answer: &ExplainedRequest) -> String {
    match answer.keys.iter().find(|key| key.usable).and_then(|key| key.entry.as_ref()) {
        Some(entry) if entry.fresh_for_s > 0 => {
            format!("stored, fresh for {}", format::span(entry.fresh_for_s.unsigned_abs()))
        }
        Some(_) => "stored, stale".to_owned(),
        None => "nothing stored for this request".to_owned(),
    }
}

fn reason_words(reason: CacheReason) -> &'static str {
    match reason {
        CacheReason::NoRoute => {
            "No operation of the API that is live there has this path, or not with this method."
        }
        CacheReason::NoPolicy => "No cache policy holds for the operation.",
        CacheReason::StrongConsistency => "The policy's strong consistency sends everything to the upstream.",
        CacheReason::Method => {
            "The method may change things: when it succeeds, what is stored of the URL is forgotten."
        }
        CacheReason::NoStore => "The request says no-store.",
        CacheReason::Condition => {
            "The request's condition (If-Match, If-Unmodified-Since) is for the upstream."
        }
        CacheReason::Body => "A request with this method and such a body is not cached.",
        CacheReason::Range => {
            "The request asks for a part: it is cut from what is stored, and fills nothing."
        }
        CacheReason::Validates => "The request says no-cache: what is stored is validated first.",
        CacheReason::OnlyIfCached => {
            "The request says only-if-cached: without a stored response it is answered with 504."
        }
        CacheReason::Head => "HEAD is answered from the response to GET, and stores nothing.",
        CacheReason::NotStorable => {
            "The response would not be stored: nobody says for how long, or somebody says that it must not be."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_lines_are_read() {
        let read: Vec<_> =
            fields(" A: b:c \n\nD:\n").into_iter().map(|field| (field.name, field.value)).collect();
        assert_eq!(read, [("A".to_owned(), "b:c".to_owned()), ("D".to_owned(), String::new())]);
    }
}
