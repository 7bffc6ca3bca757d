//! The audit log: every change with who, when, from where and the difference.

use leptos::prelude::*;
use leptos_router::components::Route;
use leptos_router::path;
use sluice_contract::rest::audit::AuditEntry;

use crate::components::{
    Ago, Badge, Button, Column, Crumb, DataTable, Dialog, DiffView, EmptyState, PageHead, SearchField,
    Segments, TimeRangePicker, Tone, set_page, use_range,
};
use crate::format::{self, query_value};
use crate::icons::HISTORY;
use crate::lazy::lazy_pages;
use crate::session::use_current;
use crate::state::{opened_by, paged, url_text};

lazy_pages!(operating/audit: AuditLog);

#[component(transparent)]
pub fn AuditRoutes() -> impl leptos_router::MatchNestedRoutes + Clone {
    view! { <Route path=path!("/audit") view=lazy(Page::AuditLog) /> }.into_inner()
}

#[component]
fn AuditLog() -> impl IntoView {
    set_page(|| vec![Crumb::here("Audit log")]);
    let current = use_current();
    let (actor, action, resource) = (url_text("actor"), url_text("action"), url_text("resource"));
    let scope = url_text("scope");
    let range = use_range("7d");
    let list = paged::<AuditEntry>(move || {
        let filters: String = [("actor", actor), ("action", action), ("resource", resource)]
            .into_iter()
            .map(|(key, text)| (key, text.get()))
            .filter(|(_, text)| !text.is_empty())
            .map(|(key, text)| format!("&{key}={}", query_value(&text)))
            .collect();
        let rest = format!("/audit?{}{filters}", range.query());
        if scope.get() == "platform" { rest } else { current.path(&rest) }
    });
    let shown = RwSignal::new(None::<AuditEntry>);
    let scope_name = Signal::derive(move || {
        let scope = scope.get();
        if scope.is_empty() { "tenant".to_owned() } else { scope }
    });
    let set_scope = scope.setter();
    view! {
        <PageHead
            title=Signal::stored("Audit log".to_owned())
            note=Signal::stored("Every change, by people and by tokens.".to_owned())
        >
            <TimeRangePicker range />
        </PageHead>
        <div class="toolbar">
            <Show when=move || current.is_platform_admin()>
                <Segments
                    label="Scope"
                    value=scope_name
                    options=vec![("tenant", "This tenant"), ("platform", "Platform")]
                    on_pick=move |picked: String| {
                        set_scope.run(if picked == "platform" { picked } else { String::new() });
                    }
                />
            </Show>
            <SearchField label="Who (e-mail)" value=actor.signal() on_change=actor.setter() />
            <SearchField label="Action, as in update_api" value=action.signal() on_change=action.setter() />
            <SearchField label="Resource, as in api" value=resource.signal() on_change=resource.setter() />
        </div>
        <DataTable
            label="Audit log"
            columns=columns(shown)
            list
            empty=|| view! {
                <EmptyState
                    icon=HISTORY
                    title="No change in this time"
                    note="Widen the time range or remove a filter."
                />
            }
        />
        <Entry shown />
    }
}

fn columns(shown: RwSignal<Option<AuditEntry>>) -> Vec<Column<AuditEntry>> {
    vec![
        Column::new("When", |entry: &AuditEntry| view! { <Ago at=entry.at /> }),
        Column::new("Who", |entry: &AuditEntry| view! { <span class="break">{entry.actor.clone()}</span> }),
        Column::new("Action", |entry: &AuditEntry| {
            let tone = match entry.action.split('_').next() {
                Some("create" | "approve" | "complete") => Tone::Ok,
                Some("delete" | "revoke" | "remove" | "reject" | "end") => Tone::Bad,
                _ => Tone::Info,
            };
            view! { <Badge tone text=entry.action.replace('_', " ") /> }
        }),
        Column::new("What", |entry: &AuditEntry| {
            view! {
                <span class="break">
                    <span class="muted">{entry.resource.replace('_', " ")} " "</span>
                    {entry.resource_name.clone()}
                </span>
            }
        }),
        Column::new("From", |entry: &AuditEntry| entry.address.clone().unwrap_or_else(|| "–".to_owned())),
        Column::new("", move |entry: &AuditEntry| {
            let mine = entry.clone();
            let text = format::plural(entry.changes.len(), "field", "fields");
            view! {
                <Button size="sm" on_click=move |()| shown.set(Some(mine.clone()))>
                    {text}
                </Button>
            }
        })
        .end(),
    ]
}

#[component]
fn Entry(shown: RwSignal<Option<AuditEntry>>) -> impl IntoView {
    let open = opened_by(shown);
    let title = Signal::derive(move || {
        shown.get().map_or_else(String::new, |entry| {
            format!("{}: {}", entry.action.replace('_', " "), entry.resource_name)
        })
    });
    let note = Signal::derive(move || {
        shown
            .get()
            .map(|entry| format!("{}, {}", entry.actor, format::date_time(entry.at)))
            .unwrap_or_default()
    });
    let body = move || {
        shown.get().map(|entry| {
            view! {
                <DiffView changes=entry.changes label="Changed fields" />
                {entry.request_id.map(|id| view! { <p class="tiny muted">"Request " <code>{id}</code></p> })}
            }
        })
    };
    view! { <Dialog open wide=true title note>{body}</Dialog> }
}
