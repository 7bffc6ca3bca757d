//! Tokens for automation. Only hashes are stored.

use chrono::{DateTime, Duration, Utc};
use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Set};
use sluice_contract::ids::{ApiTokenId, TenantId};
use sluice_contract::part::Sha256Hash;
use sluice_contract::rest::api_tokens::{ApiToken, CreateApiToken};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_entity::api_tokens;

use crate::audit::{self, Actor, Recorded};
use crate::error::{Error, Result, not_unique};
use crate::keyset::{Listing, Sort};
use crate::{Tx, text};

/// Characters of the secret that are kept to recognise it by.
const PREFIX: usize = 8;
/// Writing down every use would be a write for each read.
const USED_EVERY: Duration = Duration::minutes(1);

const LISTING: Listing<api_tokens::Entity> = Listing {
    sorts: &[
        Sort { name: "name", column: api_tokens::Column::Name },
        Sort { name: "created_at", column: api_tokens::Column::CreatedAt },
    ],
    descending: false,
    id: api_tokens::Column::Id,
    search: &[api_tokens::Column::Name, api_tokens::Column::CreatedBy],
};

/// Tokens of a tenant. Sorts: `name`, `created_at`.
///
/// # Errors
/// See [`Listing::page`].
pub async fn list(db: &impl ConnectionTrait, tenant: TenantId, page: &PageQuery) -> Result<Page<ApiToken>> {
    let select = api_tokens::Entity::find().filter(api_tokens::Column::TenantId.eq(tenant.0));
    let Page { items, next } = LISTING.page(db, select, page).await?;
    Ok(Page { items: items.into_iter().map(token).collect::<Result<_>>()?, next })
}

/// Remembers a token by the hash of its secret.
///
/// # Errors
/// [`Error::Invalid`], [`Error::NotUnique`] for the name.
pub async fn create(
    tx: &Tx,
    actor: &Actor,
    tenant: TenantId,
    new: &CreateApiToken,
    secret: &str,
) -> Result<ApiToken> {
    let CreateApiToken { name, permissions, expires_at } = new;
    if permissions.is_empty() {
        return Err(Error::invalid("/permissions", "required", "a token that may do nothing is of no use"));
    }
    if expires_at.is_some_and(|at| at <= crate::now()) {
        return Err(Error::invalid("/expires_at", "in_the_past", "choose a time to come"));
    }
    let mut permissions = permissions.clone();
    permissions.sort_unstable();
    permissions.dedup();
    let row = api_tokens::ActiveModel {
        id: Set(ApiTokenId::generate().0),
        tenant_id: Set(tenant.0),
        name: Set(text::name("/name", name)?),
        hash: Set(hash(secret)),
        prefix: Set(secret.chars().take(PREFIX).collect()),
        permissions: Set(serde_json::to_value(permissions)?),
        created_by: Set(actor.name.clone()),
        created_at: Set(crate::now()),
        expires_at: Set(*expires_at),
        last_used_at: Set(None),
    };
    let token = token(row.insert(tx).await.map_err(not_unique("/name"))?)?;
    audit::changed(tx, actor, "create_api_token", tenant, None, Some(&token)).await?;
    Ok(token)
}

/// Ends a token.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn delete(tx: &Tx, actor: &Actor, tenant: TenantId, id: ApiTokenId) -> Result<()> {
    let select = api_tokens::Entity::find_by_id(id.0).filter(api_tokens::Column::TenantId.eq(tenant.0));
    let before = token(select.one(tx).await?.ok_or(Error::NotFound)?)?;
    api_tokens::Entity::delete_by_id(id.0).exec(tx).await?;
    audit::changed(tx, actor, "delete_api_token", tenant, Some(&before), None).await
}

/// The token with this secret and its tenant, unless it has expired.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn authenticate(db: &impl ConnectionTrait, secret: &str) -> Result<(TenantId, ApiToken)> {
    let select = api_tokens::Entity::find().filter(api_tokens::Column::Hash.eq(hash(secret)));
    let row = select.one(db).await?.ok_or(Error::NotFound)?;
    let now = crate::now();
    if row.expires_at.is_some_and(|at| at <= now) {
        return Err(Error::NotFound);
    }
    if row.last_used_at.is_none_or(|at| at + USED_EVERY <= now) {
        used(db, row.id, now).await?;
    }
    Ok((TenantId(row.tenant_id), token(row)?))
}

async fn used(db: &impl ConnectionTrait, id: uuid::Uuid, now: DateTime<Utc>) -> Result<()> {
    api_tokens::Entity::update_many()
        .col_expr(api_tokens::Column::LastUsedAt, now.into())
        .filter(api_tokens::Column::Id.eq(id))
        .exec(db)
        .await?;
    Ok(())
}

fn hash(secret: &str) -> String {
    Sha256Hash::of(secret.as_bytes()).to_string()
}

fn token(row: api_tokens::Model) -> Result<ApiToken> {
    let api_tokens::Model {
        id,
        tenant_id: _,
        name,
        hash: _,
        prefix,
        permissions,
        created_by,
        created_at,
        expires_at,
        last_used_at,
    } = row;
    Ok(ApiToken {
        id: ApiTokenId(id),
        name,
        prefix,
        permissions: serde_json::from_value(permissions)?,
        created_by,
        created_at,
        expires_at,
        last_used_at,
    })
}

impl Recorded for ApiToken {
    const RESOURCE: &'static str = "api_token";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn known_as(&self) -> &str {
        &self.name
    }
}
