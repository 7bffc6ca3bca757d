//! What the two databases do differently for telemetry.

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction};

use crate::error::Result;

/// The differences between SQLite and Postgres.
#[async_trait]
pub(super) trait Dialect: Send + Sync + 'static {
    /// Inserts calls from one JSON array of [`super::row::CallRow`]; calls that are there already stay as they are.
    const INSERT_CALLS: &'static str;
    /// Selects `(tenant, cube, step, bucket, a, b, counts)` of the cells in one JSON array of [`super::rollup::Key`].
    const LOAD_CELLS: &'static str;
    /// Inserts or replaces cells from one JSON array of [`super::compact::CellRow`].
    const SAVE_CELLS: &'static str;
    /// Inserts or replaces what APIs hold of caches, from one JSON array of [`super::memory::SampleRow`].
    const SAVE_MEMORY: &'static str;
    /// Inserts or replaces how gateways do with their second levels, from one JSON array of [`super::second_level::SampleRow`].
    const SAVE_SECOND_LEVEL: &'static str;

    /// The query of a call.
    const QUERY: &'static str;

    /// Makes room for calls of these days.
    async fn prepare_days(&self, db: &DatabaseConnection, days: &[NaiveDate]) -> Result<()>;

    /// Whether this transaction may fold rollups; only one may at a time, everywhere.
    async fn may_compact(&self, tx: &DatabaseTransaction) -> Result<bool>;

    /// Removes calls from before this time, and gives the space back. Returns how many, about.
    async fn remove_calls(&self, db: &DatabaseConnection, before: DateTime<Utc>) -> Result<u64>;

    /// Whether other processes may write to the same store.
    fn is_shared(&self) -> bool;

    /// Takes a lock until the end of the transaction under which the schema may change.
    async fn lock_schema(&self, tx: &DatabaseTransaction) -> Result<()>;

    /// Changes to the schema, oldest first. Only ever appended to.
    fn schema(&self) -> &'static [&'static str];
}

/// Runs statements that have no values, one after the other.
pub(super) async fn run(db: &impl ConnectionTrait, sql: &str) -> Result<()> {
    db.execute_unprepared(sql).await?;
    Ok(())
}
