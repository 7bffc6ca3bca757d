//! Links that work once: to set the installation up, and to choose a password. Only hashes are stored.

use chrono::Duration;
use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Set};
use sluice_contract::ids::UserId;
use sluice_contract::part::Sha256Hash;
use sluice_entity::one_time_tokens as tokens;

use crate::Tx;
use crate::error::{Error, Result};

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Setup,
    Invitation(UserId),
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Invitation(_) => "invitation",
        }
    }

    fn user(self) -> Option<UserId> {
        match self {
            Self::Setup => None,
            Self::Invitation(user) => Some(user),
        }
    }
}

/// Remembers the secret of a link. An older link for the same purpose (and user) stops working.
///
/// # Errors
/// When the database fails.
pub async fn issue(tx: &Tx, purpose: Purpose, secret: &str, valid: Duration) -> Result<()> {
    let user = purpose.user().map(|user| user.0);
    let same_user = match user {
        Some(user) => tokens::Column::UserId.eq(user),
        None => tokens::Column::UserId.is_null(),
    };
    let older = tokens::Entity::delete_many().filter(tokens::Column::Purpose.eq(purpose.name()));
    older.filter(same_user).exec(tx).await?;
    let now = crate::now();
    let row = tokens::ActiveModel {
        hash: Set(hash(secret)),
        purpose: Set(purpose.name().to_owned()),
        user_id: Set(user),
        created_at: Set(now),
        expires_at: Set(now + valid),
    };
    row.insert(tx).await?;
    Ok(())
}

/// Whether a link would work: asked before anything expensive is done for it. Using it up decides.
///
/// # Errors
/// [`Error::NotFound`] when it is unknown, used or expired.
pub async fn check(db: &impl ConnectionTrait, secret: &str) -> Result<()> {
    let select = tokens::Entity::find_by_id(hash(secret));
    let valid = select.filter(tokens::Column::ExpiresAt.gt(crate::now())).one(db).await?;
    valid.map(drop).ok_or(Error::NotFound)
}

/// Uses a setup link up.
///
/// # Errors
/// [`Error::NotFound`] when it is unknown, used or expired.
pub async fn redeem_setup(tx: &Tx, secret: &str) -> Result<()> {
    redeem(tx, "setup", secret).await.map(drop)
}

/// Uses an invitation up and says whose it is.
///
/// # Errors
/// [`Error::NotFound`] when it is unknown, used or expired.
pub async fn redeem_invitation(tx: &Tx, secret: &str) -> Result<UserId> {
    redeem(tx, "invitation", secret).await?.map(UserId).ok_or(Error::NotFound)
}

async fn redeem(tx: &Tx, purpose: &str, secret: &str) -> Result<Option<uuid::Uuid>> {
    let hash = hash(secret);
    let row = tokens::Entity::find_by_id(hash.clone())
        .filter(tokens::Column::Purpose.eq(purpose))
        .filter(tokens::Column::ExpiresAt.gt(crate::now()))
        .lock_exclusive()
        .one(tx)
        .await?
        .ok_or(Error::NotFound)?;
    tokens::Entity::delete_by_id(hash).exec(tx).await?;
    Ok(row.user_id)
}

/// Removes what has expired.
///
/// # Errors
/// When the database fails.
pub async fn delete_expired(tx: &Tx) -> Result<()> {
    tokens::Entity::delete_many().filter(tokens::Column::ExpiresAt.lte(crate::now())).exec(tx).await?;
    Ok(())
}

fn hash(secret: &str) -> String {
    Sha256Hash::of(secret.as_bytes()).to_string()
}
