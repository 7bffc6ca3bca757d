//! Parts: compiled definitions, named by the SHA-256 of their bytes.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ConnectionTrait, EntityTrait, Set};
use sluice_contract::part::Sha256Hash;
use sluice_entity::parts;

use crate::{Result, Tx};

/// Keeps a part and returns its name. To be called before the entry that names it is appended, in one transaction.
///
/// # Errors
/// When the database fails.
pub async fn put(tx: &Tx, bytes: Vec<u8>) -> Result<Sha256Hash> {
    let hash = Sha256Hash::of(&bytes);
    let part =
        parts::ActiveModel { hash: Set(hash.to_string()), bytes: Set(bytes), created_at: Set(crate::now()) };
    // A part that is there already becomes young again, so that no clean-up takes it before its entry is committed.
    let again = OnConflict::column(parts::Column::Hash).update_column(parts::Column::CreatedAt).to_owned();
    parts::Entity::insert(part).on_conflict(again).exec_without_returning(tx).await?;
    Ok(hash)
}

/// The bytes of a part.
///
/// # Errors
/// When the database fails.
pub async fn get(db: &impl ConnectionTrait, hash: Sha256Hash) -> Result<Option<Vec<u8>>> {
    let row = parts::Entity::find_by_id(hash.to_string()).one(db).await?;
    Ok(row.map(|row| row.bytes))
}
