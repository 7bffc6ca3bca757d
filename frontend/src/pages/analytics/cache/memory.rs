//! What is held of the memory of gateways, and why responses left it.

use leptos::prelude::*;
use sluice_contract::rest::cache_analytics::CacheAnalytics;

use super::series;
use crate::components::{LineChart, Panel, StackedBars};
use crate::pages::analytics::series::{as_bytes, as_count};

#[component]
pub(super) fn Memory(data: Signal<CacheAnalytics>) -> impl IntoView {
    view! {
        <div class="grid" data-min="lg">
            <Panel title="Held in memory" note="Of all gateways together, at the end of each step">
                <LineChart
                    label="Bytes held in memory over time"
                    data=Signal::derive(move || data.with(series::held))
                    format=as_bytes
                    area=true
                    none="Nothing is known to have been held in this time."
                />
            </Panel>
            <Panel title="Left the memory" note="Responses of all gateways together, by why">
                <StackedBars
                    label="Responses that left the memory over time"
                    data=Signal::derive(move || data.with(series::evictions))
                    format=as_count
                    none="Nothing is known to have left in this time."
                />
            </Panel>
        </div>
    }
}
