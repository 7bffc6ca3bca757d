//! Response cache: what is stored, for how long, for whom. The cache itself lives in the gateway.

mod downstream;
mod forbidden;
mod origin;
mod query;
pub mod runtime;
mod sharing;
pub mod spec;
#[cfg(test)]
mod tests;
mod words;

pub use downstream::{Downstream, Said, Telling};
pub use forbidden::{Forbidden, ForbiddenRule, Found, Look};
pub use origin::{CallerDirectives, OriginSays, TtlRule};
pub use runtime::CacheRule;
pub use sharing::{Sharing, sharing_of};
pub use spec::{Cache, QueryKey, Separate, WriteThrough};
pub use words::{UNREACHABLE_S, staleness_of};
