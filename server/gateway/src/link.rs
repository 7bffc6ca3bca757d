//! The gateway's link to the control plane.

mod failpoints;

pub use failpoints::{Failpoint, NotAFailpoint, Step};
