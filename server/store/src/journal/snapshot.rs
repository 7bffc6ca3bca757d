//! What the entries of an environment add up to, for a gateway that is new or too far behind.
//!
//! A snapshot may name a hundred thousand keys, so it is put together from the changes as they are stored, without
//! reading and writing each again.

use std::fmt::Write;

use sea_orm::{
    AccessMode, ColumnTrait, ConnectionTrait, EntityTrait, IsolationLevel, QueryFilter, QueryOrder,
    QuerySelect, TransactionTrait,
};
use sluice_contract::environment::EnvironmentSettings;
use sluice_contract::ids::EnvironmentId;
use sluice_contract::journal::{Change, Snapshot};
use sluice_entity::{environments, journal_entries, journal_state};

use super::StoredEntry;
use super::read::PURGE;
use super::state_key::{APIS, CREDENTIALS, SETTINGS};
use crate::{Error, Result, Store};

/// Rows for each query.
const PAGE: u64 = 2000;

/// The whole state of an environment at its newest position.
///
/// # Errors
/// See [`snapshot_json`].
pub async fn snapshot(store: &Store, environment: EnvironmentId) -> Result<Snapshot> {
    Ok(serde_json::from_str(&snapshot_json(store, environment).await?)?)
}

/// The same as JSON of [`Snapshot`].
///
/// # Errors
/// [`Error::NotFound`] when there is no such environment; when the database fails.
pub async fn snapshot_json(store: &Store, environment: EnvironmentId) -> Result<String> {
    // One view of the database, or the state might be newer than the position.
    let view = store
        .read()
        .begin_with_config(Some(IsolationLevel::RepeatableRead), Some(AccessMode::ReadOnly))
        .await?;
    let counter = super::counter(&view, environment).await?;
    let head = serde_json::json!({
        "incarnation": super::incarnation(&view).await?,
        "position": counter.head,
        "purges_from": counter.compacted_to + 1,
        "settings": settings(&view, environment).await?,
    });
    let mut json = head.to_string();
    // The lists follow inside of the same object.
    json.pop();
    json.push_str(",\"apis\":[");
    push_state(&view, environment, APIS, &mut json).await?;
    json.push_str("],\"credentials\":[");
    push_state(&view, environment, CREDENTIALS, &mut json).await?;
    json.push_str("],\"purges\":[");
    push_purges(&view, environment, &mut json).await?;
    json.push_str("]}");
    view.commit().await?;
    Ok(json)
}

/// The newest settings of the journal; as they stood when the environment was made, if it has none.
async fn settings(view: &impl ConnectionTrait, environment: EnvironmentId) -> Result<EnvironmentSettings> {
    let key = (environment.0, SETTINGS.to_owned());
    if let Some(row) = journal_state::Entity::find_by_id(key).one(view).await?
        && let Change::SettingsSet(settings) = serde_json::from_str(&row.change)?
    {
        return Ok(*settings);
    }
    let row = environments::Entity::find_by_id(environment.0).one(view).await?.ok_or(Error::NotFound)?;
    Ok(serde_json::from_value(row.settings)?)
}

/// Changes whose key begins with `prefix`, separated by commas. Each is its entry's JSON and the kind of the change,
/// which readers of the entry do not look at.
async fn push_state(
    view: &impl ConnectionTrait,
    environment: EnvironmentId,
    prefix: &str,
    json: &mut String,
) -> Result<()> {
    use journal_state::Column::{EnvironmentId, Key};
    let mut after = String::new();
    loop {
        let rows = journal_state::Entity::find()
            .filter(EnvironmentId.eq(environment.0))
            .filter(Key.gt(after.as_str()))
            .filter(Key.starts_with(prefix))
            .order_by_asc(Key)
            .limit(PAGE)
            .all(view)
            .await?;
        let Some(last) = rows.last() else { return Ok(()) };
        if !after.is_empty() {
            json.push(',');
        }
        after.clone_from(&last.key);
        push_separated(json, rows.iter().map(|row| row.change.as_str()));
    }
}

/// Purges that are still in the journal.
async fn push_purges(
    view: &impl ConnectionTrait,
    environment: EnvironmentId,
    json: &mut String,
) -> Result<()> {
    let rows = journal_entries::Entity::find()
        .filter(journal_entries::Column::EnvironmentId.eq(environment.0))
        .filter(journal_entries::Column::Kind.eq(PURGE))
        .order_by_asc(journal_entries::Column::Position)
        .all(view)
        .await?;
    let entries = rows.into_iter().map(|row| StoredEntry::from(row).json());
    push_separated(json, entries);
    Ok(())
}

fn push_separated(json: &mut String, items: impl Iterator<Item = impl std::fmt::Display>) {
    for (index, item) in items.enumerate() {
        let comma = if index == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(json, "{comma}{item}");
    }
}
