//! What happens to a call, stage by stage.

pub mod path;
