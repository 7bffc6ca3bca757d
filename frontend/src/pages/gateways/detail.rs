//! One gateway: health, what it applied, what it could not use, what it lost.

use std::time::Duration;

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use sluice_contract::rest::gateways::{Gateway, GatewayHealth, GatewayState};

use super::memory::memory;
use super::over_time::SecondLevelOverTime;
use super::second_level::second_level;
use super::state_badge;
use crate::api;
use crate::components::{
    Ago, Button, ConfirmDialog, Crumb, Kind, LinkButton, Notice, PageHead, Panel, Skeleton, Stat, Tone,
    set_page, use_toasts,
};
use crate::format;
use crate::icons::{CALLS, TRASH};
use crate::session::use_current;
use crate::state::{Task, go, remote};

#[component]
pub fn GatewayDetail() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id")).unwrap_or_default());
    let current = use_current();
    let gateway = remote(move || {
        let path = current.path(&format!("/gateways/{}", id.get()));
        async move { api::get::<Gateway>(&path).await }
    })
    .every(Duration::from_secs(5));
    set_page(move || {
        let name = gateway.get().map_or_else(|| "Gateway".to_owned(), |gateway| gateway.name);
        vec![Crumb::link("Gateways", "/gateways"), Crumb::here(name)]
    });
    view! {
        {gateway.heading("Gateway")}
        {gateway.live(Skeleton::Lines(8), |gateway| view! { <Facts gateway /> })}
    }
}

#[component]
fn Facts(gateway: Signal<Gateway>) -> impl IntoView {
    let current = use_current();
    let removing = RwSignal::new(false);
    let id = gateway.get_untracked().id;
    let has_second_level = Memo::new(move |_| {
        gateway.with(|gateway| gateway.health.as_ref().is_some_and(|it| it.second_level.is_some()))
    });
    let can_remove =
        move || current.is_platform_admin() && gateway.with(|gateway| gateway.state != GatewayState::Removed);
    view! {
        <PageHead
            title=Signal::derive(move || gateway.with(|gateway| gateway.name.clone()))
            aside=move || view! { {move || state_badge(gateway.with(|gateway| gateway.state))} }
        >
            <LinkButton href=format!("/calls?gateway={id}") icon=CALLS>
                "Its calls"
            </LinkButton>
            <Show when=can_remove>
                <Button kind=Kind::DangerQuiet icon=TRASH on_click=move |()| removing.set(true)>
                    "Remove"
                </Button>
            </Show>
        </PageHead>
        <div class="stack">
            {move || gateway.with(losses)} {move || gateway.with(failures)}
            {move || gateway.with(|gateway| gateway.health.clone()).map(health)}
            {move || {
                let health = gateway.with(|gateway| gateway.health.clone());
                health.map(|health| memory(health.cache, health.cache_bytes, health.cache_entries))
            }}
            {move || {
                gateway.with(|gateway| gateway.health.as_ref()?.second_level.clone()).map(second_level)
            }}
            <Show when=move || has_second_level.get()>
                <SecondLevelOverTime gateway=id />
            </Show>
            <Panel title="Facts">{move || gateway.with(facts)}</Panel>
        </div>
        <Remove gateway open=removing />
    }
}

fn health(health: GatewayHealth) -> impl IntoView {
    let GatewayHealth {
        uptime_s,
        memory_bytes,
        cpu_ms,
        connections,
        calls,
        cache_entries,
        cache_bytes,
        spooled_batches,
        spooled_bytes,
        cache: _,
        second_level: _,
    } = health;
    let stat = |label: &'static str, value: String, note: String| {
        view! { <Stat label value=Signal::stored(value) note=Signal::stored(note) /> }
    };
    view! {
        <div class="stats">
            {stat("Up for", format::span(uptime_s), String::new())}
            {stat("Calls", format::count(calls), "since it started".to_owned())}
            {stat("Connections", format::count(connections), "open now".to_owned())}
            {stat("Memory", format::bytes(memory_bytes), String::new())}
            {stat("CPU time", format::span(cpu_ms / 1_000), String::new())}
            {stat("Cache", format::bytes(cache_bytes), format!("{} entries", format::grouped(cache_entries)))}
            {stat("Spool", format::bytes(spooled_bytes), format!("{} batches wait", format::grouped(spooled_batches)))}
        </div>
    }
}

fn facts(gateway: &Gateway) -> impl IntoView + use<> {
    let Gateway {
        id,
        environment_slug,
        region,
        version,
        public_url,
        applied,
        head,
        enrolled_at,
        last_seen_at,
        ..
    } = gateway.clone();
    let none = || "–".to_owned();
    view! {
        <dl class="facts">
            <dt>"Environment"</dt>
            <dd>{environment_slug}</dd>
            <dt>"Region"</dt>
            <dd>{region.unwrap_or_else(none)}</dd>
            <dt>"Address"</dt>
            <dd>{public_url.unwrap_or_else(none)}</dd>
            <dt>"Version"</dt>
            <dd>{version}</dd>
            <dt>"Applied position"</dt>
            <dd class="num">{format!("{applied} of {head}")}</dd>
            <dt>"Joined"</dt>
            <dd>
                <Ago at=enrolled_at />
            </dd>
            <dt>"Heard of"</dt>
            <dd>{last_seen_at.map(|at| view! { <Ago at /> })}</dd>
            <dt>"Id"</dt>
            <dd>
                <code>{id.to_string()}</code>
            </dd>
        </dl>
    }
}

/// Calls that are missing from the log are said, not hidden.
fn losses(gateway: &Gateway) -> Option<impl IntoView + use<>> {
    let (lost, dropped) = (gateway.lost_calls, gateway.dropped_calls);
    (lost + dropped > 0).then(|| {
        let lost = (lost > 0).then(|| {
            format!("{} lost when it was killed. ", format::plural(lost as usize, "call was", "calls were"))
        });
        let dropped = (dropped > 0).then(|| {
            format!(
                "{} dropped because its spool was full.",
                format::plural(dropped as usize, "call was", "calls were")
            )
        });
        view! { <Notice tone=Tone::Warn title="The log of this gateway has gaps">{lost} {dropped}</Notice> }
    })
}

fn failures(gateway: &Gateway) -> Option<impl IntoView + use<>> {
    let failed = gateway.failed_parts.clone();
    (!failed.is_empty()).then(|| {
        let rows = failed.into_iter().map(|part| {
            view! {
                <li>
                    <a href=format!("/apis/{}", part.api)>"API"</a>
                    ": "
                    {part.reason}
                </li>
            }
        });
        view! {
            <Notice tone=Tone::Bad title="This gateway could not use some of what was released">
                <p>"It still serves the version before."</p>
                <ul>{rows.collect_view()}</ul>
            </Notice>
        }
    })
}

#[component]
fn Remove(gateway: Signal<Gateway>, open: RwSignal<bool>) -> impl IntoView {
    let task = Task::new();
    let toasts = use_toasts();
    let go = go();
    let name = Signal::derive(move || gateway.with(|gateway| gateway.name.clone()));
    let remove = move |()| {
        let path = format!("/gateways/{}", gateway.get_untracked().id);
        task.run(async move { api::delete(&path, None).await }, move |()| {
            open.set(false);
            toasts.done("Gateway removed");
            go.run("/gateways".to_owned());
        });
    };
    view! {
        <ConfirmDialog
            open
            title=Signal::stored("Remove this gateway?".to_owned())
            note=Signal::stored(
                "Its session ends and its calls are no longer taken. A process that still runs keeps serving what it has until its maximum age.".to_owned(),
            )
            phrase=name
            action=Signal::stored("Remove gateway".to_owned())
            on_confirm=remove
            task
        />
    }
}
