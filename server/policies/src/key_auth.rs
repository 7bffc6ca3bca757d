//! Key authentication: where the API key stands in a request, and how it is taken out again.

pub mod runtime;
pub mod spec;
#[cfg(test)]
mod tests;

pub use runtime::{KeyRule, Place};
pub use spec::KeyAuth;
