//! Failed attempts to sign in, counted by key (an account, an address) for all control planes together.
//!
//! Only hashes of keys are kept: what people type where an e-mail belongs may be a password.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait, OnConflict};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Set};
use sluice_contract::part::Sha256Hash;
use sluice_entity::sign_in_failures::{ActiveModel, Column, Entity};

use crate::error::Result;

/// How often a key has failed since a time.
///
/// # Errors
/// When the database fails.
pub async fn count(db: &impl ConnectionTrait, key: &str, since: DateTime<Utc>) -> Result<u64> {
    let row = Entity::find_by_id(hash(key)).filter(Column::Since.gt(since)).one(db).await?;
    Ok(row.map_or(0, |row| row.failures.unsigned_abs()))
}

/// Counts a failure. The count begins anew when it began at `expired` or before. Returns the count with this one.
///
/// # Errors
/// When the database fails.
pub async fn add(db: &impl ConnectionTrait, key: &str, expired: DateTime<Utc>) -> Result<u64> {
    let now = crate::now();
    let is_old = || Expr::col((Entity, Column::Since)).lte(expired);
    let failures =
        CaseStatement::new().case(is_old(), 1).finally(Expr::col((Entity, Column::Failures)).add(1));
    let since = CaseStatement::new().case(is_old(), now).finally(Expr::col((Entity, Column::Since)));
    let row = ActiveModel { key: Set(hash(key)), failures: Set(1), since: Set(now) };
    let again = OnConflict::column(Column::Key)
        .value(Column::Failures, failures)
        .value(Column::Since, since)
        .to_owned();
    let row = Entity::insert(row).on_conflict(again).exec_with_returning(db).await?;
    Ok(row.failures.unsigned_abs())
}

/// Takes one failure back: it was none.
///
/// # Errors
/// When the database fails.
pub async fn take_back(db: &impl ConnectionTrait, key: &str) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::Failures, Expr::col(Column::Failures).sub(1))
        .filter(Column::Key.eq(hash(key)))
        .filter(Column::Failures.gt(0))
        .exec(db)
        .await?;
    Ok(())
}

/// Forgets a key's failures.
///
/// # Errors
/// When the database fails.
pub async fn forget(db: &impl ConnectionTrait, key: &str) -> Result<()> {
    Entity::delete_by_id(hash(key)).exec(db).await?;
    Ok(())
}

/// Removes counts that began before a time.
///
/// # Errors
/// When the database fails.
pub async fn delete_expired(db: &impl ConnectionTrait, before: DateTime<Utc>) -> Result<()> {
    Entity::delete_many().filter(Column::Since.lte(before)).exec(db).await?;
    Ok(())
}

fn hash(key: &str) -> String {
    Sha256Hash::of(key.as_bytes()).to_string()
}
