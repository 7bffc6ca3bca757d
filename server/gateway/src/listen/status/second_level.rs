//! What the second level of the cache did, and its servers, as metrics.

use std::fmt::Write as _;

use sluice_contract::link::{
    SecondLevelDisk, SecondLevelHealth, SecondLevelNode, SecondLevelServer, SecondLevelState,
};

pub(super) fn write(health: &SecondLevelHealth, text: &mut String) {
    let SecondLevelHealth {
        kind: _,
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
        queue_max_bytes: _,
        latency_us,
        answer_us,
        tripped_ms,
        server,
        disk,
        nodes,
    } = health;
    let _ = write!(
        text,
        "# HELP sluice_cache_l2_asked_total Questions to the second level of the cache.\n\
         # TYPE sluice_cache_l2_asked_total counter\n"
    );
    let asked = [("hit", hits), ("miss", misses), ("late", late), ("error", errors)];
    for (result, count) in asked {
        let _ = writeln!(text, "sluice_cache_l2_asked_total{{result=\"{result}\"}} {count}");
    }
    let _ = write!(
        text,
        "# HELP sluice_cache_l2_unused_total Values of the second level that could not be used.\n\
         # TYPE sluice_cache_l2_unused_total counter\n\
         sluice_cache_l2_unused_total{{reason=\"damaged\"}} {damaged}\n\
         sluice_cache_l2_unused_total{{reason=\"outdated\"}} {outdated}\n"
    );
    let _ = write!(
        text,
        "# HELP sluice_cache_l2_writes_total Responses for the second level.\n\
         # TYPE sluice_cache_l2_writes_total counter\n"
    );
    for (result, count) in
        [("written", written), ("dropped", dropped), ("refused", refused), ("too_large", too_large)]
    {
        let _ = writeln!(text, "sluice_cache_l2_writes_total{{result=\"{result}\"}} {count}");
    }
    let open = u64::from(*state == SecondLevelState::Tripped);
    let _ = write!(
        text,
        "# HELP sluice_cache_l2_breaker_open Whether calls go on without the second level.\n\
         # TYPE sluice_cache_l2_breaker_open gauge\nsluice_cache_l2_breaker_open {open}\n\
         # HELP sluice_cache_l2_latency_us Microseconds that an answer takes, the newest weighing most.\n\
         # TYPE sluice_cache_l2_latency_us gauge\nsluice_cache_l2_latency_us {latency_us}\n\
         # HELP sluice_cache_l2_answer_microseconds_total What all answers took together.\n\
         # TYPE sluice_cache_l2_answer_microseconds_total counter\nsluice_cache_l2_answer_microseconds_total {answer_us}\n\
         # HELP sluice_cache_l2_tripped_milliseconds_total How long calls went on without it; of several servers the mean.\n\
         # TYPE sluice_cache_l2_tripped_milliseconds_total counter\n\
         sluice_cache_l2_tripped_milliseconds_total {tripped_ms}\n\
         # HELP sluice_cache_l2_queued_bytes Bytes of responses that wait to be written there.\n\
         # TYPE sluice_cache_l2_queued_bytes gauge\nsluice_cache_l2_queued_bytes {queued_bytes}\n\
         # HELP sluice_cache_l2_hit_bytes_total Bytes of the bodies that the second level gave.\n\
         # TYPE sluice_cache_l2_hit_bytes_total counter\nsluice_cache_l2_hit_bytes_total {hit_bytes}\n"
    );
    if !nodes.is_empty() {
        let _ = write!(
            text,
            "# HELP sluice_cache_l2_node_breaker_open Whether calls go on without this server.\n\
             # TYPE sluice_cache_l2_node_breaker_open gauge\n"
        );
    }
    for SecondLevelNode { name, state } in nodes {
        let open = u64::from(*state == SecondLevelState::Tripped);
        let _ = writeln!(text, "sluice_cache_l2_node_breaker_open{{node=\"{name}\"}} {open}");
    }
    if let Some(server) = server {
        server_figures(server, text);
    }
    if let Some(disk) = disk {
        disk_figures(disk, text);
    }
}

/// What is known of the folder.
fn disk_figures(disk: &SecondLevelDisk, text: &mut String) {
    let SecondLevelDisk { held_bytes, max_bytes, evicted_bytes, read_bytes, written_bytes } = disk;
    for (name, help, kind, value) in [
        ("held_bytes", "Bytes that the folder takes of the disk.", "gauge", held_bytes),
        ("max_bytes", "Bytes that it may take.", "gauge", max_bytes),
        ("evicted_bytes_total", "Bytes given up for want of room.", "counter", evicted_bytes),
        ("read_bytes_total", "Bytes read there.", "counter", read_bytes),
        ("written_bytes_total", "Bytes written there.", "counter", written_bytes),
    ] {
        let name = format!("sluice_cache_l2_disk_{name}");
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
    }
}

/// What Redis or Memcached says of itself.
fn server_figures(server: &SecondLevelServer, text: &mut String) {
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
    for (name, help, kind, value) in [
        ("memory_bytes", "Memory that the server uses.", "gauge", memory_bytes),
        (
            "max_memory_bytes",
            "Memory that the server may use; 0 is as much as there is.",
            "gauge",
            max_memory_bytes,
        ),
        ("evictions_total", "Values that the server dropped for want of memory.", "counter", evicted),
        ("operations_per_second", "Commands that the server carries out.", "gauge", operations_per_s),
        ("cpu_milliseconds_total", "User and system time of the server.", "counter", cpu_ms),
        ("network_kilobytes_per_second", "What the server receives and sends.", "gauge", network_kbps),
        ("connections", "Clients of the server.", "gauge", connections),
        ("hits_total", "Questions that the server had a value for.", "counter", hits),
        ("misses_total", "Questions that it had none for.", "counter", misses),
    ] {
        let name = format!("sluice_cache_l2_server_{name}");
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
    }
}
