//! Response cache: what is stored, for how long, for whom. The cache itself lives in the gateway.

pub mod runtime;
pub mod spec;
#[cfg(test)]
mod tests;

pub use runtime::CacheRule;
pub use spec::{Cache, QueryKey};
