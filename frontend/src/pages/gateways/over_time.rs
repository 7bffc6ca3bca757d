//! The second level of a gateway's cache over time: what it gave, how fast, what it left without an answer, and when calls went
//! on without it.

use std::time::Duration;

use leptos::prelude::*;
use sluice_contract::ids::GatewayId;
use sluice_contract::rest::second_level::{SecondLevelDid, SecondLevelHistory, SecondLevelPoint};

use crate::api;
use crate::components::{
    ChartData, LineChart, Panel, Series, Skeleton, StackedBars, TimeRangePicker, use_range,
};
use crate::format;
use crate::pages::analytics::series::{as_count, as_ms, as_percent};
use crate::session::use_current;
use crate::state::remote;

type Measure<'a> = (&'static str, u8, &'a dyn Fn(SecondLevelDid) -> Option<f64>);

#[component]
pub(super) fn SecondLevelOverTime(gateway: GatewayId) -> impl IntoView {
    let range = use_range("24h");
    let current = use_current();
    let history = remote(move || {
        let path = current.path(&format!("/gateways/{gateway}/second-level?{}", range.query()));
        async move { api::get::<SecondLevelHistory>(&path).await }
    })
    .every(Duration::from_secs(15));
    view! {
        <Panel title="Second level over time" note="In steps of at least five minutes" actions=move || view! { <TimeRangePicker range /> }>
            {history.live(Skeleton::Chart, |history| view! { <Charts history /> })}
        </Panel>
    }
}

#[component]
fn Charts(history: Signal<SecondLevelHistory>) -> impl IntoView {
    let chart = move |make: fn(&SecondLevelHistory) -> ChartData| Signal::derive(move || history.with(make));
    let was_open = Memo::new(move |_| history.with(|history| history.points.iter().any(is_tripped)));
    view! {
        <div class="stack">
            <p>{move || history.with(health_in_words)}</p>
            <div class="grid" data-min="lg">
                <Show when=move || was_open.get()>
                    <div>
                        <h3>"Breaker open"</h3>
                        <StackedBars
                            label="Time in which the breaker of the second level was open"
                            data=chart(tripped)
                            format=as_ms
                        />
                    </div>
                </Show>
                <div>
                    <h3>"Answers in"</h3>
                    <LineChart
                        label="Answer time of the second level over time"
                        data=chart(latency)
                        format=as_ms
                        none="The second level has not answered in this time."
                    />
                </div>
                <div>
                    <h3>"Hit ratio"</h3>
                    <LineChart
                        label="Hit ratio of the second level over time"
                        data=chart(hit_ratio)
                        format=as_percent
                        none="The second level has not answered in this time."
                    />
                </div>
                <div>
                    <h3>"Questions"</h3>
                    <StackedBars
                        label="Questions to the second level over time"
                        data=chart(questions)
                        format=as_count
                        none="The second level was not asked in this time."
                    />
                </div>
            </div>
        </div>
    }
}

fn is_tripped(point: &SecondLevelPoint) -> bool {
    point.did.is_some_and(|did| did.tripped_ms > 0)
}

/// Whether and when the breaker was open.
fn health_in_words(history: &SecondLevelHistory) -> String {
    if history.points.iter().all(|point| point.did.is_none()) {
        return "Nothing was heard of it in this time.".to_owned();
    }
    let Some(last) = history.points.iter().rfind(|point| is_tripped(point)) else {
        return "Its breaker was never open in this time.".to_owned();
    };
    let steps = history.points.iter().filter(|point| is_tripped(point)).count();
    let all: u64 = history.points.iter().filter_map(|point| point.did).map(|did| did.tripped_ms).sum();
    let steps = format::plural(steps, "step", "steps");
    format!(
        "Its breaker was open for {} in {steps} of this time, last in the one that begins {}. Calls went on without it.",
        format::micros(1_000 * all),
        format::date_time(last.at),
    )
}

/// Milliseconds of each step in which the breaker was open.
fn tripped(history: &SecondLevelHistory) -> ChartData {
    chart(history, &[("Breaker open", 5, &|did| Some(did.tripped_ms as f64))])
}

fn hit_ratio(history: &SecondLevelHistory) -> ChartData {
    let ratio = |did: SecondLevelDid| {
        let answers = did.hits + did.misses;
        (answers > 0).then(|| did.hits as f64 / answers as f64)
    };
    chart(history, &[("Hit ratio", 1, &ratio)])
}

/// Mean milliseconds.
fn latency(history: &SecondLevelHistory) -> ChartData {
    let ms = |did: SecondLevelDid| did.latency_us().map(|us| us as f64 / 1_000.0);
    chart(history, &[("Answers in", 2, &ms)])
}

fn questions(history: &SecondLevelHistory) -> ChartData {
    let count = |of: fn(SecondLevelDid) -> u64| move |did: SecondLevelDid| Some(of(did) as f64);
    if history.points.iter().filter_map(|point| point.did).all(|did| did.hits + did.misses + did.failed == 0)
    {
        return ChartData::default();
    }
    chart(
        history,
        &[
            ("Hits", 1, &count(|did| did.hits)),
            ("Misses", 3, &count(|did| did.misses)),
            ("Without an answer", 5, &count(|did| did.failed)),
        ],
    )
}

/// A step of which nothing was heard is a gap.
fn chart(history: &SecondLevelHistory, measures: &[Measure<'_>]) -> ChartData {
    let series = measures.iter().map(|(name, colour, measure)| Series {
        name,
        colour: *colour,
        values: history.points.iter().map(|point| point.did.and_then(measure)).collect(),
    });
    ChartData { times: history.points.iter().map(|point| point.at).collect(), series: series.collect() }
}
