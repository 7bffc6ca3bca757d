//! Tests of the store, each on both databases.

mod databases;
mod journal;
mod telemetry;
mod telemetry_traffic;
