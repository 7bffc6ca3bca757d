//! Parts: compiled definitions, named by the SHA-256 of their bytes.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Set};
use sluice_contract::ids::EnvironmentId;
use sluice_contract::part::Sha256Hash;
use sluice_entity::{journal_entries, journal_state, parts};

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

/// The bytes of a part that the journal of this environment names.
///
/// # Errors
/// When the database fails.
pub async fn get_for(
    db: &impl ConnectionTrait,
    environment: EnvironmentId,
    hash: Sha256Hash,
) -> Result<Option<Vec<u8>>> {
    let hash_text = hash.to_string();
    let serves = journal_state::Entity::find()
        .select_only()
        .column(journal_state::Column::Position)
        .filter(journal_state::Column::EnvironmentId.eq(environment.0))
        .filter(journal_state::Column::PartHash.eq(hash_text.as_str()))
        .into_tuple::<i64>()
        .one(db)
        .await?;
    let served = journal_entries::Entity::find()
        .select_only()
        .column(journal_entries::Column::Position)
        .filter(journal_entries::Column::EnvironmentId.eq(environment.0))
        .filter(journal_entries::Column::PartHash.eq(hash_text.as_str()))
        .into_tuple::<i64>();
    if serves.is_none() && served.one(db).await?.is_none() {
        return Ok(None);
    }
    get(db, hash).await
}
