//! What a change replaces: the one before it with the same key.

use std::collections::HashMap;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use sluice_contract::ids::{ApiId, EnvironmentId, TenantId};
use sluice_contract::journal::Change;
use sluice_entity::journal_state;

use crate::Result;

/// How keys of released APIs begin.
pub(super) const APIS: &str = "api:";
/// How keys of credentials begin.
pub(super) const CREDENTIALS: &str = "credential:";
/// The key of the settings.
pub(super) const SETTINGS: &str = "settings";

/// The key of a change. A purge replaces nothing.
pub(super) fn state_key(change: &Change) -> Option<String> {
    match change {
        Change::ApiReleased(released) => Some(format!("{APIS}{}", released.api)),
        Change::ApiWithdrawn { api } => Some(format!("{APIS}{api}")),
        Change::CredentialSet(credential) => Some(format!("{CREDENTIALS}{}", credential.hash)),
        Change::CredentialRemoved { hash } => Some(format!("{CREDENTIALS}{hash}")),
        Change::SettingsSet(_) => Some(SETTINGS.to_owned()),
        Change::Purge(_) => None,
    }
}

/// Whose these APIs are, of those that an environment serves.
///
/// # Errors
/// When the database fails.
pub(crate) async fn tenants_of(
    db: &impl ConnectionTrait,
    environment: EnvironmentId,
    apis: impl Iterator<Item = ApiId>,
) -> Result<HashMap<ApiId, TenantId>> {
    use journal_state::Column::{EnvironmentId as Environment, Key};
    let rows = journal_state::Entity::find()
        .filter(Environment.eq(environment.0))
        .filter(Key.is_in(apis.map(|api| format!("{APIS}{api}"))))
        .all(db)
        .await?;
    let mut tenants = HashMap::new();
    for row in rows {
        if let Change::ApiReleased(released) = serde_json::from_str(&row.change)? {
            tenants.insert(released.api, released.tenant);
        }
    }
    Ok(tenants)
}
