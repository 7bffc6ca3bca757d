//! Accounts: who signs in, whatever tenants they are in.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect, Set,
};
use sluice_contract::ids::{TenantId, UserId};
use sluice_contract::rest::tenants::Tenant;
use sluice_contract::rest::users::Role;
use sluice_entity::{memberships, tenants, users};

use super::roles;
use crate::error::{Error, Result, not_unique};
use crate::{Tx, text};

/// An account as the control plane sees it.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: UserId,
    pub email: String,
    pub name: String,
    /// None until the invitation is accepted.
    pub password_hash: Option<String>,
    pub platform_admin: bool,
}

/// An account to make.
pub struct NewAccount<'a> {
    pub email: &'a str,
    pub name: &'a str,
    pub password_hash: Option<String>,
    pub platform_admin: bool,
}

/// What an account may do in one tenant.
#[derive(Clone, Debug)]
pub struct Membership {
    pub tenant: Tenant,
    pub roles: Vec<Role>,
    pub disabled: bool,
}

/// One account.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn account(db: &impl ConnectionTrait, id: UserId) -> Result<Account> {
    users::Entity::find_by_id(id.0).one(db).await?.map(from_row).ok_or(Error::NotFound)
}

/// The account with this e-mail, if any.
///
/// # Errors
/// When the database fails.
pub async fn account_by_email(db: &impl ConnectionTrait, email: &str) -> Result<Option<Account>> {
    let Ok(email) = text::email("/email", email) else { return Ok(None) };
    let row = users::Entity::find().filter(users::Column::Email.eq(email)).one(db).await?;
    Ok(row.map(from_row))
}

/// Whether there is any account: if not, the installation has to be set up.
///
/// # Errors
/// When the database fails.
pub async fn any_account(db: &impl ConnectionTrait) -> Result<bool> {
    Ok(users::Entity::find().limit(1).one(db).await?.is_some())
}

/// Makes an account.
///
/// # Errors
/// [`Error::Invalid`], [`Error::NotUnique`] for the e-mail.
pub async fn create_account(tx: &Tx, new: &NewAccount<'_>) -> Result<Account> {
    let NewAccount { email, name, password_hash, platform_admin } = new;
    let row = users::ActiveModel {
        id: Set(UserId::generate().0),
        email: Set(text::email("/email", email)?),
        name: Set(text::name("/name", name)?),
        password_hash: Set(password_hash.clone()),
        platform_admin: Set(*platform_admin),
        last_sign_in_at: Set(None),
        created_at: Set(crate::now()),
    };
    Ok(from_row(row.insert(tx).await.map_err(not_unique("/email"))?))
}

/// Sets the password and ends all sessions of the account.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn set_password(tx: &Tx, id: UserId, password_hash: String) -> Result<()> {
    change(tx, id, |row| row.password_hash = Set(Some(password_hash))).await?;
    crate::sessions::delete_of(tx, id).await
}

/// Makes an account a platform admin, or no longer one.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn set_platform_admin(tx: &Tx, id: UserId, platform_admin: bool) -> Result<()> {
    change(tx, id, |row| row.platform_admin = Set(platform_admin)).await
}

/// Notes when somebody signed in.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn signed_in(tx: &Tx, id: UserId, at: DateTime<Utc>) -> Result<()> {
    change(tx, id, |row| row.last_sign_in_at = Set(Some(at))).await
}

/// Removes an account with its memberships and sessions.
///
/// # Errors
/// When the database fails.
pub async fn delete_account(tx: &Tx, id: UserId) -> Result<()> {
    users::Entity::delete_by_id(id.0).exec(tx).await?;
    Ok(())
}

/// The tenants that an account is in, by name.
///
/// # Errors
/// When the database fails.
pub async fn memberships_of(db: &impl ConnectionTrait, id: UserId) -> Result<Vec<Membership>> {
    let rows = memberships::Entity::find().filter(memberships::Column::UserId.eq(id.0)).all(db).await?;
    let ids = rows.iter().map(|row| row.tenant_id);
    let tenants = tenants::Entity::find()
        .filter(tenants::Column::Id.is_in(ids))
        .order_by_asc(tenants::Column::Name)
        .all(db)
        .await?;
    let mut memberships = Vec::with_capacity(tenants.len());
    for tenant in tenants {
        let Some(row) = rows.iter().find(|row| row.tenant_id == tenant.id) else { continue };
        let tenants::Model { id, slug, name, version, created_at } = tenant;
        memberships.push(Membership {
            tenant: Tenant { id: TenantId(id), slug, name, version: crate::version(version), created_at },
            roles: roles(row.roles.clone())?,
            disabled: row.disabled,
        });
    }
    Ok(memberships)
}

async fn change(tx: &Tx, id: UserId, set: impl FnOnce(&mut users::ActiveModel)) -> Result<()> {
    let row = users::Entity::find_by_id(id.0).lock_exclusive().one(tx).await?.ok_or(Error::NotFound)?;
    let mut row = row.into_active_model();
    set(&mut row);
    row.update(tx).await?;
    Ok(())
}

fn from_row(row: users::Model) -> Account {
    let users::Model { id, email, name, password_hash, platform_admin, last_sign_in_at: _, created_at: _ } =
        row;
    Account { id: UserId(id), email, name, password_hash, platform_admin }
}
