//! What the cache did for each API, or for each route of one.

use leptos::prelude::*;
use sluice_contract::rest::cache_analytics::{CacheAnalytics, CacheRow, SecondLevelTotals};

use crate::components::Panel;
use crate::format;
use crate::state::set_url_values;

#[component]
pub(super) fn Rows(data: Signal<CacheAnalytics>) -> impl IntoView {
    let set = set_url_values();
    let choose = Callback::new(move |row: CacheRow| {
        set.run(match row.api {
            Some(api) => vec![("api", api.to_string()), ("route", row.id)],
            None => vec![("api", row.id)],
        });
    });
    let table = move || {
        let rows = data.with(|data| data.rows.clone());
        if rows.is_empty() {
            return view! { <p class="secondary small">"No calls in this time."</p> }.into_any();
        }
        let rows = rows.into_iter().map(|row| view_of(row, choose)).collect_view();
        let heads = HEADS.map(|(head, align)| {
            view! {
                <th role="columnheader" scope="col" data-align=align>
                    {head}
                </th>
            }
        });
        view! {
            <div class="table-wrap">
                <div class="table-scroll">
                    <table class="table" role="table" aria-label="What the cache did, by API or route">
                        <thead role="rowgroup">
                            <tr role="row">{heads.collect_view()}</tr>
                        </thead>
                        <tbody role="rowgroup">{rows}</tbody>
                    </table>
                </div>
            </div>
        }
        .into_any()
    };
    view! { <Panel title="By API or route" note="Choose one to see it alone">{table}</Panel> }
}

const END: Option<&str> = Some("end");
const HEADS: [(&str, Option<&str>); 8] = [
    ("Name", None),
    ("Calls", END),
    ("Hit ratio", END),
    ("By bytes", END),
    ("Misses", END),
    ("Upstream", END),
    ("Second level", END),
    ("Time saved", END),
];

/// `62 %, 480 µs`: how often it had the response, and how long a call waited.
fn second_level(of: &SecondLevelTotals) -> String {
    let had = format::share(of.found, of.asked).unwrap_or_default();
    format!("{had}, {}", format::micros(of.mean_us))
}

fn view_of(row: CacheRow, choose: Callback<CacheRow>) -> impl IntoView {
    let totals = &row.totals;
    let dash = || "–".to_owned();
    let cells = [
        format::count(totals.calls),
        format::share(totals.hits, totals.cacheable).unwrap_or_else(dash),
        format::share(totals.hit_bytes, totals.cacheable_bytes).unwrap_or_else(dash),
        format::count(totals.cacheable.saturating_sub(totals.hits)),
        totals.origin_us.map_or_else(dash, format::micros),
        totals.second_level.as_ref().map_or_else(dash, second_level),
        format::micros(totals.saved_us),
    ];
    let cells = HEADS.into_iter().skip(1).zip(cells).map(|((head, align), text)| {
        view! {
            <td role="cell" data-label=head data-align=align>
                {text}
            </td>
        }
    });
    let cells = cells.collect_view();
    let name = row.name.clone();
    view! {
        <tr role="row">
            <td role="cell" data-label="Name">
                <button type="button" class="button" data-kind="quiet" data-size="sm" on:click=move |_| choose.run(row.clone())>
                    {name}
                </button>
            </td>
            {cells}
        </tr>
    }
}
