//! Header transform: remove, set and add on requests and responses.

pub mod runtime;
pub mod spec;
#[cfg(test)]
mod tests;

pub use runtime::{HeaderChanges, HeaderRules};
pub use spec::Headers;
