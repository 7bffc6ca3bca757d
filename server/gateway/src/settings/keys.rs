//! The table of a gateway's settings.

use sluice_settings::{Key, key};

/// Every setting of a gateway.
pub const KEYS: &[Key] = &[
    key("listen", "ADDRESS", "127.0.0.1:8000", "Where clients call"),
    key("status_listen", "ADDRESS", "127.0.0.1:8001", "Where /healthz, /readyz and /metrics answer"),
    key("threads", "COUNT", "one for each core", "Threads that serve"),
    key(
        "data",
        "DIRECTORY",
        "data/gateway",
        "Identity, last configuration and unsent calls; of this gateway alone",
    ),
    key(
        "enrolment_token",
        "TOKEN",
        "",
        "Makes this a gateway of an environment; needed once (prefer the file)",
    ),
    key("enrolment_token_file", "FILE", "", "File that holds the enrolment token"),
    key("control_url", "URL", "", "Control plane's gateway link, when it is not the one in the token"),
    key("name", "NAME", "the host name", "Name for people"),
    key("region", "LABEL", "", "Where this gateway stands"),
    key("public_url", "URL", "", "Where clients reach this gateway, for the console's try-it"),
    key(
        "spool_max_bytes",
        "BYTES",
        "256MiB",
        "Most bytes of unsent call records on disk; past it the oldest go",
    ),
    key("cache_max_bytes", "BYTES", "256MiB", "Most bytes of cached responses in memory"),
    key(
        "cache_eviction",
        "NAME",
        "sizelfu",
        "Which of them go when there is no room: what brings the fewest hits for its memory (sizelfu), what is used least often (tinylfu), what was not used for longest (lru), what came first (fifo), or any (random)",
    ),
    key(
        "cache_api_share",
        "PERCENT",
        "50",
        "How much of the cache one API may hold while others need room; alone it may have all of it",
    ),
    key("cache_tenant_share", "PERCENT", "75", "The same for all APIs of one tenant"),
    key(
        "cache_l2_url",
        "URL,...",
        "",
        "Redis or Memcached that gateways share as second level of the cache: redis://user:password@host:6379 or rediss://, several of which are nodes of one cluster; or memcached://host:11211 or memcacheds://, several of which share what is stored; or a folder on this gateway's own disk, disk:/var/lib/sluice/cache",
    ),
    key("cache_l2_disk_max_bytes", "BYTES", "1GiB", "Most bytes of that folder, 64MiB to 256GiB"),
    key(
        "cache_l2_ca_file",
        "FILE",
        "",
        "Certificates (PEM) that the server's own must come from (rediss, memcacheds)",
    ),
    key(
        "cache_l2_key_file",
        "FILE",
        "",
        "Encrypts what is stored there: 32 bytes in base64, the same for all gateways",
    ),
    key("cache_l2_budget", "DURATION", "5ms", "How long a call waits for the second level"),
    key("cache_l2_compress_over", "BYTES", "1KiB", "Values above this are compressed"),
    key(
        "cache_l2_queue_max_bytes",
        "BYTES",
        "32MiB",
        "Most bytes of responses that wait to be written there",
    ),
    key(
        "max_offline",
        "DURATION",
        "",
        "How long to serve without the control plane; the environment may set less",
    ),
    key("drain", "DURATION", "10s", "How long calls in flight may take to finish at stop"),
    key(
        "allowed_networks",
        "CIDR,...",
        "",
        "Networks that upstreams may be in although refused by default (loopback, private, link-local)",
    ),
    key(
        "plain_keys",
        "BOOLEAN",
        "false",
        "Whether keys are taken from other machines over plain HTTP (true or false); a trusted proxy's word for HTTPS is enough without",
    ),
    key("failpoint", "STEP", "", "Dies at this step").hidden(),
];
