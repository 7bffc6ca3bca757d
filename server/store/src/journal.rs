//! The ordered journal of each environment: everything that its gateways must know.
//!
//! An entry gets its position from a counter row in the transaction of the change itself. The row stays locked until
//! that transaction ends, so positions have no gaps and are never seen out of order, whichever process writes them.
//! What the entries add up to is kept beside them, so that a snapshot is cheap and old entries can go.

mod append;
mod compact;
mod incarnation;
mod read;
mod snapshot;
mod state_key;

pub use append::{append, append_all};
pub use compact::{Keep, compact, compact_all};
pub use incarnation::{incarnation, new_incarnation};
pub use read::{Counter, StoredEntry, counter, counters, entries_after, head};
pub use snapshot::{snapshot, snapshot_json};
pub(crate) use state_key::tenants_of;

use sluice_contract::journal::Position;

/// A position as the database keeps it.
pub(crate) fn stored(position: Position) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

/// A position as everybody else knows it.
pub(crate) fn position(stored: i64) -> Position {
    stored.unsigned_abs()
}
