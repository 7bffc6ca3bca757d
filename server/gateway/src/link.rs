//! The gateway's link to the control plane.

mod failpoints;
mod status;

pub use failpoints::{Failpoint, NotAFailpoint, Step};
pub use status::{LinkState, LinkStatus};
