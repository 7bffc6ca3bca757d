//! Users: accounts, and what each may do in a tenant. Accounts are in `account`, memberships here.

mod account;

use std::collections::HashMap;

use sea_orm::sea_query::Query;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
    Select, Set,
};
use sluice_contract::ids::{TeamId, TenantId, UserId};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_contract::rest::users::{CreateUser, Role, UpdateUser, User};
use sluice_entity::{memberships, team_members, users};

use crate::audit::{self, Actor, Recorded};
use crate::error::{Error, Result, not_unique};
use crate::keyset::{Listing, Sort};
use crate::{Tx, applications, check_version, text};

pub use account::{
    Account, Membership, NewAccount, account, account_by_email, any_account, create_account, delete_account,
    memberships_of, set_password, set_platform_admin, signed_in,
};

const LISTING: Listing<users::Entity> = Listing {
    sorts: &[
        Sort { name: "name", column: users::Column::Name },
        Sort { name: "email", column: users::Column::Email },
        Sort { name: "created_at", column: users::Column::CreatedAt },
    ],
    descending: false,
    id: users::Column::Id,
    search: &[users::Column::Name, users::Column::Email],
};

/// Users of a tenant. Sorts: `name`, `email`, `created_at`.
///
/// # Errors
/// See [`Listing::page`].
pub async fn list(db: &impl ConnectionTrait, tenant: TenantId, page: &PageQuery) -> Result<Page<User>> {
    let members = Query::select()
        .column(memberships::Column::UserId)
        .from(memberships::Entity)
        .and_where(memberships::Column::TenantId.eq(tenant.0))
        .take();
    let select = users::Entity::find().filter(users::Column::Id.in_subquery(members));
    let Page { items, next } = LISTING.page(db, select, page).await?;
    let ids: Vec<_> = items.iter().map(|row| row.id).collect();
    let mut memberships = by_user(db, tenant, &ids).await?;
    let mut teams = teams_by_user(db, tenant, &ids).await?;
    let items = items.into_iter().filter_map(|row| {
        let membership = memberships.remove(&row.id)?;
        let teams = teams.remove(&row.id).unwrap_or_default();
        Some(user(row, membership, teams))
    });
    Ok(Page { items: items.collect::<Result<_>>()?, next })
}

/// One user as the tenant sees them.
///
/// # Errors
/// [`Error::NotFound`] when they are not of this tenant.
pub async fn get(db: &impl ConnectionTrait, tenant: TenantId, id: UserId) -> Result<User> {
    let membership = membership(tenant, id).one(db).await?.ok_or(Error::NotFound)?;
    let row = users::Entity::find_by_id(id.0).one(db).await?.ok_or(Error::NotFound)?;
    let teams = crate::teams::of_user(db, tenant, id).await?;
    user(row, membership, teams)
}

/// Adds a person to a tenant. `true` when their account is new.
///
/// # Errors
/// [`Error::Invalid`], [`Error::NotUnique`] when they are in the tenant already.
pub async fn create(tx: &Tx, actor: &Actor, tenant: TenantId, new: &CreateUser) -> Result<(User, bool)> {
    let CreateUser { email, name, roles } = new;
    text::all([text::email("/email", email).map(drop), text::name("/name", name).map(drop)])?;
    let roles = checked_roles(roles)?;
    let (account, is_new) = match account_by_email(tx, email).await? {
        Some(account) => (account, false),
        None => {
            let new = NewAccount { email, name, password_hash: None, platform_admin: false };
            (create_account(tx, &new).await?, true)
        }
    };
    let row = memberships::ActiveModel {
        tenant_id: Set(tenant.0),
        user_id: Set(account.id.0),
        roles: Set(serde_json::to_value(&roles)?),
        disabled: Set(false),
        version: Set(1),
        created_at: Set(crate::now()),
    };
    row.insert(tx).await.map_err(not_unique("/email"))?;
    let user = get(tx, tenant, account.id).await?;
    audit::changed(tx, actor, "create_user", tenant, None, Some(&user)).await?;
    Ok((user, is_new))
}

/// Changes what a person may do in a tenant. The name is changed only while no other tenant shares the account.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`], [`Error::Invalid`], and the conflicts `last_admin` and `shared_account`.
pub async fn update(
    tx: &Tx,
    actor: &Actor,
    tenant: TenantId,
    id: UserId,
    version: u64,
    new: &UpdateUser,
) -> Result<User> {
    let (before, row) = lock(tx, tenant, id).await?;
    let next = check_version(row.version, version)?;
    let UpdateUser { name, roles, disabled } = new;
    let (name, roles) = (text::name("/name", name)?, checked_roles(roles)?);
    if *disabled || !roles.contains(&Role::TenantAdmin) {
        keep_an_admin(tx, tenant, id).await?;
    }
    if name != before.name {
        rename(tx, tenant, id, name).await?;
    }
    let mut row = row.into_active_model();
    row.roles = Set(serde_json::to_value(roles)?);
    row.disabled = Set(*disabled);
    row.version = Set(next);
    row.update(tx).await?;
    let after = get(tx, tenant, id).await?;
    audit::changed(tx, actor, "update_user", tenant, Some(&before), Some(&after)).await?;
    Ok(after)
}

/// Takes a person out of a tenant. Their applications stay, without an owner; an account that is then in no tenant goes,
/// with its sessions.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`], and the conflict `last_admin`.
pub async fn delete(tx: &Tx, actor: &Actor, tenant: TenantId, id: UserId, version: u64) -> Result<()> {
    let (before, row) = lock(tx, tenant, id).await?;
    check_version(row.version, version)?;
    keep_an_admin(tx, tenant, id).await?;
    applications::disown(tx, actor, tenant, id).await?;
    memberships::Entity::delete_by_id((tenant.0, id.0)).exec(tx).await?;
    if !before.platform_admin && memberships_of(tx, id).await?.is_empty() {
        delete_account(tx, id).await?;
    }
    audit::changed(tx, actor, "delete_user", tenant, Some(&before), None).await
}

/// Whether no other tenant shares the account, so that this tenant's admins may speak for it.
///
/// # Errors
/// When the database fails.
pub async fn belongs_only_to(db: &impl ConnectionTrait, tenant: TenantId, id: UserId) -> Result<bool> {
    let all = memberships_of(db, id).await?;
    Ok(all.iter().all(|membership| membership.tenant.id == tenant))
}

/// Notes that somebody was given a new link to choose a password.
///
/// # Errors
/// When the database fails.
pub async fn record_invitation(tx: &Tx, actor: &Actor, tenant: TenantId, user: &User) -> Result<()> {
    audit::changed(tx, actor, "create_invitation", tenant, Some(user), Some(user)).await
}

/// Whether a person is in the tenant. If so, they stay there until the transaction ends.
///
/// # Errors
/// When the database fails.
pub(crate) async fn keep_member(tx: &Tx, tenant: TenantId, id: UserId) -> Result<bool> {
    Ok(membership(tenant, id).lock_shared().one(tx).await?.is_some())
}

async fn rename(tx: &Tx, tenant: TenantId, id: UserId, name: String) -> Result<()> {
    if !belongs_only_to(tx, tenant, id).await? {
        let message = "the account is shared with other tenants: only its owner may change the name";
        return Err(Error::conflict("shared_account", message));
    }
    let row = users::Entity::find_by_id(id.0).one(tx).await?.ok_or(Error::NotFound)?;
    let mut row = row.into_active_model();
    row.name = Set(name);
    row.update(tx).await?;
    Ok(())
}

/// A tenant without an admin could never be managed again.
async fn keep_an_admin(tx: &Tx, tenant: TenantId, leaving: UserId) -> Result<()> {
    let rows = memberships::Entity::find()
        .filter(memberships::Column::TenantId.eq(tenant.0))
        .filter(memberships::Column::Disabled.eq(false))
        .lock_exclusive()
        .all(tx)
        .await?;
    let mut admins = Vec::new();
    for row in rows {
        if roles(row.roles)?.contains(&Role::TenantAdmin) {
            admins.push(row.user_id);
        }
    }
    if admins == [leaving.0] {
        let message = "the last admin of a tenant stays; make somebody else an admin first";
        return Err(Error::conflict("last_admin", message));
    }
    Ok(())
}

async fn lock(tx: &Tx, tenant: TenantId, id: UserId) -> Result<(User, memberships::Model)> {
    let row = membership(tenant, id).lock_exclusive().one(tx).await?.ok_or(Error::NotFound)?;
    Ok((get(tx, tenant, id).await?, row))
}

fn membership(tenant: TenantId, id: UserId) -> Select<memberships::Entity> {
    memberships::Entity::find_by_id((tenant.0, id.0))
}

async fn by_user(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    ids: &[uuid::Uuid],
) -> Result<HashMap<uuid::Uuid, memberships::Model>> {
    let rows = memberships::Entity::find()
        .filter(memberships::Column::TenantId.eq(tenant.0))
        .filter(memberships::Column::UserId.is_in(ids.iter().copied()))
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|row| (row.user_id, row)).collect())
}

async fn teams_by_user(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    ids: &[uuid::Uuid],
) -> Result<HashMap<uuid::Uuid, Vec<TeamId>>> {
    let rows = team_members::Entity::find()
        .filter(team_members::Column::TenantId.eq(tenant.0))
        .filter(team_members::Column::UserId.is_in(ids.iter().copied()))
        .all(db)
        .await?;
    let mut teams: HashMap<_, Vec<TeamId>> = HashMap::new();
    for row in rows {
        teams.entry(row.user_id).or_default().push(TeamId(row.team_id));
    }
    teams.values_mut().for_each(|teams| teams.sort_unstable());
    Ok(teams)
}

fn checked_roles(wanted: &[Role]) -> Result<Vec<Role>> {
    if wanted.is_empty() {
        return Err(Error::invalid("/roles", "required", "choose at least one role"));
    }
    let mut roles = wanted.to_vec();
    roles.sort_unstable();
    roles.dedup();
    Ok(roles)
}

fn roles(stored: serde_json::Value) -> Result<Vec<Role>> {
    Ok(serde_json::from_value(stored)?)
}

fn user(row: users::Model, membership: memberships::Model, teams: Vec<TeamId>) -> Result<User> {
    let users::Model { id, email, name, password_hash: _, platform_admin, last_sign_in_at, created_at: _ } =
        row;
    Ok(User {
        id: UserId(id),
        email,
        name,
        platform_admin,
        disabled: membership.disabled,
        roles: roles(membership.roles)?,
        teams,
        last_sign_in_at,
        created_at: membership.created_at,
        version: crate::version(membership.version),
    })
}

impl Recorded for User {
    const RESOURCE: &'static str = "user";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn known_as(&self) -> &str {
        &self.email
    }
}
