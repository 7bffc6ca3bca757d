//! The second level of a gateway's cache: whether it is asked, what it gives, how its server is.

use leptos::prelude::*;
use sluice_contract::link::{
    SecondLevelDisk, SecondLevelHealth, SecondLevelKind, SecondLevelNode, SecondLevelServer, SecondLevelState,
};

use crate::components::{Badge, Panel, Stat, Tone};
use crate::format;

/// Its figures.
pub(super) fn second_level(health: SecondLevelHealth) -> impl IntoView {
    let SecondLevelHealth {
        kind,
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
        too_large,
        hit_bytes,
        queued_bytes,
        queue_max_bytes,
        latency_us,
        answer_us: _,
        tripped_ms,
        server,
        disk,
        nodes,
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
    let unwritten = [(dropped, "dropped"), (refused, "refused"), (too_large, "too large")];
    let writes = unwritten.map(|(count, why)| format!("{} {why}", format::grouped(count))).join(", ");
    let answers_in = if asked > 0 { format::micros(latency_us) } else { "–".to_owned() };
    let waits = format!("of {} may wait to be written", format::bytes(queue_max_bytes));
    let answers = format!("of {} answers, {} of bodies", format::grouped(asked), format::bytes(hit_bytes));
    let title = match kind {
        SecondLevelKind::Redis => "Redis",
        SecondLevelKind::Memcached => "Memcached",
        SecondLevelKind::Disk => "a folder on its disk",
    };
    view! {
        <Panel title="Second level of the cache" actions=move || view! { <Badge tone text=label dot=true /> }>
            <div class="stats">
                {stat("Hit ratio", ratio, answers)}
                {stat("Answers in", answers_in, "lately".to_owned())}
                {stat("Without an answer", format::count(late + errors), failed)}
                {stat("Not asked", format::span(tripped_ms / 1_000), "while its breaker was open, since the gateway started".to_owned())}
                {stat("Not usable", format::count(outdated + damaged), unused)}
                {stat("Written", format::count(written), writes)}
                {stat("Queue", format::bytes(queued_bytes), waits)}
                {stat("Kept in", title.to_owned(), servers(&nodes))}
                {match server {
                    Some(server) => server_stats(server).into_any(),
                    None => ().into_any(),
                }}
                {match disk {
                    Some(disk) => disk_stats(disk).into_any(),
                    None => ().into_any(),
                }}
            </div>
        </Panel>
    }
}

/// Which of several are not asked.
fn servers(nodes: &[SecondLevelNode]) -> String {
    let tripped = nodes.iter().filter(|node| node.state == SecondLevelState::Tripped);
    let tripped: Vec<&str> = tripped.map(|node| node.name.as_str()).collect();
    let count = match nodes.len() {
        0 => return String::new(),
        count => format::plural(count, "server", "servers"),
    };
    match &tripped[..] {
        [] => count,
        tripped => format!("{count}, without {}", tripped.join(" and ")),
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
        hits,
        misses,
    } = server;
    let most = match max_memory_bytes {
        0 => "no limit set".to_owned(),
        most => format!("of {}", format::bytes(most)),
    };
    let ratio = format::share(hits, hits + misses).unwrap_or_else(|| "–".to_owned());
    let traffic = format!("{} kB/s in and out", format::grouped(network_kbps));
    view! {
        {stat("Server's memory", format::bytes(memory_bytes), most)}
        {stat("Server's hits", ratio, "of all who use it".to_owned())}
        {stat("Server's evictions", format::count(evicted), "since it started".to_owned())}
        {stat("Server's operations", format!("{}/s", format::grouped(operations_per_s)), traffic)}
        {stat(
            "Server's CPU time",
            format::span(cpu_ms / 1_000),
            format::plural(connections as usize, "connection", "connections"),
        )}
    }
}

fn disk_stats(disk: SecondLevelDisk) -> impl IntoView {
    let SecondLevelDisk { held_bytes, max_bytes, evicted_bytes, read_bytes, written_bytes } = disk;
    let most = format!("of {}", format::bytes(max_bytes));
    let read = format!("{} read, since the gateway started", format::bytes(read_bytes));
    view! {
        {stat("On the disk", format::bytes(held_bytes), most)}
        {stat("Given up for want of room", format::bytes(evicted_bytes), "since the gateway started".to_owned())}
        {stat("Written to the disk", format::bytes(written_bytes), read)}
    }
}

fn stat(label: &'static str, value: String, note: String) -> impl IntoView {
    view! { <Stat label value=Signal::stored(value) note=Signal::stored(note) /> }
}
