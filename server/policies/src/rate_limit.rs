//! Request rate limits: so many requests in such a time.

// Counting is for gateways: the console only describes.
#[cfg(not(target_arch = "wasm32"))]
pub mod runtime;
pub mod spec;
#[cfg(test)]
mod tests;

#[cfg(not(target_arch = "wasm32"))]
pub use runtime::{Counter, CounterKey, Counters, Decision, Limit};
pub use spec::{CountedFor, RateLimit};
