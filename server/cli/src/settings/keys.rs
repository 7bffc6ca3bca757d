//! The tables of settings of the control plane and of `sluice up`.

use sluice_settings::{Key, LOG_KEYS, Schema, key};

const DATA: [Key; 3] = [
    key("data", "DIRECTORY", "data", "SQLite files and the master key"),
    key("database_url", "URL", "SQLite in the data directory", "postgres://user:password@host/database")
        .variable("DATABASE_URL"),
    key(
        "master_key_file",
        "FILE",
        "master.key in the data directory",
        "Seals secrets in the database: 32 bytes in base64; older keys may follow, one on each line",
    ),
];

const CONTROL: [Key; 3] = [
    key("listen", "ADDRESS", "127.0.0.1:8080", "Console and admin API"),
    key("public_url", "URL", "", "Where people reach the console, when a proxy stands before it"),
    key("trusted_proxies", "CIDR,...", "", "Proxies before the console whose X-Forwarded-For is believed"),
];

const LINK: [Key; 2] = [
    key("link_listen", "ADDRESS", "127.0.0.1:8443", "Where gateways connect (TLS)"),
    key("link_url", "URL", "https:// and the address", "What gateways dial; written into enrolment tokens"),
];

const GATEWAY: [Key; 9] = [
    key("gateway_listen", "ADDRESS", "127.0.0.1:8000", "Where clients call"),
    key("gateway_status_listen", "ADDRESS", "127.0.0.1:8001", "Where /healthz, /readyz and /metrics answer"),
    key("gateway_threads", "COUNT", "one for each core", "Threads of the gateway that serve"),
    key("gateway_cache_max_bytes", "BYTES", "256MiB", "Most bytes of cached responses in memory"),
    key(
        "gateway_cache_eviction",
        "NAME",
        "sizelfu",
        "Which of them go when there is no room: what brings the fewest hits for its memory (sizelfu), what is used least often (tinylfu), what was not used for longest (lru), what came first (fifo), or any (random)",
    ),
    key(
        "gateway_cache_api_share",
        "PERCENT",
        "50",
        "How much of the cache one API may hold while others need room; alone it may have all of it",
    ),
    key("gateway_cache_tenant_share", "PERCENT", "75", "The same for all APIs of one tenant"),
    key("gateway_spool_max_bytes", "BYTES", "256MiB", "Most bytes of unsent call records on disk"),
    key(
        "gateway_plain_keys",
        "BOOLEAN",
        "false",
        "Whether keys are taken from other machines over plain HTTP (true or false); a trusted proxy's word for HTTPS is enough without",
    ),
];

/// Commands that only need the database; they may be given the file of the control plane that runs on it.
pub(crate) fn database_schema() -> Schema {
    let elsewhere = [&CONTROL[..], &LOG_KEYS, &LINK, &GATEWAY].concat();
    Schema { elsewhere: elsewhere.iter().map(|key| key.name).collect(), ..schema(&[&DATA]) }
}

/// `sluice control`.
pub(crate) fn control_schema() -> Schema {
    schema(&[&DATA, &CONTROL, &LOG_KEYS, &LINK])
}

/// `sluice up`.
pub(crate) fn up_schema() -> Schema {
    schema(&[&DATA, &CONTROL, &LOG_KEYS, &GATEWAY])
}

fn schema(tables: &[&[Key]]) -> Schema {
    Schema { prefix: "SLUICE_", keys: tables.concat(), elsewhere: Vec::new() }
}
