//! The front page: how the last hour went, and what waits for a person.

use std::time::Duration;

use leptos::prelude::*;
use leptos_router::components::A;
use sluice_contract::rest::analytics::Overview as Facts;
use sluice_contract::rest::session::Permission;

use super::analytics::series::{self, as_count, as_ms};
use super::analytics::traffic::Ranking;
use crate::api;
use crate::components::{
    Crumb, Kind, LineChart, LinkButton, PageHead, Panel, Skeleton, Sparkline, StackedBars, Stat, set_page,
};
use crate::format;
use crate::icons::{BOXES, CIRCLE_CHECK, CIRCLE_DASHED, CLIPBOARD_CHECK, Glyph, LIBRARY, SERVER, WAYPOINTS};
use crate::session::use_current;
use crate::state::remote;

#[component]
pub fn Overview() -> impl IntoView {
    set_page(|| vec![Crumb::here("Overview")]);
    let current = use_current();
    move || {
        if current.can(Permission::ReadCalls) {
            view! { <Dashboard /> }.into_any()
        } else {
            view! { <Home /> }.into_any()
        }
    }
}

/// For people who only consume: where to begin.
#[component]
fn Home() -> impl IntoView {
    view! {
        <PageHead
            title=Signal::stored("Welcome".to_owned())
            note=Signal::stored("Find an API, subscribe an application to it, and call it with a key.".to_owned())
        />
        <div class="grid">
            <article class="card-link">
                <Glyph icon=LIBRARY size="lg" />
                <h2>
                    <A href="/catalogue">"Browse the catalogue"</A>
                </h2>
                <p class="secondary small">"Read what an API does and request a subscription."</p>
            </article>
            <article class="card-link">
                <Glyph icon=BOXES size="lg" />
                <h2>
                    <A href="/apps">"Your applications"</A>
                </h2>
                <p class="secondary small">"Create keys and see which subscriptions were approved."</p>
            </article>
        </div>
    }
}

#[component]
fn Dashboard() -> impl IntoView {
    let current = use_current();
    let facts = remote(move || {
        let path = current.path("/overview");
        async move { api::get::<Facts>(&path).await }
    })
    .every(Duration::from_secs(10));
    view! {
        <PageHead
            title=Signal::stored("Overview".to_owned())
            note=Signal::stored("The last hour.".to_owned())
        />
        {facts.live(Skeleton::Stats, |facts| view! { <LastHour facts /> })}
    }
}

#[component]
fn LastHour(facts: Signal<Facts>) -> impl IntoView {
    let total = move || facts.with(|facts| facts.traffic.total.clone());
    let line = move |measure: fn(&sluice_contract::rest::analytics::Totals) -> Option<f64>| {
        Signal::derive(move || {
            facts.with(|facts| {
                facts.traffic.points.iter().map(|point| measure(&point.totals)).collect::<Vec<_>>()
            })
        })
    };
    let is_new = Memo::new(move |_| facts.with(|facts| facts.apis == 0 || facts.applications == 0));
    view! {
        <div class="stack">
            <Show when=move || is_new.get()>
                <FirstSteps facts />
            </Show>
            <div class="stats">
                <Stat label="Requests" value=Signal::derive(move || format::count(total().calls))>
                    <Sparkline values=line(|t| Some(t.calls as f64)) />
                </Stat>
                <Stat label="Error rate" value=Signal::derive(move || series::error_rate(&total()))>
                    <Sparkline values=line(|t| Some((t.client_errors + t.server_errors) as f64)) colour=5 />
                </Stat>
                <Stat label="p95 latency" value=Signal::derive(move || series::duration(total().p95_us))>
                    <Sparkline values=line(|t| t.p95_us.map(|us| us as f64)) colour=2 />
                </Stat>
                <Stat label="Cache hits" value=Signal::derive(move || series::hit_rate(&total()))>
                    <Sparkline values=line(|t| Some(t.cache_hits as f64)) colour=4 />
                </Stat>
            </div>
            <Waiting facts />
            <Panel title="Requests" note="By outcome">
                <StackedBars
                    label="Requests in the last hour"
                    data=Signal::derive(move || facts.with(|facts| series::outcomes(&facts.traffic)))
                    format=as_count
                    none="No calls in the last hour."
                />
            </Panel>
            <div class="grid" data-min="lg">
                <Panel title="Latency">
                    <LineChart
                        label="Latency in the last hour"
                        data=Signal::derive(move || facts.with(|facts| series::latency(&facts.traffic)))
                        format=as_ms
                        none="No calls in the last hour."
                    />
                </Panel>
                <Ranking
                    title="Top APIs"
                    rows=Signal::derive(move || facts.with(|facts| facts.traffic.top_apis.clone()))
                />
            </div>
        </div>
    }
}

/// What leads on from here: approvals, the fleet, APIs, applications.
#[component]
fn Waiting(facts: Signal<Facts>) -> impl IntoView {
    let current = use_current();
    let approvals = move || {
        current.can(Permission::ApproveSubscriptions).then(|| {
            let waiting = facts.with(|facts| facts.pending_approvals);
            let text = match waiting {
                0 => "Nobody waits for approval".to_owned(),
                n => format!(
                    "{} for approval",
                    format::plural(n as usize, "subscription waits", "subscriptions wait")
                ),
            };
            lead(CLIPBOARD_CHECK, "/approvals", text, waiting > 0)
        })
    };
    let fleet = move || {
        let (live, all) = facts.with(|facts| (facts.gateways_live, facts.gateways));
        lead(
            SERVER,
            "/gateways",
            format!("{live} of {} live", format::plural(all as usize, "gateway", "gateways")),
            live < all || all == 0,
        )
    };
    let apis = move || {
        lead(
            WAYPOINTS,
            "/apis",
            format::plural(facts.with(|facts| facts.apis) as usize, "API", "APIs"),
            false,
        )
    };
    let applications = move || {
        let count = facts.with(|facts| facts.applications);
        lead(BOXES, "/apps", format::plural(count as usize, "application", "applications"), false)
    };
    view! { <div class="grid leads" data-min="sm">{approvals} {fleet} {apis} {applications}</div> }
}

fn lead(icon: crate::icons::Icon, href: &'static str, text: String, urgent: bool) -> impl IntoView {
    view! {
        <A href=href attr:class="lead" attr:data-urgent=urgent>
            <Glyph icon />
            <span>{text}</span>
        </A>
    }
}

/// The way to a first successful call, ticked off as it is gone.
#[component]
fn FirstSteps(facts: Signal<Facts>) -> impl IntoView {
    let step = move |done: bool, title: &'static str, note: &'static str, action: AnyView| {
        let icon = if done { CIRCLE_CHECK } else { CIRCLE_DASHED };
        view! {
            <li data-state=if done { "done" } else { "waiting" }>
                <Glyph icon />
                <span>
                    <strong>{title}</strong>
                    <span class="secondary">" " {note}</span>
                </span>
                {(!done).then_some(action)}
            </li>
        }
    };
    let go = |href: &'static str, text: &'static str, first: bool| {
        let kind = if first { Kind::Primary } else { Kind::Plain };
        view! { <LinkButton href=href kind size="sm">{text}</LinkButton> }.into_any()
    };
    let steps = move || {
        let (apis, applications, calls) =
            facts.with(|facts| (facts.apis > 0, facts.applications > 0, facts.traffic.total.calls > 0));
        view! {
            {step(apis, "Publish an API.", "Import an OpenAPI document, or describe it by hand.", go("/apis", "Add an API", !apis))}
            {step(applications, "Create an application.", "It holds the key that callers send.", go("/apps", "Add an application", apis))}
            {step(calls, "Send a call.", "Subscribe the application, call the gateway with its key, and see it here.", go("/catalogue", "Open the catalogue", false))}
        }
    };
    view! {
        <Panel title="First steps" note="From nothing to a first call in a few minutes.">
            <ol class="progress">{steps}</ol>
        </Panel>
    }
}
