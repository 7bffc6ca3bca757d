//! What the entries of an environment add up to, for a gateway that is new or too far behind.

use sea_orm::{
    AccessMode, ColumnTrait, ConnectionTrait, EntityTrait, IsolationLevel, QueryFilter, QueryOrder,
    TransactionTrait,
};
use sluice_contract::environment::EnvironmentSettings;
use sluice_contract::ids::EnvironmentId;
use sluice_contract::journal::{Change, Entry, Snapshot};
use sluice_entity::{environments, journal_entries, journal_state};

use super::StoredEntry;
use super::read::PURGE;
use crate::{Error, Result, Store};

/// The whole state of an environment at its newest position.
///
/// # Errors
/// [`Error::NotFound`] when there is no such environment; when the database fails.
pub async fn snapshot(store: &Store, environment: EnvironmentId) -> Result<Snapshot> {
    // One view of the database, or the state might be newer than the position.
    let view = store
        .read()
        .begin_with_config(Some(IsolationLevel::RepeatableRead), Some(AccessMode::ReadOnly))
        .await?;
    let counter = super::counter(&view, environment).await?;
    let mut snapshot = Snapshot {
        incarnation: super::incarnation(&view).await?,
        position: counter.head,
        settings: settings(&view, environment).await?,
        apis: Vec::new(),
        credentials: Vec::new(),
        purges: purges(&view, environment).await?,
        purges_from: counter.compacted_to + 1,
    };
    let state = journal_state::Entity::find()
        .filter(journal_state::Column::EnvironmentId.eq(environment.0))
        .order_by_asc(journal_state::Column::Key)
        .all(&view)
        .await?;
    for row in state {
        match serde_json::from_str(&row.change)? {
            Change::ApiReleased(released) => snapshot.apis.push(released),
            Change::CredentialSet(credential) => snapshot.credentials.push(*credential),
            Change::SettingsSet(settings) => snapshot.settings = *settings,
            Change::ApiWithdrawn { .. } | Change::CredentialRemoved { .. } | Change::Purge(_) => {}
        }
    }
    view.commit().await?;
    Ok(snapshot)
}

/// Settings as they stood when the environment was made, for one whose journal has none yet.
async fn settings(view: &impl ConnectionTrait, environment: EnvironmentId) -> Result<EnvironmentSettings> {
    let row = environments::Entity::find_by_id(environment.0).one(view).await?.ok_or(Error::NotFound)?;
    Ok(serde_json::from_value(row.settings)?)
}

async fn purges(view: &impl ConnectionTrait, environment: EnvironmentId) -> Result<Vec<Entry>> {
    let rows = journal_entries::Entity::find()
        .filter(journal_entries::Column::EnvironmentId.eq(environment.0))
        .filter(journal_entries::Column::Kind.eq(PURGE))
        .order_by_asc(journal_entries::Column::Position)
        .all(view)
        .await?;
    rows.into_iter().map(|row| StoredEntry::from(row).entry()).collect()
}
