//! The gateway's link to the control plane.

mod disk;
mod failpoints;
mod files;
mod held;
mod parts;
mod status;

pub use failpoints::{Failpoint, NotAFailpoint, Step};
pub use status::{LinkState, LinkStatus};
