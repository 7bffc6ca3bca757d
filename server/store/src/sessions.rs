//! Sessions of the console. The key is the SHA-256 of the cookie's value, so that the table opens no door.
//!
//! A session ends after a time without a request and, whatever happens, after a time since it began; both are
//! decided here, at every read.

use chrono::{DateTime, Duration, Utc};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, Set};
use serde_json::Value;
use sluice_contract::ids::UserId;
use sluice_contract::rest::settings::PlatformSettings;
use sluice_entity::sessions;

use crate::error::Result;

/// Writing down every request would be a write for each read; a minute is exact enough.
const SEEN_EVERY: Duration = Duration::minutes(1);

/// When sessions end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    pub idle: Duration,
    pub absolute: Duration,
}

impl From<&PlatformSettings> for Lifetimes {
    fn from(settings: &PlatformSettings) -> Self {
        Self {
            idle: Duration::minutes(settings.session_idle_minutes.into()),
            absolute: Duration::hours(settings.session_absolute_hours.into()),
        }
    }
}

/// The session's data, unless it has ended.
///
/// # Errors
/// When the database fails.
pub async fn load(db: &impl ConnectionTrait, hash: &str, lifetimes: Lifetimes) -> Result<Option<Value>> {
    let Some(row) = sessions::Entity::find_by_id(hash).one(db).await? else { return Ok(None) };
    let now = crate::now();
    if row.created_at + lifetimes.absolute <= now || row.last_seen_at + lifetimes.idle <= now {
        return Ok(None);
    }
    if row.last_seen_at + SEEN_EVERY <= now {
        saw(db, hash, now).await?;
    }
    Ok(Some(row.data))
}

async fn saw(db: &impl ConnectionTrait, hash: &str, now: DateTime<Utc>) -> Result<()> {
    sessions::Entity::update_many()
        .col_expr(sessions::Column::LastSeenAt, now.into())
        .filter(sessions::Column::Hash.eq(hash))
        .exec(db)
        .await?;
    Ok(())
}

/// Begins a session. `false` when there is one of this key already.
///
/// # Errors
/// When the database fails.
pub async fn create(
    db: &impl ConnectionTrait,
    hash: &str,
    user: Option<UserId>,
    data: Value,
) -> Result<bool> {
    let now = crate::now();
    let row = sessions::ActiveModel {
        hash: Set(hash.to_owned()),
        user_id: Set(user.map(|user| user.0)),
        data: Set(data),
        created_at: Set(now),
        last_seen_at: Set(now),
    };
    let known = OnConflict::column(sessions::Column::Hash).do_nothing().to_owned();
    Ok(sessions::Entity::insert(row).on_conflict(known).exec_without_returning(db).await? > 0)
}

/// Changes a session's data; `user` is whose it is, so that all of a user's sessions can be ended. A session that
/// was ended in the meantime stays ended.
///
/// # Errors
/// When the database fails.
pub async fn update(db: &impl ConnectionTrait, hash: &str, user: Option<UserId>, data: Value) -> Result<()> {
    sessions::Entity::update_many()
        .col_expr(sessions::Column::Data, Expr::value(data))
        .col_expr(sessions::Column::UserId, Expr::value(user.map(|user| user.0)))
        .filter(sessions::Column::Hash.eq(hash))
        .exec(db)
        .await?;
    Ok(())
}

/// Ends one session.
///
/// # Errors
/// When the database fails.
pub async fn delete(db: &impl ConnectionTrait, hash: &str) -> Result<()> {
    sessions::Entity::delete_by_id(hash).exec(db).await?;
    Ok(())
}

/// Ends all sessions of a user.
///
/// # Errors
/// When the database fails.
pub async fn delete_of(db: &impl ConnectionTrait, user: UserId) -> Result<()> {
    sessions::Entity::delete_many().filter(sessions::Column::UserId.eq(user.0)).exec(db).await?;
    Ok(())
}

/// Removes the sessions that have ended. Returns how many.
///
/// # Errors
/// When the database fails.
pub async fn delete_ended(db: &impl ConnectionTrait, lifetimes: Lifetimes) -> Result<u64> {
    let now = crate::now();
    let ended = Condition::any()
        .add(sessions::Column::CreatedAt.lte(now - lifetimes.absolute))
        .add(sessions::Column::LastSeenAt.lte(now - lifetimes.idle));
    Ok(sessions::Entity::delete_many().filter(ended).exec(db).await?.rows_affected)
}
