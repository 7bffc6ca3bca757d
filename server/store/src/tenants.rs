//! Tenants: organisations.

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
    Set,
};
use sluice_contract::ids::TenantId;
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_contract::rest::tenants::{CreateTenant, Tenant, UpdateTenant};
use sluice_entity::tenants;

use crate::audit::{self, Actor, Change, seen};
use crate::error::{Error, Result, not_unique};
use crate::keyset::{Listing, Sort};
use crate::{Tx, check_version, text};

const LISTING: Listing<tenants::Entity> = Listing {
    sorts: &[
        Sort { name: "name", column: tenants::Column::Name },
        Sort { name: "slug", column: tenants::Column::Slug },
        Sort { name: "created_at", column: tenants::Column::CreatedAt },
    ],
    descending: false,
    id: tenants::Column::Id,
    search: &[tenants::Column::Name, tenants::Column::Slug],
};

/// All tenants. Sorts: `name`, `slug`, `created_at`.
///
/// # Errors
/// See [`Listing::page`].
pub async fn list(db: &impl ConnectionTrait, page: &PageQuery) -> Result<Page<Tenant>> {
    let Page { items, next } = LISTING.page(db, tenants::Entity::find(), page).await?;
    Ok(Page { items: items.into_iter().map(tenant).collect(), next })
}

/// One tenant.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(db: &impl ConnectionTrait, id: TenantId) -> Result<Tenant> {
    tenants::Entity::find_by_id(id.0).one(db).await?.map(tenant).ok_or(Error::NotFound)
}

/// One tenant by its slug.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn by_slug(db: &impl ConnectionTrait, slug: &str) -> Result<Tenant> {
    let row = tenants::Entity::find().filter(tenants::Column::Slug.eq(slug)).one(db).await?;
    row.map(tenant).ok_or(Error::NotFound)
}

/// Makes a tenant.
///
/// # Errors
/// [`Error::Invalid`], [`Error::NotUnique`] for the slug.
pub async fn create(tx: &Tx, actor: &Actor, new: &CreateTenant) -> Result<Tenant> {
    let CreateTenant { slug, name } = new;
    text::all([text::slug("/slug", slug).map(drop), text::name("/name", name).map(drop)])?;
    let row = tenants::ActiveModel {
        id: Set(TenantId::generate().0),
        slug: Set(text::slug("/slug", slug)?),
        name: Set(text::name("/name", name)?),
        version: Set(1),
        created_at: Set(crate::now()),
    };
    let tenant = tenant(row.insert(tx).await.map_err(not_unique("/slug"))?);
    record(tx, actor, "create_tenant", None, &tenant).await?;
    Ok(tenant)
}

/// Renames a tenant that is still at `version`.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`], [`Error::Invalid`].
pub async fn update(
    tx: &Tx,
    actor: &Actor,
    id: TenantId,
    version: u64,
    new: &UpdateTenant,
) -> Result<Tenant> {
    let row = tenants::Entity::find_by_id(id.0).lock_exclusive().one(tx).await?.ok_or(Error::NotFound)?;
    let next = check_version(row.version, version)?;
    let before = tenant(row.clone());
    let mut row = row.into_active_model();
    row.name = Set(text::name("/name", &new.name)?);
    row.version = Set(next);
    let after = tenant(row.update(tx).await?);
    record(tx, actor, "update_tenant", Some(&before), &after).await?;
    Ok(after)
}

fn tenant(row: tenants::Model) -> Tenant {
    let tenants::Model { id, slug, name, version, created_at } = row;
    Tenant { id: TenantId(id), slug, name, version: crate::version(version), created_at }
}

async fn record(tx: &Tx, actor: &Actor, action: &str, before: Option<&Tenant>, after: &Tenant) -> Result<()> {
    let change = Change {
        tenant: Some(after.id),
        action,
        resource: "tenant",
        id: after.id.to_string(),
        name: &after.name,
        before: before.map(seen).transpose()?.flatten(),
        after: seen(after)?,
    };
    audit::record(tx, actor, change).await
}
