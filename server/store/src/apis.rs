//! APIs and their drafts.

mod draft;
mod view;

use sea_orm::sea_query::Query;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
    Select, Set,
};
use sluice_contract::definition::ApiDefinition;
use sluice_contract::ids::{ApiId, TeamId, TenantId};
use sluice_contract::rest::apis::{Api, ApiFilter, ApiSummary, CreateApi, UpdateApi};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_entity::{apis, live_apis, subscriptions};

use crate::audit::{self, Actor};
use crate::error::{Error, Result, not_unique};
use crate::keyset::{Listing, Sort};
use crate::{Tx, access, check_version, definition, plans, releases, text};

pub use draft::draft;
pub(crate) use view::base_path;
pub use view::summaries;

/// Longest description, in characters: a page of documentation.
const DESCRIPTION_MAX: usize = 100_000;

pub(crate) const LISTING: Listing<apis::Entity> = Listing {
    sorts: &[
        Sort { name: "name", column: apis::Column::Name },
        Sort { name: "slug", column: apis::Column::Slug },
        Sort { name: "created_at", column: apis::Column::CreatedAt },
        Sort { name: "updated_at", column: apis::Column::UpdatedAt },
    ],
    descending: false,
    id: apis::Column::Id,
    search: &[apis::Column::Name, apis::Column::Slug, apis::Column::Description],
};

/// APIs of a tenant. Sorts: `name`, `slug`, `created_at`, `updated_at`.
///
/// # Errors
/// See [`Listing::page`].
pub async fn list(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    filter: &ApiFilter,
    page: &PageQuery,
) -> Result<Page<ApiSummary>> {
    let ApiFilter { team, listed } = filter;
    let mut select = of(tenant);
    if let Some(team) = team {
        select = select.filter(apis::Column::TeamId.eq(team.0));
    }
    if let Some(listed) = listed {
        select = select.filter(apis::Column::Listed.eq(*listed));
    }
    let Page { items, next } = LISTING.page(db, select, page).await?;
    Ok(Page { items: summaries(db, tenant, items).await?, next })
}

/// One API with its draft.
///
/// # Errors
/// [`Error::NotFound`] when it is not in this tenant.
pub async fn get(db: &impl ConnectionTrait, tenant: TenantId, id: ApiId) -> Result<Api> {
    let row = row(db, tenant, id).await?;
    let draft = draft(db, tenant, id).await?;
    view::api(db, tenant, row, draft).await
}

/// The team that owns an API, for authorisation.
///
/// # Errors
/// [`Error::NotFound`] when it is not in this tenant.
pub async fn team(db: &impl ConnectionTrait, tenant: TenantId, id: ApiId) -> Result<Option<TeamId>> {
    Ok(row(db, tenant, id).await?.team_id.map(TeamId))
}

/// Makes an API. It is not listed until somebody says so.
///
/// # Errors
/// [`Error::Invalid`], [`Error::NotUnique`] for the slug.
pub async fn create(tx: &Tx, actor: &Actor, tenant: TenantId, new: &CreateApi) -> Result<Api> {
    let CreateApi { slug, name, description, team, draft: definition } = new;
    text::all([
        text::slug("/slug", slug).map(drop),
        text::name("/name", name).map(drop),
        text::free("/description", description, DESCRIPTION_MAX).map(drop),
        definition::check("/draft", definition),
    ])?;
    check_team(tx, tenant, *team).await?;
    let now = crate::now();
    let row = apis::ActiveModel {
        id: Set(ApiId::generate().0),
        tenant_id: Set(tenant.0),
        team_id: Set(team.map(|team| team.0)),
        slug: Set(slug.clone()),
        name: Set(text::name("/name", name)?),
        description: Set(text::free("/description", description, DESCRIPTION_MAX)?),
        listed: Set(false),
        routes: Set(count(definition)),
        draft_hash: Set(definition::hash(definition)?),
        version: Set(1),
        created_at: Set(now),
        updated_at: Set(now),
    };
    let row = row.insert(tx).await.map_err(not_unique("/slug"))?;
    draft::insert(tx, tenant, ApiId(row.id), definition).await?;
    let api = view::api(tx, tenant, row, definition.clone()).await?;
    audit::changed(tx, actor, "create_api", tenant, None, Some(&api)).await?;
    Ok(api)
}

/// Changes an API that is still at `version`.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`], and those of [`create`].
pub async fn update(
    tx: &Tx,
    actor: &Actor,
    tenant: TenantId,
    id: ApiId,
    version: u64,
    new: &UpdateApi,
) -> Result<Api> {
    let row = lock(tx, tenant, id).await?;
    let next = check_version(row.version, version)?;
    let UpdateApi { name, description, team, listed, draft: definition } = new;
    text::all([
        text::name("/name", name).map(drop),
        text::free("/description", description, DESCRIPTION_MAX).map(drop),
        definition::check("/draft", definition),
    ])?;
    check_team(tx, tenant, *team).await?;
    let before = view::api(tx, tenant, row.clone(), draft(tx, tenant, id).await?).await?;
    let mut row = row.into_active_model();
    row.team_id = Set(team.map(|team| team.0));
    row.name = Set(text::name("/name", name)?);
    row.description = Set(text::free("/description", description, DESCRIPTION_MAX)?);
    row.listed = Set(*listed);
    row.routes = Set(count(definition));
    row.draft_hash = Set(definition::hash(definition)?);
    row.version = Set(next);
    row.updated_at = Set(crate::now());
    let row = row.update(tx).await?;
    draft::update(tx, tenant, id, definition).await?;
    let after = view::api(tx, tenant, row, definition.clone()).await?;
    audit::changed(tx, actor, "update_api", tenant, Some(&before), Some(&after)).await?;
    Ok(after)
}

/// Removes an API that is still at `version`, with its history, plans and subscriptions.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Stale`], and the conflict `live` while an environment serves it.
pub async fn delete(tx: &Tx, actor: &Actor, tenant: TenantId, id: ApiId, version: u64) -> Result<()> {
    let row = lock(tx, tenant, id).await?;
    check_version(row.version, version)?;
    let before = view::api(tx, tenant, row, draft(tx, tenant, id).await?).await?;
    if let Some(live) = before.live.first() {
        let message = format!("`{}` still serves the API: withdraw it there first.", live.environment_slug);
        return Err(Error::conflict("live", message));
    }
    plans::lock_all(tx, tenant, id).await?;
    let subscribers = access::subscribers_of_api(tx, tenant, id).await?;
    access::lock(tx, tenant, &subscribers).await?;
    // In this order, since plans and revisions are referred to by what goes before them.
    subscriptions::Entity::delete_many()
        .filter(subscriptions::Column::TenantId.eq(tenant.0))
        .filter(subscriptions::Column::ApiId.eq(id.0))
        .exec(tx)
        .await?;
    releases::delete_all(tx, tenant, id).await?;
    apis::Entity::delete_by_id(id.0).exec(tx).await?;
    access::announce(tx, tenant, &subscribers).await?;
    audit::changed(tx, actor, "delete_api", tenant, Some(&before), None).await
}

/// `wanted`, or the first of `wanted-2`, `wanted-3`, ... that no API of the tenant has.
///
/// # Errors
/// When the database fails.
pub async fn unused_slug(db: &impl ConnectionTrait, tenant: TenantId, wanted: &str) -> Result<String> {
    // A slug has at most 63 characters, all of them ASCII: room for a number.
    let start = &wanted[..wanted.len().min(58)];
    let taken: Vec<String> = of(tenant)
        .select_only()
        .column(apis::Column::Slug)
        .filter(apis::Column::Slug.starts_with(start))
        .into_tuple()
        .all(db)
        .await?;
    let mut slug = wanted.to_owned();
    let mut number = 2;
    while taken.contains(&slug) {
        slug = format!("{start}-{number}");
        number += 1;
    }
    Ok(slug)
}

pub(crate) fn of(tenant: TenantId) -> Select<apis::Entity> {
    apis::Entity::find().filter(apis::Column::TenantId.eq(tenant.0))
}

/// APIs that consumers may find: listed, and live in an environment that the tenant may use.
pub(crate) fn in_catalogue(tenant: TenantId) -> Select<apis::Entity> {
    let live = Query::select()
        .column(live_apis::Column::ApiId)
        .from(live_apis::Entity)
        .and_where(live_apis::Column::TenantId.eq(tenant.0))
        .take();
    of(tenant).filter(apis::Column::Listed.eq(true)).filter(apis::Column::Id.in_subquery(live))
}

pub(crate) async fn row(db: &impl ConnectionTrait, tenant: TenantId, id: ApiId) -> Result<apis::Model> {
    of(tenant).filter(apis::Column::Id.eq(id.0)).one(db).await?.ok_or(Error::NotFound)
}

/// The row, kept as it is until the transaction ends.
pub(crate) async fn lock(tx: &Tx, tenant: TenantId, id: ApiId) -> Result<apis::Model> {
    let select = of(tenant).filter(apis::Column::Id.eq(id.0)).lock_exclusive();
    select.one(tx).await?.ok_or(Error::NotFound)
}

pub(crate) async fn check_team(tx: &Tx, tenant: TenantId, team: Option<TeamId>) -> Result<()> {
    let Some(team) = team else { return Ok(()) };
    match crate::teams::get(tx, tenant, team).await {
        Err(Error::NotFound) => Err(Error::invalid("/team", "unknown", "There is no such team.")),
        other => other.map(drop),
    }
}

fn count(definition: &ApiDefinition) -> i32 {
    i32::try_from(definition.routes.len()).unwrap_or(i32::MAX)
}
