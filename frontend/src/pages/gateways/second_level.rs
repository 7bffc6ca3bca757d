//! The second level of a gateway's cache: whether it is asked, what it gives, how its server is.

use leptos::prelude::*;
use sluice_contract::link::{SecondLevelHealth, SecondLevelServer, SecondLevelState};

use crate::components::{Badge, Panel, Stat, Tone};
use crate::format;

/// Its figures.
pub(super) fn second_level(health: SecondLevelHealth) -> impl IntoView {
    let SecondLevelHealth {
        state,
        hits,
        misses,
        late,
        errors,
        damaged,
        outdated,
        written,
        dropped,
        refused,
        queued_bytes,
        queue_max_bytes,
        latency_us,
        server,
    } = health;
    let (tone, label) = match state {
        SecondLevelState::Unknown => (Tone::Idle, "not heard of"),
        SecondLevelState::Up => (Tone::Ok, "up"),
        SecondLevelState::Tripped => (Tone::Bad, "tripped: calls go on without it"),
    };
    let asked = hits + misses;
    let ratio = format::share(hits, asked).unwrap_or_else(|| "–".to_owned());
    let unused = format!("{} too old, {} damaged", format::grouped(outdated), format::grouped(damaged));
    let failed = format!("{} late, {} refused or broken", format::grouped(late), format::grouped(errors));
    let writes = format!("{} dropped, {} refused", format::grouped(dropped), format::grouped(refused));
    let answers_in = if asked > 0 { format::micros(latency_us) } else { "–".to_owned() };
    let waits = format!("of {} may wait to be written", format::bytes(queue_max_bytes));
    let answers = format!("of {} answers", format::grouped(asked));
    view! {
        <Panel title="Second level of the cache" actions=move || view! { <Badge tone text=label dot=true /> }>
            <div class="stats">
                {stat("Hit ratio", ratio, answers)}
                {stat("Answers in", answers_in, "lately".to_owned())}
                {stat("Without an answer", format::count(late + errors), failed)}
                {stat("Not usable", format::count(outdated + damaged), unused)}
                {stat("Written", format::count(written), writes)}
                {stat("Queue", format::bytes(queued_bytes), waits)}
                {match server {
                    Some(server) => server_stats(server).into_any(),
                    None => stat("Server", "–".to_owned(), "says nothing of itself".to_owned()).into_any(),
                }}
            </div>
        </Panel>
    }
}

fn server_stats(server: SecondLevelServer) -> impl IntoView {
    let SecondLevelServer {
        memory_bytes,
        max_memory_bytes,
        evicted,
        operations_per_s,
        cpu_ms,
        network_kbps,
        connections,
    } = server;
    let most = match max_memory_bytes {
        0 => "no limit set".to_owned(),
        most => format!("of {}", format::bytes(most)),
    };
    let traffic = format!("{} kB/s in and out", format::grouped(network_kbps));
    view! {
        {stat("Server's memory", format::bytes(memory_bytes), most)}
        {stat("Server's evictions", format::count(evicted), "since it started".to_owned())}
        {stat("Server's operations", format!("{}/s", format::grouped(operations_per_s)), traffic)}
        {stat(
            "Server's CPU time",
            format::span(cpu_ms / 1_000),
            format::plural(connections as usize, "connection", "connections"),
        )}
    }
}

fn stat(label: &'static str, value: String, note: String) -> impl IntoView {
    view! { <Stat label value=Signal::stored(value) note=Signal::stored(note) /> }
}
