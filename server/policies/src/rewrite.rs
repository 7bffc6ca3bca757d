//! Path rewrite: what path the upstream sees.

pub mod runtime;
pub mod spec;
#[cfg(test)]
mod tests;

pub use runtime::PathRule;
pub use spec::Rewrite;
