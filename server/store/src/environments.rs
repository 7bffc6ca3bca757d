//! Environments: where APIs are released to. Owned by the platform, shared by tenants or dedicated to one.

use std::collections::{BTreeSet, HashMap, HashSet};

use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter, QuerySelect, Set,
};
use sluice_contract::environment::EnvironmentSettings;
use sluice_contract::ids::{EnvironmentId, TenantId};
use sluice_contract::journal::Change as JournalChange;
use sluice_contract::rest::environments::{CreateEnvironment, Environment, UpdateEnvironment};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_entity::environments;

use crate::audit::{self, Actor, Change, seen};
use crate::error::{Error, Result, not_unique, unknown};
use crate::keyset::{Listing, Sort};
use crate::{Tx, check_version, gateways, journal, text};

const LISTING: Listing<environments::Entity> = Listing {
    sorts: &[
        Sort { name: "name", column: environments::Column::Name },
        Sort { name: "slug", column: environments::Column::Slug },
        Sort { name: "created_at", column: environments::Column::CreatedAt },
    ],
    descending: false,
    id: environments::Column::Id,
    search: &[environments::Column::Name, environments::Column::Slug],
};

/// Environments that the tenant may use. Sorts: `name`, `slug`, `created_at`.
///
/// # Errors
/// See [`Listing::page`].
pub async fn list(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    page: &PageQuery,
) -> Result<Page<Environment>> {
    let select = environments::Entity::find().filter(usable_by(tenant));
    let Page { items, next } = LISTING.page(db, select, page).await?;
    Ok(Page { items: with_heads(db, items).await?, next })
}

/// All environments.
///
/// # Errors
/// When the database fails.
pub async fn all(db: &impl ConnectionTrait) -> Result<Vec<Environment>> {
    with_heads(db, environments::Entity::find().all(db).await?).await
}

/// One environment, for the platform.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(db: &impl ConnectionTrait, id: EnvironmentId) -> Result<Environment> {
    with_head(db, environments::Entity::find_by_id(id.0).one(db).await?).await
}

/// The slugs of these environments.
///
/// # Errors
/// When the database fails.
pub(crate) async fn slugs(
    db: &impl ConnectionTrait,
    ids: impl Iterator<Item = EnvironmentId>,
) -> Result<HashMap<EnvironmentId, String>> {
    let ids: HashSet<_> = ids.map(|id| id.0).collect();
    let rows = environments::Entity::find().filter(environments::Column::Id.is_in(ids)).all(db).await?;
    Ok(rows.into_iter().map(|row| (EnvironmentId(row.id), row.slug)).collect())
}

/// One environment, when the tenant may use it.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get_for(db: &impl ConnectionTrait, tenant: TenantId, id: EnvironmentId) -> Result<Environment> {
    with_head(db, environments::Entity::find_by_id(id.0).filter(usable_by(tenant)).one(db).await?).await
}

/// The environment that somebody names, when the tenant may use it.
///
/// # Errors
/// [`Error::Invalid`] at `/environment` when there is none.
pub async fn named(db: &impl ConnectionTrait, tenant: TenantId, id: EnvironmentId) -> Result<Environment> {
    get_for(db, tenant, id).await.map_err(unknown("/environment", "There is no such environment."))
}

/// One environment by its slug, when the tenant may use it.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn by_slug_for(db: &impl ConnectionTrait, tenant: TenantId, slug: &str) -> Result<Environment> {
    let select = environments::Entity::find().filter(environments::Column::Slug.eq(slug));
    with_head(db, select.filter(usable_by(tenant)).one(db).await?).await
}

/// Makes an environment.
///
/// # Errors
/// [`Error::Invalid`], [`Error::NotUnique`] for the slug.
pub async fn create(tx: &Tx, actor: &Actor, new: &CreateEnvironment) -> Result<Environment> {
    let CreateEnvironment { slug, name, dedicated_to } = new;
    text::all([text::slug("/slug", slug).map(drop), text::name("/name", name).map(drop)])?;
    if let Some(tenant) = dedicated_to {
        crate::tenants::get(tx, *tenant).await.map_err(|error| match error {
            Error::NotFound => Error::invalid("/dedicated_to", "unknown", "no such tenant"),
            other => other,
        })?;
    }
    let mut environment = insert(tx, slug, name, *dedicated_to, &EnvironmentSettings::default()).await?;
    record(tx, actor, "create_environment", None, &environment).await?;
    environment.head = tell_gateways(tx, &environment).await?;
    Ok(environment)
}

/// Makes the environment `production` when there is none at all. `loopback`: its APIs may call upstreams on this
/// machine, which `sluice up` allows.
///
/// # Errors
/// When the database fails.
pub async fn ensure_one(tx: &Tx, loopback: bool) -> Result<Option<Environment>> {
    if environments::Entity::find().count(tx).await? > 0 {
        return Ok(None);
    }
    let mut settings = EnvironmentSettings::default();
    if loopback {
        settings.allowed_networks = vec!["127.0.0.0/8".to_owned(), "::1/128".to_owned()];
    }
    let mut environment = insert(tx, "production", "Production", None, &settings).await?;
    record(tx, &Actor::system(), "create_environment", None, &environment).await?;
    environment.head = tell_gateways(tx, &environment).await?;
    Ok(Some(environment))
}

/// Changes an environment that is still at `version`, and tells its gateways.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`], [`Error::Invalid`].
pub async fn update(
    tx: &Tx,
    actor: &Actor,
    id: EnvironmentId,
    version: u64,
    new: &UpdateEnvironment,
) -> Result<Environment> {
    let row =
        environments::Entity::find_by_id(id.0).lock_exclusive().one(tx).await?.ok_or(Error::NotFound)?;
    let next = check_version(row.version, version)?;
    let before = environment(row.clone())?;
    let UpdateEnvironment { name, settings } = new;
    let mut row = row.into_active_model();
    row.name = Set(text::name("/name", name)?);
    row.settings = Set(serde_json::to_value(settings)?);
    row.version = Set(next);
    let mut after = environment(row.update(tx).await?)?;
    record(tx, actor, "update_environment", Some(&before), &after).await?;
    after.head = tell_gateways(tx, &after).await?;
    after.gateway_urls = urls_of(&mut gateways::urls_by_environment(tx).await?, id);
    Ok(after)
}

async fn insert(
    tx: &Tx,
    slug: &str,
    name: &str,
    dedicated_to: Option<TenantId>,
    settings: &EnvironmentSettings,
) -> Result<Environment> {
    let row = environments::ActiveModel {
        id: Set(EnvironmentId::generate().0),
        slug: Set(text::slug("/slug", slug)?),
        name: Set(text::name("/name", name)?),
        dedicated_to: Set(dedicated_to.map(|tenant| tenant.0)),
        settings: Set(serde_json::to_value(settings)?),
        version: Set(1),
        created_at: Set(crate::now()),
    };
    environment(row.insert(tx).await.map_err(not_unique("/slug"))?)
}

/// Appends the settings to the environment's journal; returns its head.
async fn tell_gateways(tx: &Tx, environment: &Environment) -> Result<u64> {
    let settings = Box::new(environment.settings.clone());
    journal::append(tx, environment.id, JournalChange::SettingsSet(settings)).await
}

pub(crate) fn usable_by(tenant: TenantId) -> Condition {
    Condition::any()
        .add(environments::Column::DedicatedTo.is_null())
        .add(environments::Column::DedicatedTo.eq(tenant.0))
}

async fn with_head(db: &impl ConnectionTrait, row: Option<environments::Model>) -> Result<Environment> {
    let mut environment = environment(row.ok_or(Error::NotFound)?)?;
    environment.head = journal::head(db, environment.id).await?;
    environment.gateway_urls = urls_of(&mut gateways::urls_by_environment(db).await?, environment.id);
    Ok(environment)
}

async fn with_heads(db: &impl ConnectionTrait, rows: Vec<environments::Model>) -> Result<Vec<Environment>> {
    let counters = journal::counters(db).await?;
    let mut urls = gateways::urls_by_environment(db).await?;
    let with_head = |row| {
        let mut environment = environment(row)?;
        environment.head = counters.get(&environment.id).map_or(0, |counter| counter.head);
        environment.gateway_urls = urls_of(&mut urls, environment.id);
        Ok(environment)
    };
    rows.into_iter().map(with_head).collect()
}

fn urls_of(urls: &mut HashMap<EnvironmentId, BTreeSet<String>>, environment: EnvironmentId) -> Vec<String> {
    urls.remove(&environment).into_iter().flatten().collect()
}

/// `head` is 0 here, and `gateway_urls` empty: the journal and the gateways know them.
fn environment(row: environments::Model) -> Result<Environment> {
    let environments::Model { id, slug, name, dedicated_to, settings, version, created_at } = row;
    Ok(Environment {
        id: EnvironmentId(id),
        slug,
        name,
        dedicated_to: dedicated_to.map(TenantId),
        settings: serde_json::from_value(settings)?,
        head: 0,
        gateway_urls: Vec::new(),
        version: crate::version(version),
        created_at,
    })
}

async fn record(
    tx: &Tx,
    actor: &Actor,
    action: &str,
    before: Option<&Environment>,
    after: &Environment,
) -> Result<()> {
    let change = Change {
        tenant: None,
        action,
        resource: "environment",
        id: after.id.to_string(),
        name: &after.name,
        before: before.map(seen).transpose()?.flatten(),
        after: seen(after)?,
    };
    audit::record(tx, actor, change).await
}
