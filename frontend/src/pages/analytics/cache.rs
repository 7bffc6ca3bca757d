//! What the cache saved.

use leptos::prelude::*;
use sluice_contract::rest::analytics::Analytics;

use super::series::{self, as_bytes, as_count, as_percent};
use super::use_measured;
use crate::components::{LineChart, Panel, Skeleton, StackedBars, Stat};
use crate::format;

#[component]
pub fn CacheTab() -> impl IntoView {
    use_measured().map(|data| data.live(Skeleton::Chart, |data| view! { <Cache data /> }))
}

#[component]
fn Cache(data: Signal<Analytics>) -> impl IntoView {
    let total = move || data.with(|data| data.total.clone());
    view! {
        <div class="stack">
            <div class="stats">
                <Stat
                    label="Hit ratio"
                    value=Signal::derive(move || series::hit_rate(&total()))
                    note=Signal::stored("Of the calls that a cache policy covers".to_owned())
                />
                <Stat label="Hits" value=Signal::derive(move || format::count(total().cache_hits)) />
                <Stat
                    label="Misses"
                    value=Signal::derive(move || {
                        let total = total();
                        format::count(total.cacheable.saturating_sub(total.cache_hits))
                    })
                />
                <Stat
                    label="Bypassed"
                    value=Signal::derive(move || {
                        let total = total();
                        format::count(total.calls.saturating_sub(total.cacheable))
                    })
                />
            </div>
            <Panel title="Hit ratio">
                <LineChart
                    label="Cache hit ratio over time"
                    data=Signal::derive(move || data.with(series::hit_ratio))
                    format=as_percent
                    area=true
                    none="No call in this time could use a cache."
                />
            </Panel>
            <Panel title="Calls by what the cache did">
                <StackedBars
                    label="Calls by cache result over time"
                    data=Signal::derive(move || data.with(series::cache_use))
                    format=as_count
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
        </div>
    }
}
