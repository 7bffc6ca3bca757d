//! What the cache did and saved, what it holds of memory, and what was purged beside that.

mod memory;
mod purges;
mod rows;
mod series;

use std::time::Duration;

use leptos::prelude::*;
use sluice_contract::rest::cache_analytics::CacheAnalytics;

use super::filters::{Filters, use_filters};
use super::series::{as_bytes, as_count, as_ms, as_percent};
use crate::api;
use crate::components::{ChartMark, LineChart, Notice, Panel, Range, Skeleton, StackedBars, Stat, use_range};
use crate::format;
use crate::session::use_current;
use crate::state::{Remote, remote};
use memory::Memory;
use purges::{Purges, use_purges};
use rows::Rows;

const NOT_ASKED: &str = "No call asked the second level in this time.";
const NONE: &str = "No call in this time could use a cache.";
/// How what is saved is counted.
const SAVED: &str = "Each call that was answered from memory without waiting saved what misses of the same route (of the same \
                     API, while no API is chosen) took on average in the same step, or in the whole time where a step had none.";

#[component]
pub fn CacheTab() -> impl IntoView {
    let (range, filters) = (use_range("1h"), use_filters());
    let data = use_data(range, filters);
    let purges = use_purges(range, filters);
    view! {
        <div class="stack">
            <Show when=move || filters.has_application()>
                <Notice>
                    "What the cache does is counted by API and route: these are the calls of all applications."
                </Notice>
            </Show>
            {data.live(Skeleton::Chart, move |data| view! { <Cache data marks=purges.marks() /> })}
            <Purges purges />
        </div>
    }
}

fn use_data(range: Range, filters: Filters) -> Remote<CacheAnalytics> {
    let current = use_current();
    remote(move || {
        let path = current.path(&format!("/analytics/cache?{}{}", range.query(), filters.of_cache()));
        async move { api::get::<CacheAnalytics>(&path).await }
    })
    // A range that ends now moves on; a fixed one gets the same again.
    .every(Duration::from_secs(15))
}

#[component]
fn Cache(data: Signal<CacheAnalytics>, marks: Signal<Vec<ChartMark>>) -> impl IntoView {
    let chart = move |make: fn(&CacheAnalytics) -> crate::components::ChartData| {
        Signal::derive(move || data.with(make))
    };
    view! {
        <Numbers data />
        <Panel title="Hit ratio" note="Of the calls that a cache policy covers; purges are marked">
            <LineChart
                label="Cache hit ratio over time"
                data=chart(series::hit_ratio)
                format=as_percent
                marks
                none=NONE
            />
        </Panel>
        <Panel title="Calls by what the cache did">
            <StackedBars
                label="Calls by cache result over time"
                data=chart(series::outcomes)
                format=as_count
                none="No calls in this time."
            />
        </Panel>
        <div class="grid" data-min="lg">
            <Panel title="Why the upstream was asked">
                <StackedBars
                    label="Calls to the upstream by reason over time"
                    data=chart(series::reasons)
                    format=as_count
                    none="No call that a cache policy covers went to the upstream."
                />
            </Panel>
            <Panel title="Upstream time of a miss" note="Mean, from sending the request to the head of the response">
                <LineChart
                    label="Upstream time of a miss over time"
                    data=chart(series::origin_time)
                    format=as_ms
                    none="No miss in this time."
                />
            </Panel>
            <Panel title="Time saved" note=SAVED>
                <LineChart
                    label="Time saved over time"
                    data=chart(series::saved_time)
                    format=as_ms
                    area=true
                    none=NONE
                />
            </Panel>
            <Panel title="Bytes by where they came from" note="Bodies of the answers to calls that a cache policy covers">
                <StackedBars
                    label="Bytes by source over time"
                    data=chart(series::bytes)
                    format=as_bytes
                    none=NONE
                />
            </Panel>
        </div>
        <SecondLevel data />
        <Rows data />
        <Memory data />
    }
}

/// Only where it was asked.
#[component]
fn SecondLevel(data: Signal<CacheAnalytics>) -> impl IntoView {
    let is_asked = Memo::new(move |_| data.with(|data| data.total.second_level.is_some()));
    view! {
        <Show when=move || is_asked.get()>
            <div class="grid" data-min="lg">
                <Panel title="Second level" note="What it said to calls that found nothing in memory">
                    <StackedBars
                        label="Questions to the second level by answer over time"
                        data=Signal::derive(move || data.with(series::second_level_answers))
                        format=as_count
                        none=NOT_ASKED
                    />
                </Panel>
                <Panel title="Time of the second level" note="Mean, that a call waited for its answer">
                    <LineChart
                        label="Time of the second level over time"
                        data=Signal::derive(move || data.with(series::second_level_time))
                        format=as_ms
                        none=NOT_ASKED
                    />
                </Panel>
            </div>
        </Show>
    }
}

/// The numbers at the top.
#[component]
fn Numbers(data: Signal<CacheAnalytics>) -> impl IntoView {
    let number = move |text: fn(&CacheAnalytics) -> String| Signal::derive(move || data.with(text));
    let dash = || "–".to_owned();
    view! {
        <div class="stats">
            <Stat
                label="Hit ratio"
                value=Signal::derive(move || {
                    data.with(|data| format::share(data.total.hits, data.total.cacheable)).unwrap_or_else(dash)
                })
                note=Signal::stored("Of the calls that a cache policy covers".to_owned())
            />
            <Stat
                label="By bytes"
                value=Signal::derive(move || {
                    data.with(|data| format::share(data.total.hit_bytes, data.total.cacheable_bytes)).unwrap_or_else(dash)
                })
                note=Signal::stored("Of the bodies of their answers".to_owned())
            />
            <Stat label="Hits" value=number(|data| format::count(data.total.hits)) note=number(series::kinds_of_hits) />
            <Stat
                label="Misses"
                value=number(|data| format::count(data.total.cacheable.saturating_sub(data.total.hits)))
                note=number(|data| {
                    let past = data.total.calls.saturating_sub(data.total.cacheable);
                    format!("{} beside the cache", format::count(past))
                })
            />
            <div title=SAVED>
                <Stat
                    label="Time saved"
                    value=number(|data| format::micros(data.total.saved_us))
                    note=number(|data| {
                        let price = data.total.origin_us.map(|us| format!("a miss takes {}", format::micros(us)));
                        price.unwrap_or_else(|| "no miss to compare with".to_owned())
                    })
                />
            </div>
            <Stat
                label="Bytes saved"
                value=number(|data| format::bytes(data.total.saved_bytes))
                note=number(|data| format!("{} calls that no upstream saw", format::count(data.total.saved_calls)))
            />
        </div>
    }
}
