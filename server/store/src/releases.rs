//! Releases: revisions put into environments, and what is live where.

mod live;

use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Select, Set};
use sluice_contract::definition::ApiDefinition;
use sluice_contract::ids::{ApiId, EnvironmentId, ReleaseId, TenantId};
use sluice_contract::journal::{Change as JournalChange, ReleasedApi};
use sluice_contract::part::{ApiPart, PART_SCHEMA};
use sluice_contract::rest::environments::Environment;
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_contract::rest::releases::{CreateRelease, Progress, ProgressState, Release};
use sluice_entity::{apis as api_rows, live_apis, releases};

use crate::audit::{self, Actor, Change, seen};
use crate::error::{Error, Result, unknown};
use crate::keyset::{Listing, Sort};
use crate::progress::{Awaited, progress_of_all};
use crate::{Tx, apis, definition, environments, journal, parts, revisions};

pub use live::{live, revision as live_revision};

const LISTING: Listing<releases::Entity> = Listing {
    sorts: &[Sort { name: "created_at", column: releases::Column::CreatedAt }],
    descending: true,
    id: releases::Column::Id,
    search: &[releases::Column::CreatedBy],
};

/// Releases of an API, newest first. Sorts: `created_at`.
///
/// # Errors
/// [`Error::NotFound`] when the API is not in this tenant; see [`Listing::page`].
pub async fn list(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    api: ApiId,
    page: &PageQuery,
) -> Result<Page<Release>> {
    apis::row(db, tenant, api).await?;
    let Page { items, next } = LISTING.page(db, of(tenant, api), page).await?;
    Ok(Page { items: with_progress(db, items).await?, next })
}

/// One release and how far it is.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(db: &impl ConnectionTrait, tenant: TenantId, api: ApiId, id: ReleaseId) -> Result<Release> {
    let select = of(tenant, api).filter(releases::Column::Id.eq(id.0));
    let row = select.one(db).await?.ok_or(Error::NotFound)?;
    with_progress(db, vec![row]).await?.pop().ok_or(Error::NotFound)
}

/// The definition and the environment of a release that somebody asks for, to look at before it is made.
///
/// # Errors
/// [`Error::NotFound`] for the API, [`Error::Invalid`] for the environment or the revision.
pub async fn wanted(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    api: ApiId,
    new: &CreateRelease,
) -> Result<(Environment, Option<ApiDefinition>)> {
    apis::row(db, tenant, api).await?;
    let environment = environments::named(db, tenant, new.environment).await?;
    let definition = match new.revision {
        Some(number) => {
            let revision = revisions::get(db, tenant, api, number).await;
            Some(revision.map_err(unknown("/revision", "There is no such revision."))?.definition)
        }
        None => None,
    };
    Ok((environment, definition))
}

/// Puts a revision into an environment, or withdraws the API from it. Gateways learn of it through the journal.
///
/// # Errors
/// Those of [`wanted`] and [`definition::check_release`], and the conflicts `host_taken` and `not_live`.
pub async fn create(
    tx: &Tx,
    actor: &Actor,
    tenant: TenantId,
    api: ApiId,
    new: &CreateRelease,
) -> Result<Release> {
    let row = apis::lock(tx, tenant, api).await?;
    let (environment, definition) = wanted(tx, tenant, api, new).await?;
    let replaces = live::revision(tx, environment.id, api).await?;
    let made = Made { tenant, api: &row, environment: &environment, replaces };
    let release = match (new.revision, definition) {
        (Some(revision), Some(definition)) => made.release(tx, actor, revision, definition).await?,
        _ => made.withdraw(tx, actor).await?,
    };
    let release = view(release, &environment.slug, waiting());
    record(tx, actor, tenant, &row.name, &release).await?;
    Ok(release)
}

struct Made<'a> {
    tenant: TenantId,
    api: &'a api_rows::Model,
    environment: &'a Environment,
    /// The revision that is live now.
    replaces: Option<u32>,
}

impl Made<'_> {
    async fn release(
        &self,
        tx: &Tx,
        actor: &Actor,
        revision: u32,
        definition: ApiDefinition,
    ) -> Result<releases::Model> {
        definition::check_release(&definition)?;
        let hosts = definition.hosts.clone();
        let api = ApiId(self.api.id);
        let part = ApiPart {
            schema: PART_SCHEMA,
            tenant: self.tenant,
            tenant_slug: crate::tenants::get(tx, self.tenant).await?.slug,
            api,
            slug: self.api.slug.clone(),
            revision,
            definition,
        };
        let (bytes, _) = part.canonical()?;
        let part = parts::put(tx, bytes).await?;
        let release = ReleaseId::generate();
        let released = ReleasedApi { api, tenant: self.tenant, release, revision, part };
        let change = JournalChange::ApiReleased(released);
        let position = journal::append(tx, self.environment.id, change).await?;
        let row = self.insert(tx, actor, release, Some(revision), Some(part.to_string()), position).await?;
        live::set(tx, &row, revision, &hosts).await?;
        Ok(row)
    }

    async fn withdraw(&self, tx: &Tx, actor: &Actor) -> Result<releases::Model> {
        if self.replaces.is_none() {
            let message = format!("`{}` does not serve the API.", self.environment.slug);
            return Err(Error::conflict("not_live", message));
        }
        let api = ApiId(self.api.id);
        let change = JournalChange::ApiWithdrawn { api };
        let position = journal::append(tx, self.environment.id, change).await?;
        live::unset(tx, self.environment.id, api).await?;
        self.insert(tx, actor, ReleaseId::generate(), None, None, position).await
    }

    async fn insert(
        &self,
        tx: &Tx,
        actor: &Actor,
        id: ReleaseId,
        revision: Option<u32>,
        part_hash: Option<String>,
        position: u64,
    ) -> Result<releases::Model> {
        let rollback = matches!((revision, self.replaces), (Some(new), Some(old)) if new < old);
        let row = releases::ActiveModel {
            id: Set(id.0),
            tenant_id: Set(self.tenant.0),
            api_id: Set(self.api.id),
            environment_id: Set(self.environment.id.0),
            revision: Set(revision.map(stored)),
            replaces: Set(self.replaces.map(stored)),
            rollback: Set(rollback),
            part_hash: Set(part_hash),
            position: Set(journal::stored(position)),
            created_by: Set(actor.name.clone()),
            created_at: Set(crate::now()),
        };
        Ok(row.insert(tx).await?)
    }
}

/// Forgets the releases of an API that is not live anywhere.
pub(crate) async fn delete_all(tx: &Tx, tenant: TenantId, api: ApiId) -> Result<()> {
    live_apis::Entity::delete_many()
        .filter(live_apis::Column::TenantId.eq(tenant.0))
        .filter(live_apis::Column::ApiId.eq(api.0))
        .exec(tx)
        .await?;
    releases::Entity::delete_many()
        .filter(releases::Column::TenantId.eq(tenant.0))
        .filter(releases::Column::ApiId.eq(api.0))
        .exec(tx)
        .await?;
    Ok(())
}

fn of(tenant: TenantId, api: ApiId) -> Select<releases::Entity> {
    releases::Entity::find()
        .filter(releases::Column::TenantId.eq(tenant.0))
        .filter(releases::Column::ApiId.eq(api.0))
}

async fn with_progress(db: &impl ConnectionTrait, rows: Vec<releases::Model>) -> Result<Vec<Release>> {
    let awaited: Vec<_> = rows.iter().map(awaited).collect();
    let progress = progress_of_all(db, &awaited).await?;
    let slugs = environments::slugs(db, rows.iter().map(|row| EnvironmentId(row.environment_id))).await?;
    let releases = rows.into_iter().zip(progress).map(|(row, progress)| {
        let slug = slugs.get(&EnvironmentId(row.environment_id)).ok_or(Error::NotFound)?;
        Ok(view(row, slug, progress))
    });
    releases.collect()
}

fn awaited(row: &releases::Model) -> Awaited {
    let part = row.part_hash.as_deref().and_then(|hash| hash.parse().ok());
    Awaited {
        environment: EnvironmentId(row.environment_id),
        position: journal::position(row.position),
        at: row.created_at,
        part: part.map(|part| (ApiId(row.api_id), part)),
    }
}

/// Just made: nobody can have heard of it.
fn waiting() -> Progress {
    Progress { state: ProgressState::Waiting, gateways: Vec::new() }
}

fn view(row: releases::Model, environment_slug: &str, progress: Progress) -> Release {
    let releases::Model {
        id,
        tenant_id: _,
        api_id,
        environment_id,
        revision,
        replaces,
        rollback,
        part_hash: _,
        position,
        created_by,
        created_at,
    } = row;
    Release {
        id: ReleaseId(id),
        api: ApiId(api_id),
        environment: EnvironmentId(environment_id),
        environment_slug: environment_slug.to_owned(),
        revision: revision.map(i32::unsigned_abs),
        replaces: replaces.map(i32::unsigned_abs),
        rollback,
        position: journal::position(position),
        created_by,
        created_at,
        progress,
    }
}

fn stored(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

async fn record(tx: &Tx, actor: &Actor, tenant: TenantId, api_name: &str, release: &Release) -> Result<()> {
    let mut after = seen(release)?;
    if let Some(fields) = after.as_mut().and_then(|value| value.as_object_mut()) {
        fields.remove("progress");
    }
    let name = match release.revision {
        Some(revision) => format!("{api_name} #{revision} → {}", release.environment_slug),
        None => format!("{api_name} withdrawn from {}", release.environment_slug),
    };
    let change = Change {
        tenant: Some(tenant),
        action: "create_release",
        resource: "release",
        id: release.id.to_string(),
        name: &name,
        before: None,
        after,
    };
    audit::record(tx, actor, change).await
}
