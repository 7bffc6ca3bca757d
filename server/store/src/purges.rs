//! Purges: removal of cached responses, ordered with everything else by the journal.

use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, Select, Set};
use serde_json::json;
use sluice_contract::ids::{EnvironmentId, GatewayId, PurgeId, TenantId};
use sluice_contract::journal::{Change as JournalChange, Purge, PurgeScope};
use sluice_contract::link::ChangedUrl;
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_contract::rest::purges::{CreatePurge, PurgeFilter, PurgeRecord};
use sluice_contract::rest::releases::Progress;
use sluice_entity::purges;

use crate::applications::{self, Reach};
use crate::audit::{self, Actor, Change};
use crate::error::{Error, Result, unknown};
use crate::keyset::{Listing, Sort};
use crate::progress::{Awaited, progress_of_all};
use crate::{Tx, apis, cdn_hooks, environments, gateways, journal};

/// Longest tag, in bytes: what a gateway reads.
const TAG_MAX: usize = 256;
/// Longest path of a purge, in bytes: what a gateway takes in a request line.
const PATH_MAX: usize = 8 << 10;

const LISTING: Listing<purges::Entity> = Listing {
    sorts: &[Sort { name: "created_at", column: purges::Column::CreatedAt }],
    descending: true,
    id: purges::Column::Id,
    search: &[purges::Column::CreatedBy],
};

/// Purges of a tenant, newest first. Sorts: `created_at`.
///
/// # Errors
/// See [`Listing::page`].
pub async fn list(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    filter: &PurgeFilter,
    page: &PageQuery,
) -> Result<Page<PurgeRecord>> {
    let PurgeFilter { api, from, to } = filter;
    let mut select = of(tenant);
    if let Some(api) = api {
        // What covers every API covers this one.
        let every = purges::Column::ApiId.is_null();
        select = select.filter(Condition::any().add(purges::Column::ApiId.eq(api.0)).add(every));
    }
    if let Some(from) = from {
        select = select.filter(purges::Column::CreatedAt.gte(*from));
    }
    if let Some(to) = to {
        select = select.filter(purges::Column::CreatedAt.lt(*to));
    }
    let Page { items, next } = LISTING.page(db, select, page).await?;
    Ok(Page { items: with_progress(db, items).await?, next })
}

/// One purge and how far it is.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(db: &impl ConnectionTrait, tenant: TenantId, id: PurgeId) -> Result<PurgeRecord> {
    let row = of(tenant).filter(purges::Column::Id.eq(id.0)).one(db).await?;
    with_progress(db, vec![row.ok_or(Error::NotFound)?]).await?.pop().ok_or(Error::NotFound)
}

/// Removes cached responses.
///
/// # Errors
/// [`Error::Invalid`] for an environment, API, application, path or tag that is not there or not one.
pub async fn create(tx: &Tx, actor: &Actor, tenant: TenantId, new: &CreatePurge) -> Result<PurgeId> {
    let CreatePurge { environment, scope, soft } = new;
    let name = check(tx, tenant, scope).await?;
    let environment = environments::named(tx, tenant, *environment).await?;
    let id = PurgeId::generate();
    let purge = Purge { id, scope: scope.clone(), tenant: Some(tenant), soft: *soft, changed: false };
    let position = journal::append(tx, environment.id, JournalChange::Purge(purge)).await?;
    let row = purges::ActiveModel {
        id: Set(id.0),
        tenant_id: Set(tenant.0),
        environment_id: Set(environment.id.0),
        api_id: Set(scope.api().map(|api| api.0)),
        scope: Set(serde_json::to_value(scope)?),
        soft: Set(*soft),
        position: Set(journal::stored(position)),
        created_by: Set(actor.name.clone()),
        created_at: Set(crate::now()),
    };
    purges::Entity::insert(row).exec_without_returning(tx).await?;
    cdn_hooks::tell(tx, tenant, environment.id, id, (scope, *soft)).await?;
    let change = Change {
        tenant: Some(tenant),
        action: "create_purge",
        resource: "purge",
        id: id.to_string(),
        name: &name,
        before: None,
        after: Some(json!({ "environment": environment.slug, "scope": scope, "soft": soft })),
    };
    audit::record(tx, actor, change).await?;
    Ok(id)
}

/// Tells other gateways of an environment which URLs have changed on one, as purges that nobody has asked for and no list shows.
/// When it is the only one there is nobody to tell.
///
/// # Errors
/// When the database fails.
pub async fn pass_on(
    tx: &Tx,
    environment: EnvironmentId,
    gateway: GatewayId,
    by: PurgeId,
    urls: Vec<ChangedUrl>,
) -> Result<()> {
    if urls.is_empty() || !gateways::has_others(tx, environment, gateway).await? {
        return Ok(());
    }
    let tenants = journal::tenants_of(tx, environment, urls.iter().map(|url| url.api)).await?;
    let purge = |ChangedUrl { api, path }: ChangedUrl| {
        let tenant = Some(*tenants.get(&api)?);
        let scope = PurgeScope::Url { api, path };
        let purge = Purge { id: by, scope, tenant, soft: false, changed: true };
        Some(JournalChange::Purge(purge))
    };
    let changes: Vec<_> = urls.into_iter().filter_map(purge).collect();
    if !changes.is_empty() {
        journal::append_all(tx, environment, changes).await?;
    }
    Ok(())
}

/// Whether the scope names what is there, and the name of it.
///
/// # Errors
/// [`Error::Invalid`] where it does not.
pub async fn check(db: &impl ConnectionTrait, tenant: TenantId, scope: &PurgeScope) -> Result<String> {
    match scope {
        PurgeScope::Url { path, .. } => check_path(path)?,
        PurgeScope::Prefix { path, .. } => check_prefix(path)?,
        PurgeScope::Tag { tag, .. } => check_tag(tag)?,
        PurgeScope::Application { application } => {
            let row = applications::get(db, tenant, &Reach::Tenant, *application).await;
            let row = row.map_err(unknown("/scope/application", "There is no such application."))?;
            return Ok(row.name);
        }
        PurgeScope::Api { .. } | PurgeScope::Everything => {}
    }
    match scope.api() {
        Some(api) => {
            let row = apis::row(db, tenant, api).await;
            Ok(row.map_err(unknown("/scope/api", "There is no such API."))?.name)
        }
        None => Ok(match scope {
            PurgeScope::Tag { tag, .. } => tag.clone(),
            _ => "everything".to_owned(),
        }),
    }
}

fn of(tenant: TenantId) -> Select<purges::Entity> {
    purges::Entity::find().filter(purges::Column::TenantId.eq(tenant.0))
}

fn check_path(path: &str) -> Result<()> {
    let visible = path.bytes().all(|b| (0x21..=0x7e).contains(&b));
    if path.starts_with('/') && !path.contains('#') && visible && path.len() <= PATH_MAX {
        return Ok(());
    }
    let message = "A path as callers send it, below the API's base, with its query if any: /items?page=2.";
    Err(Error::invalid("/scope/path", "invalid_path", message))
}

fn check_prefix(path: &str) -> Result<()> {
    if path.contains('?') {
        let message = "A prefix is of the path: it has no query.";
        return Err(Error::invalid("/scope/path", "invalid_path", message));
    }
    check_path(path)
}

/// What gateways read as one tag: both fields that carry tags separate them by commas or white space.
fn check_tag(tag: &str) -> Result<()> {
    let is_one = !tag.is_empty() && tag.len() <= TAG_MAX && tag.trim() == tag;
    if is_one && !tag.contains(|c: char| c == ',' || c.is_control()) {
        return Ok(());
    }
    let message = "One tag as the upstream gives it, of at most 256 bytes, without commas.";
    Err(Error::invalid("/scope/tag", "invalid_tag", message))
}

async fn with_progress(db: &impl ConnectionTrait, rows: Vec<purges::Model>) -> Result<Vec<PurgeRecord>> {
    let awaited: Vec<_> = rows.iter().map(awaited).collect();
    let progress = progress_of_all(db, &awaited).await?;
    rows.into_iter().zip(progress).map(|(row, progress)| view(row, progress)).collect()
}

fn awaited(row: &purges::Model) -> Awaited {
    Awaited {
        environment: EnvironmentId(row.environment_id),
        position: journal::position(row.position),
        at: row.created_at,
        part: None,
    }
}

fn view(row: purges::Model, progress: Progress) -> Result<PurgeRecord> {
    let purges::Model {
        id,
        tenant_id: _,
        environment_id,
        api_id: _,
        scope,
        soft,
        position,
        created_by,
        created_at,
    } = row;
    Ok(PurgeRecord {
        id: PurgeId(id),
        environment: EnvironmentId(environment_id),
        scope: serde_json::from_value(scope)?,
        soft,
        position: journal::position(position),
        created_by,
        created_at,
        progress,
    })
}
