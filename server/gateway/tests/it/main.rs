//! The data path through its front door: a real gateway on a real socket, sample upstreams behind it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says why and fails")]

mod access;
mod access_explained;
mod bodies;
mod cache;
mod cache_coalescing;
mod cache_downstream;
mod cache_explained;
mod cache_forbidden;
mod cache_inside;
mod cache_judged;
mod cache_keys;
mod cache_memory;
mod cache_policy;
mod cache_purges;
mod cache_writes;
mod forwarding;
mod framing;
mod hops;
mod http1;
mod interim;
mod repeats;
mod resting;
mod second_level;
mod second_level_disk;
mod second_level_inside;
mod second_level_kinds;
mod second_level_memcached;
mod shared_cache;
mod support;
mod upstream_http1;
mod warming;
