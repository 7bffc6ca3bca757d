//! Sluice's data plane: accepts calls, decides them by the journal's state, forwards them, records them.

pub mod telemetry;
