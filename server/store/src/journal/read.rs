//! Reading the journal.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use sluice_contract::ids::EnvironmentId;
use sluice_contract::journal::{Entry, Position};
use sluice_entity::{journal_counters, journal_entries};

use super::{position, stored};
use crate::Result;

/// How the database names purges, which snapshots look for.
pub(super) const PURGE: &str = "purge";

/// Where the journal of an environment begins and ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// Position of the newest entry; 0 when there is none.
    pub head: Position,
    /// Entries up to here are gone.
    pub compacted_to: Position,
}

/// An entry as it is stored: its change as JSON text, so that it can be sent on by a control plane that is older than
/// the one that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    pub position: Position,
    pub at: DateTime<Utc>,
    /// JSON of [`sluice_contract::journal::Change`].
    pub change: String,
}

impl StoredEntry {
    /// JSON of [`Entry`].
    pub fn json(&self) -> String {
        let Self { position, at, change } = self;
        let at = at.to_rfc3339_opts(SecondsFormat::Micros, true);
        format!("{{\"position\":{position},\"at\":\"{at}\",\"change\":{change}}}")
    }

    /// The entry.
    ///
    /// # Errors
    /// When a newer version wrote a kind of change that this one does not know.
    pub fn entry(&self) -> Result<Entry> {
        let Self { position, at, change } = self;
        Ok(Entry { position: *position, at: *at, change: serde_json::from_str(change)? })
    }
}

/// Position of an environment's newest entry.
///
/// # Errors
/// When the database fails.
pub async fn head(db: &impl ConnectionTrait, environment: EnvironmentId) -> Result<Position> {
    Ok(counter(db, environment).await?.head)
}

/// Where an environment's journal begins and ends.
///
/// # Errors
/// When the database fails.
pub async fn counter(db: &impl ConnectionTrait, environment: EnvironmentId) -> Result<Counter> {
    let row = journal_counters::Entity::find_by_id(environment.0).one(db).await?;
    Ok(row.map(from_row).unwrap_or_default())
}

/// The same for every environment that has a journal.
///
/// # Errors
/// When the database fails.
pub async fn counters(db: &impl ConnectionTrait) -> Result<HashMap<EnvironmentId, Counter>> {
    let rows = journal_counters::Entity::find().all(db).await?;
    Ok(rows.into_iter().map(|row| (EnvironmentId(row.environment_id), from_row(row))).collect())
}

fn from_row(row: journal_counters::Model) -> Counter {
    Counter { head: position(row.head), compacted_to: position(row.compacted_to) }
}

/// At most `limit` entries after `after`, in order. The first one is `after + 1`, unless that is compacted away.
///
/// # Errors
/// When the database fails.
pub async fn entries_after(
    db: &impl ConnectionTrait,
    environment: EnvironmentId,
    after: Position,
    limit: u64,
) -> Result<Vec<StoredEntry>> {
    let rows = journal_entries::Entity::find()
        .filter(journal_entries::Column::EnvironmentId.eq(environment.0))
        .filter(journal_entries::Column::Position.gt(stored(after)))
        .order_by_asc(journal_entries::Column::Position)
        .limit(limit)
        .all(db)
        .await?;
    Ok(rows.into_iter().map(StoredEntry::from).collect())
}

impl From<journal_entries::Model> for StoredEntry {
    fn from(row: journal_entries::Model) -> Self {
        let journal_entries::Model {
            environment_id: _,
            position: at_position,
            at,
            kind: _,
            change,
            part_hash: _,
        } = row;
        Self { position: position(at_position), at, change }
    }
}
