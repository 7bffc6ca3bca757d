//! Management queries by resource, the same on SQLite and Postgres. No HTTP here.
//!
//! Readers take any connection (`store.read()`), writers take a [`Tx`] (`store.begin()`), so that a change, its
//! journal entry and its audit line are committed together. The tenant always comes first.

mod connection;
mod error;
mod keyset;
mod listen;
mod of_api;
mod transaction;

pub mod access;
pub mod api_tokens;
pub mod apis;
pub mod applications;
pub mod audit;
pub mod cache_predictions;
pub mod catalogue;
pub mod cdn_hooks;
pub mod credentials;
pub mod definition;
pub mod diff;
pub mod enrolment_tokens;
pub mod environments;
pub mod event_sources;
pub mod gateways;
pub mod journal;
pub mod names;
pub mod one_time_tokens;
pub mod overview;
pub mod parts;
pub mod plans;
pub mod progress;
pub mod purges;
pub mod releases;
pub mod revisions;
pub mod secrets;
pub mod sessions;
pub mod settings;
pub mod sign_in_failures;
pub mod subscriptions;
pub mod teams;
pub mod telemetry;
pub mod tenants;
pub mod text;
pub mod users;
pub mod warmings;

pub use connection::{DatabaseUrl, Store};
pub use error::{Error, Result, in_use, not_unique};
pub use keyset::{Listing, Sort};
pub use listen::JournalListener;
pub use transaction::Tx;

use chrono::{DateTime, SubsecRound, Utc};

/// The time now, as exact as both databases keep it (microseconds).
pub fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// A version as the database keeps it, for callers.
pub fn version(stored: i64) -> u64 {
    stored.unsigned_abs()
}

/// The version after `stored`, when that is what the caller has seen.
///
/// # Errors
/// [`Error::Stale`] when somebody else changed the row.
pub fn check_version(stored: i64, seen: u64) -> Result<i64> {
    let current = version(stored);
    if current == seen { Ok(stored + 1) } else { Err(Error::Stale { current }) }
}
