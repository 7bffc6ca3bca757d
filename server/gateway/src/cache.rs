//! The response cache: a shared cache by RFC 9111, and what keeps purged responses gone.

pub mod key;
mod purges;

pub use key::purged_urls;
pub use purges::{ApiPurges, Purges, Stamp};
