//! The list of calls, of the past or as they happen.

use leptos::prelude::*;
use sluice_contract::calls::CacheOutcome;
use sluice_contract::rest::calls::CallRow;

use super::filters::{CallFilterBar, use_call_filters};
use super::tail::{Tail, TailTable};
use crate::components::{
    Badge, Button, Clock, Column, Crumb, DataTable, EmptyState, MethodTag, PageHead, StatusCode,
    TimeRangePicker, Tone, set_page, use_range,
};
use crate::format;
use crate::icons::{CALLS, PAUSE, RADIO, REFRESH};
use crate::session::use_current;
use crate::state::{paged, url_text};

#[component]
pub fn CallList() -> impl IntoView {
    set_page(|| vec![Crumb::here("Calls")]);
    let current = use_current();
    let filters = use_call_filters();
    let range = use_range("1h");
    let tailing = url_text("tail");
    let set_tail = tailing.setter();
    let is_tail = Memo::new(move |_| tailing.get() == "1");
    let list = paged::<CallRow>(move || {
        if is_tail.get() {
            return String::new();
        }
        let filters = filters.query();
        let joint = if filters.is_empty() { "" } else { "&" };
        current.path(&format!("/calls?{}{joint}{filters}", range.query()))
    });
    let toggle = move |()| set_tail.run(if is_tail.get_untracked() { String::new() } else { "1".to_owned() });
    let tail_button = move || {
        let (icon, text) = if is_tail.get() { (PAUSE, "Stop live tail") } else { (RADIO, "Live tail") };
        view! { <Button icon on_click=toggle>{text}</Button> }
    };
    let body = move || {
        if is_tail.get() {
            let tail = Tail::open(current.path("/calls/tail"), filters.query());
            view! { <TailTable tail /> }.into_any()
        } else {
            view! {
                <DataTable
                    label="Calls"
                    columns=columns()
                    list
                    href=|row: &CallRow| format!("/calls/{}", row.call.id)
                    empty=no_calls
                />
            }
            .into_any()
        }
    };
    view! {
        <PageHead title=Signal::stored("Calls".to_owned())>
            <Show when=move || !is_tail.get()>
                <TimeRangePicker range />
                <Button icon=REFRESH label="Reload" busy=list.busy() on_click=move |()| list.reload() />
            </Show>
            {tail_button}
        </PageHead>
        <CallFilterBar filters />
        {body}
    }
}

fn no_calls() -> impl IntoView {
    view! {
        <EmptyState
            icon=CALLS
            title="No calls here"
            note="No call in this time matches the filters. Calls appear a second or two after a gateway has served them."
        />
    }
}

pub(super) fn columns() -> Vec<Column<CallRow>> {
    vec![
        Column::new("Time", |row: &CallRow| view! { <Clock at=row.call.at /> }),
        Column::new("Status", |row: &CallRow| view! { <StatusCode status=row.call.status /> }),
        Column::new("Request", |row: &CallRow| {
            view! {
                <span class="row" data-nowrap="true">
                    <MethodTag method=row.call.method.clone() />
                    <code class="call-path">{row.call.path.clone()}</code>
                </span>
            }
        }),
        Column::new("API", |row: &CallRow| row.api_name.clone().unwrap_or_else(|| "–".to_owned())),
        Column::new("Application", |row: &CallRow| {
            row.application_name.clone().unwrap_or_else(|| "–".to_owned())
        }),
        Column::new("Cache", |row: &CallRow| cache_badge(row.call.cache)),
        Column::new("Duration", |row: &CallRow| format::micros(row.call.duration_us)).end(),
    ]
}

pub(super) fn cache_badge(outcome: CacheOutcome) -> AnyView {
    let (tone, text) = match outcome {
        CacheOutcome::Hit => (Tone::Ok, "hit"),
        CacheOutcome::Revalidated => (Tone::Ok, "revalidated"),
        CacheOutcome::Coalesced => (Tone::Ok, "coalesced"),
        CacheOutcome::Stale => (Tone::Warn, "stale"),
        CacheOutcome::Miss => (Tone::Idle, "miss"),
        CacheOutcome::VaryMiss => (Tone::Idle, "miss: another variant"),
        CacheOutcome::Expired => (Tone::Idle, "miss: no longer fresh"),
        CacheOutcome::Request => (Tone::Idle, "miss: caller insisted"),
        CacheOutcome::Method => (Tone::Idle, "past it: method"),
        CacheOutcome::Bypass => (Tone::Idle, "past it"),
        CacheOutcome::Uncached => return view! { <span class="muted">"–"</span> }.into_any(),
    };
    view! { <Badge tone text /> }.into_any()
}
