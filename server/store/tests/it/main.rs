//! Tests of the store, each on both databases.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says why and fails")]

mod databases;
mod identity;
mod journal;
mod migrations;
mod telemetry;
mod telemetry_cache;
mod telemetry_trace;
mod telemetry_traffic;
