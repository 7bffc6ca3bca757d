//! Request rate limits: so many requests in such a time.

pub mod runtime;
pub mod spec;
#[cfg(test)]
mod tests;

pub use runtime::{Counter, CounterKey, Counters, Decision, Limit};
pub use spec::{CountedFor, RateLimit};
