//! Sluice's data plane: accepts calls, decides them by the journal's state, forwards them, records them.

pub mod cache;
pub mod clock;
pub mod compile;
pub mod link;
pub mod pipeline;
pub mod router;
pub mod settings;
mod shared;
pub mod state;
pub mod telemetry;

pub use shared::{Shared, Stats, Switches};
