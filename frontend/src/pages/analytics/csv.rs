//! The points of the present view as a CSV file.

use leptos::prelude::*;
use sluice_contract::rest::analytics::Analytics;

use crate::format::query_value;
use crate::icons::{DOWNLOAD, Glyph};
use crate::state::Remote;

#[component]
pub fn CsvLink(data: Remote<Analytics>) -> impl IntoView {
    let href =
        move || data.get().map(|data| format!("data:text/csv;charset=utf-8,{}", query_value(&csv(&data))));
    view! {
        <a class="button" href=href download="sluice-analytics.csv">
            <Glyph icon=DOWNLOAD />
            "CSV"
        </a>
    }
}

fn csv(data: &Analytics) -> String {
    let mut text = "time,calls,client_errors,server_errors,cache_hits,cacheable,bytes_in,bytes_out,p50_us,p95_us,p99_us\n".to_owned();
    let cell = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
    for point in &data.points {
        let t = &point.totals;
        let numbers =
            [t.calls, t.client_errors, t.server_errors, t.cache_hits, t.cacheable, t.bytes_in, t.bytes_out];
        let numbers = numbers.map(Some).into_iter().chain([t.p50_us, t.p95_us, t.p99_us]).map(cell);
        let numbers = numbers.collect::<Vec<_>>().join(",");
        text.push_str(&format!("{},{numbers}\n", point.at.to_rfc3339()));
    }
    text
}
