//! How much, how fast, how well.

use leptos::prelude::*;
use sluice_contract::rest::analytics::{Analytics, TopRow};

use super::filters::use_filters;
use super::series::{self, as_bytes, as_count, as_ms};
use super::use_measured;
use crate::components::{Bar, BarList, LineChart, Panel, Skeleton, StackedBars, Stat};
use crate::format;

#[component]
pub fn TrafficTab() -> impl IntoView {
    use_measured().map(|data| data.live(Skeleton::Chart, |data| view! { <Traffic data /> }))
}

#[component]
fn Traffic(data: Signal<Analytics>) -> impl IntoView {
    let filters = use_filters();
    let total = move || data.with(|data| data.total.clone());
    let no_plan = Signal::derive(move || match filters.counts_plans() {
        true => "No call under a plan in this time.",
        false => "Plans are counted over all APIs: clear the filters to see them.",
    });
    let no_target = Signal::derive(move || match filters.counts_targets() {
        true => "No call reached an upstream in this time.",
        false => "Targets are counted over all calls: clear the filters to see them.",
    });
    view! {
        <div class="stack">
            <div class="stats">
                <Stat label="Requests" value=Signal::derive(move || format::count(total().calls)) />
                <Stat
                    label="Error rate"
                    value=Signal::derive(move || series::error_rate(&total()))
                    note=Signal::derive(move || {
                        let total = total();
                        format!("{} client, {} server", format::count(total.client_errors), format::count(total.server_errors))
                    })
                />
                <Stat label="p50" value=Signal::derive(move || series::duration(total().p50_us)) />
                <Stat label="p95" value=Signal::derive(move || series::duration(total().p95_us)) />
                <Stat label="p99" value=Signal::derive(move || series::duration(total().p99_us)) />
            </div>
            <Panel title="Requests" note="By outcome">
                <StackedBars
                    label="Requests over time"
                    data=Signal::derive(move || data.with(series::outcomes))
                    format=as_count
                    none="No calls in this time."
                />
            </Panel>
            <Panel title="Latency" note="From the request's head to the last byte of the response">
                <LineChart
                    label="Latency over time"
                    data=Signal::derive(move || data.with(series::latency))
                    format=as_ms
                    none="No calls in this time."
                />
            </Panel>
            <Panel title="Volume" note="Bodies of requests and responses">
                <LineChart
                    label="Bytes over time"
                    data=Signal::derive(move || data.with(series::volume))
                    format=as_bytes
                    none="No calls in this time."
                />
            </Panel>
            <div class="grid" data-min="lg">
                <Ranking title="APIs" rows=Signal::derive(move || data.with(|d| d.top_apis.clone())) />
                <Ranking title="Routes" rows=Signal::derive(move || data.with(|d| d.top_routes.clone())) />
                <Ranking
                    title="Applications"
                    rows=Signal::derive(move || data.with(|d| d.top_applications.clone()))
                />
                <Ranking
                    title="Plans"
                    rows=Signal::derive(move || data.with(|d| d.top_plans.clone()))
                    none=no_plan
                />
                <Ranking
                    title="Upstream targets"
                    rows=Signal::derive(move || data.with(|d| d.top_targets.clone()))
                    none=no_target
                />
                <Statuses data />
            </div>
        </div>
    }
}

const NO_CALLS: &str = "No calls in this time.";

/// A ranking by calls, with errors and p95 beside; without a row it says why.
#[component]
pub fn Ranking(
    title: &'static str,
    rows: Signal<Vec<TopRow>>,
    #[prop(default = Signal::stored(NO_CALLS))] none: Signal<&'static str>,
) -> impl IntoView {
    let list = move || {
        let bars: Vec<_> = rows.get().into_iter().map(bar).collect();
        if bars.is_empty() {
            return view! { <p class="secondary small">{none}</p> }.into_any();
        }
        view! { <BarList bars label=title /> }.into_any()
    };
    view! { <Panel title=title>{list}</Panel> }
}

fn bar(row: TopRow) -> Bar {
    let errors = format::share(row.errors, row.calls).unwrap_or_default();
    Bar {
        text: format!(
            "{} · {errors} errors · p95 {}",
            format::count(row.calls),
            series::duration(row.p95_us)
        ),
        value: row.calls as f64,
        name: if row.name.is_empty() { row.id } else { row.name },
        href: None,
    }
}

#[component]
fn Statuses(data: Signal<Analytics>) -> impl IntoView {
    let list = move || {
        let bars: Vec<_> = data.with(|data| {
            data.statuses
                .iter()
                .map(|count| Bar {
                    name: count.status.to_string(),
                    href: Some(format!("/calls?status={}", count.status)),
                    value: count.calls as f64,
                    text: format!(
                        "{} · {}",
                        format::count(count.calls),
                        format::share(count.calls, data.total.calls).unwrap_or_default()
                    ),
                })
                .collect()
        });
        if bars.is_empty() {
            return view! { <p class="secondary small">{NO_CALLS}</p> }.into_any();
        }
        view! { <BarList bars label="Status codes" /> }.into_any()
    };
    view! { <Panel title="Status codes">{list}</Panel> }
}
