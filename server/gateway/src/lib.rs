//! Sluice's data plane: accepts calls, decides them by the journal's state, forwards them, records them.

pub mod link;
pub mod settings;
pub mod telemetry;
