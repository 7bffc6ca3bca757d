//! Adding to the journal, in the transaction of the change that the entry tells of.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Set};
use sluice_contract::ids::EnvironmentId;
use sluice_contract::journal::{Change, Position};
use sluice_entity::{journal_counters, journal_entries, journal_state};

use super::state_key::state_key;
use super::stored;
use crate::{Error, Result, Tx};

/// Rows for each statement: well below the databases' limits on parameters.
const ROWS: usize = 500;

/// Adds an entry; gateways of the environment get it as soon as `tx` is committed. Returns its position.
///
/// A transaction that appends to several environments does so in the order of their ids, or two of them may wait for
/// each other.
///
/// # Errors
/// When the database fails; [`Error::Database`] with a foreign key violation when the environment, or the part that
/// the change names (see [`crate::parts::put`]), does not exist.
pub async fn append(tx: &Tx, environment: EnvironmentId, change: Change) -> Result<Position> {
    append_all(tx, environment, vec![change]).await
}

/// Adds entries at consecutive positions and returns the last one (the head, when there are none).
///
/// # Errors
/// See [`append`].
pub async fn append_all(tx: &Tx, environment: EnvironmentId, changes: Vec<Change>) -> Result<Position> {
    let count = changes.len() as u64;
    let last = advance(tx, environment, count).await?;
    let at = crate::now();
    let mut rows = Vec::with_capacity(changes.len());
    let mut state = BTreeMap::new();
    for (position, change) in (last + 1 - count..).zip(changes) {
        let row = Row::of(position, at, &change)?;
        if let Some(key) = state_key(&change) {
            let lasting = !matches!(change, Change::ApiWithdrawn { .. } | Change::CredentialRemoved { .. });
            state.insert(key, lasting.then(|| row.clone()));
        }
        rows.push(row);
    }
    insert_entries(tx, environment, rows).await?;
    fold(tx, environment, state).await?;
    tx.appended();
    Ok(last)
}

/// Moves the counter on and keeps its row locked until `tx` ends.
async fn advance(tx: &Tx, environment: EnvironmentId, count: u64) -> Result<Position> {
    use journal_counters::Column::{CompactedTo, EnvironmentId, Head};
    let count = stored(count);
    let head = Expr::col((journal_counters::Entity, Head)).add(count);
    let statement = Query::insert()
        .into_table(journal_counters::Entity)
        .columns([EnvironmentId, Head, CompactedTo])
        .values_panic([environment.0.into(), count.into(), 0.into()])
        .on_conflict(OnConflict::column(EnvironmentId).value(Head, head).to_owned())
        .returning_col(Head)
        .to_owned();
    let row = tx.query_one(&statement).await?.ok_or(Error::NotFound)?;
    Ok(super::position(row.try_get("", "head")?))
}

#[derive(Clone)]
struct Row {
    position: Position,
    at: DateTime<Utc>,
    kind: &'static str,
    change: String,
    part: Option<String>,
}

impl Row {
    fn of(position: Position, at: DateTime<Utc>, change: &Change) -> Result<Self> {
        let (kind, part) = match change {
            Change::ApiReleased(released) => ("api_released", Some(released.part.to_string())),
            Change::ApiWithdrawn { .. } => ("api_withdrawn", None),
            Change::CredentialSet(_) => ("credential_set", None),
            Change::CredentialRemoved { .. } => ("credential_removed", None),
            Change::SettingsSet(_) => ("settings_set", None),
            Change::Purge(_) => (super::read::PURGE, None),
        };
        Ok(Self { position, at, kind, change: serde_json::to_string(change)?, part })
    }
}

async fn insert_entries(tx: &Tx, environment: EnvironmentId, rows: Vec<Row>) -> Result<()> {
    for rows in rows.chunks(ROWS) {
        let models = rows.iter().map(|row| journal_entries::ActiveModel {
            environment_id: Set(environment.0),
            position: Set(stored(row.position)),
            at: Set(row.at),
            kind: Set(row.kind.to_owned()),
            change: Set(row.change.clone()),
            part_hash: Set(row.part.clone()),
        });
        journal_entries::Entity::insert_many(models).exec_without_returning(tx).await?;
    }
    Ok(())
}

/// Brings what the entries add up to up to date: a row set for each key, or removed.
async fn fold(tx: &Tx, environment: EnvironmentId, state: BTreeMap<String, Option<Row>>) -> Result<()> {
    use journal_state::Column::{Change, EnvironmentId, Key, PartHash, Position};
    let (set, removed): (Vec<_>, Vec<_>) = state.into_iter().partition(|(_, row)| row.is_some());
    for removed in removed.chunks(ROWS) {
        let keys = removed.iter().map(|(key, _)| key.as_str());
        journal_state::Entity::delete_many()
            .filter(EnvironmentId.eq(environment.0))
            .filter(Key.is_in(keys))
            .exec(tx)
            .await?;
    }
    for set in set.chunks(ROWS) {
        let models = set.iter().filter_map(|(key, row)| {
            let row = row.as_ref()?;
            Some(journal_state::ActiveModel {
                environment_id: Set(environment.0),
                key: Set(key.clone()),
                position: Set(stored(row.position)),
                change: Set(row.change.clone()),
                part_hash: Set(row.part.clone()),
            })
        });
        let replace =
            OnConflict::columns([EnvironmentId, Key]).update_columns([Position, Change, PartHash]).to_owned();
        journal_state::Entity::insert_many(models).on_conflict(replace).exec_without_returning(tx).await?;
    }
    Ok(())
}
