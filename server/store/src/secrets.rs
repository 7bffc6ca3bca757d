//! Sealed secrets by scope and name: ciphertext only, whoever seals and opens them is elsewhere.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ConnectionTrait, EntityTrait, Set};
use sluice_entity::secrets;

use crate::Tx;
use crate::error::Result;

/// The sealed text, if there is one.
///
/// # Errors
/// When the database fails.
pub async fn get(db: &impl ConnectionTrait, scope: &str, name: &str) -> Result<Option<String>> {
    let row = secrets::Entity::find_by_id((scope.to_owned(), name.to_owned())).one(db).await?;
    Ok(row.map(|row| row.sealed))
}

/// Stores the sealed text unless there is one already, and returns the one that is stored: of several control planes
/// that start at once, all get the same.
///
/// # Errors
/// When the database fails.
pub async fn get_or_put(tx: &Tx, scope: &str, name: &str, sealed: String) -> Result<String> {
    let row = secrets::ActiveModel {
        scope: Set(scope.to_owned()),
        name: Set(name.to_owned()),
        sealed: Set(sealed.clone()),
        created_at: Set(crate::now()),
    };
    let absent = OnConflict::columns([secrets::Column::Scope, secrets::Column::Name]).do_nothing().to_owned();
    secrets::Entity::insert(row).on_conflict(absent).exec_without_returning(tx).await?;
    Ok(get(tx, scope, name).await?.unwrap_or(sealed))
}
