//! Calls on their way to the control plane: recorded by each thread, batched with exact rollups, spooled to disk, shipped.
//!
//! The data path takes one [`Recorder`] for each thread from [`Recorders::recorder`], opens a call when its request
//! head has arrived ([`Recorder::open`]) and hands it over when it ends ([`OpenCall::record`]).

mod record;
mod recorder;
mod rollup;
mod tally;

pub use record::{CallRecord, Stage};
pub use recorder::{OpenCall, Recorder, Recorders};
