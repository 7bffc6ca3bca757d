//! Gateways as callers see them.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::Query;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use sluice_contract::ids::{EnvironmentId, GatewayId, IncarnationId, TenantId};
use sluice_contract::link::{FailedPart, Heartbeat};
use sluice_contract::rest::gateways::{Gateway, GatewayFailedPart, GatewayHealth, GatewayState};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_entity::{environments, gateway_boots, gateways};
use uuid::Uuid;

use super::alive;
use crate::journal::{self, Counter};
use crate::keyset::{Listing, Sort};
use crate::{Error, Result};

/// A gateway that was silent for longer is not missed.
const LATELY: TimeDelta = TimeDelta::hours(1);

const LISTING: Listing<gateways::Entity> = Listing {
    sorts: &[
        Sort { name: "name", column: gateways::Column::Name },
        Sort { name: "enrolled_at", column: gateways::Column::EnrolledAt },
    ],
    descending: false,
    id: gateways::Column::Id,
    search: &[gateways::Column::Name],
};

/// Gateways of environments that the tenant may use, without removed ones. Sorts: `name`, `enrolled_at`.
///
/// # Errors
/// [`Error::Invalid`] for a page that cannot be; when the database fails.
pub async fn list(db: &impl ConnectionTrait, tenant: TenantId, page: &PageQuery) -> Result<Page<Gateway>> {
    let select = usable_by(tenant).filter(gateways::Column::RemovedAt.is_null());
    let Page { items, next } = LISTING.page(db, select, page).await?;
    Ok(Page { items: seen(db, Some(tenant), items).await?, next })
}

/// One gateway of an environment that the tenant may use, removed ones too.
///
/// # Errors
/// [`Error::NotFound`] when there is none; when the database fails.
pub async fn get_for(db: &impl ConnectionTrait, tenant: TenantId, gateway: GatewayId) -> Result<Gateway> {
    let row = usable_by(tenant).filter(gateways::Column::Id.eq(gateway.0)).one(db).await?;
    one(db, Some(tenant), row).await
}

/// One gateway, removed ones too, for the platform.
///
/// # Errors
/// [`Error::NotFound`] when there is none; when the database fails.
pub async fn get(db: &impl ConnectionTrait, gateway: GatewayId) -> Result<Gateway> {
    one(db, None, gateways::Entity::find_by_id(gateway.0).one(db).await?).await
}

async fn one(
    db: &impl ConnectionTrait,
    tenant: Option<TenantId>,
    row: Option<gateways::Model>,
) -> Result<Gateway> {
    seen(db, tenant, vec![row.ok_or(Error::NotFound)?]).await?.pop().ok_or(Error::NotFound)
}

fn usable_by(tenant: TenantId) -> Select<gateways::Entity> {
    let environments = Query::select()
        .column(environments::Column::Id)
        .from(environments::Entity)
        .cond_where(crate::environments::usable_by(tenant))
        .to_owned();
    gateways::Entity::find().filter(gateways::Column::EnvironmentId.in_subquery(environments))
}

/// Whether there is such a gateway, and it was not removed.
///
/// # Errors
/// When the database fails.
pub async fn is_active(db: &impl ConnectionTrait, gateway: GatewayId) -> Result<bool> {
    let found: Option<Uuid> = gateways::Entity::find_by_id(gateway.0)
        .select_only()
        .column(gateways::Column::Id)
        .filter(gateways::Column::RemovedAt.is_null())
        .into_tuple()
        .one(db)
        .await?;
    Ok(found.is_some())
}

/// Whether an environment has other gateways than this one, whether they are there at the moment or not.
///
/// # Errors
/// When the database fails.
pub async fn has_others(
    db: &impl ConnectionTrait,
    environment: EnvironmentId,
    gateway: GatewayId,
) -> Result<bool> {
    let found: Option<Uuid> = gateways::Entity::find()
        .select_only()
        .column(gateways::Column::Id)
        .filter(gateways::Column::EnvironmentId.eq(environment.0))
        .filter(gateways::Column::Id.ne(gateway.0))
        .filter(gateways::Column::RemovedAt.is_null())
        .into_tuple()
        .one(db)
        .await?;
    Ok(found.is_some())
}

/// The gateways of an environment that the tenant may use, which were heard of in the last hour, with their names and in their order.
///
/// # Errors
/// [`Error::Invalid`] when there is no such environment for the tenant; when the database fails.
pub async fn lately_seen(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    environment: EnvironmentId,
) -> Result<Vec<(GatewayId, String)>> {
    let environment = crate::environments::named(db, tenant, environment).await?;
    let found: Vec<(Uuid, String)> = gateways::Entity::find()
        .select_only()
        .columns([gateways::Column::Id, gateways::Column::Name])
        .filter(gateways::Column::EnvironmentId.eq(environment.id.0))
        .filter(gateways::Column::RemovedAt.is_null())
        .filter(gateways::Column::LastSeenAt.gt(crate::now() - LATELY))
        .order_by_asc(gateways::Column::Name)
        .into_tuple()
        .all(db)
        .await?;
    Ok(found.into_iter().map(|(id, name)| (GatewayId(id), name)).collect())
}

/// All gateways that an environment ever had.
///
/// # Errors
/// When the database fails.
pub async fn of_environment(db: &impl ConnectionTrait, environment: EnvironmentId) -> Result<Vec<GatewayId>> {
    let ids: Vec<Uuid> = gateways::Entity::find()
        .select_only()
        .column(gateways::Column::Id)
        .filter(gateways::Column::EnvironmentId.eq(environment.0))
        .into_tuple()
        .all(db)
        .await?;
    Ok(ids.into_iter().map(GatewayId).collect())
}

/// Gateways that were removed since then.
///
/// # Errors
/// When the database fails.
pub async fn removed_since(db: &impl ConnectionTrait, since: DateTime<Utc>) -> Result<HashSet<GatewayId>> {
    let ids: Vec<Uuid> = gateways::Entity::find()
        .select_only()
        .column(gateways::Column::Id)
        .filter(gateways::Column::RemovedAt.gte(since))
        .into_tuple()
        .all(db)
        .await?;
    Ok(ids.into_iter().map(GatewayId).collect())
}

/// Where clients reach the gateways that were not removed.
///
/// # Errors
/// When the database fails.
pub async fn public_urls(db: &impl ConnectionTrait) -> Result<HashSet<String>> {
    let urls: Vec<String> = gateways::Entity::find()
        .select_only()
        .column(gateways::Column::PublicUrl)
        .distinct()
        .filter(gateways::Column::RemovedAt.is_null())
        .filter(gateways::Column::PublicUrl.is_not_null())
        .into_tuple()
        .all(db)
        .await?;
    Ok(urls.into_iter().collect())
}

/// The same by environment, in order, without a slash at the end.
///
/// # Errors
/// When the database fails.
pub async fn urls_by_environment(
    db: &impl ConnectionTrait,
) -> Result<HashMap<EnvironmentId, BTreeSet<String>>> {
    let urls: Vec<(Uuid, String)> = gateways::Entity::find()
        .select_only()
        .columns([gateways::Column::EnvironmentId, gateways::Column::PublicUrl])
        .distinct()
        .filter(gateways::Column::RemovedAt.is_null())
        .filter(gateways::Column::PublicUrl.is_not_null())
        .into_tuple()
        .all(db)
        .await?;
    let mut sorted = HashMap::<_, BTreeSet<_>>::new();
    for (environment, url) in urls {
        let urls = sorted.entry(EnvironmentId(environment)).or_default();
        urls.insert(url.trim_end_matches('/').to_owned());
    }
    Ok(sorted)
}

/// What rows need from other tables to be shown.
struct Surroundings {
    slugs: HashMap<Uuid, String>,
    counters: HashMap<EnvironmentId, Counter>,
    incarnation: IncarnationId,
    /// Calls lost and dropped in the lives that are kept one by one.
    missing: HashMap<Uuid, (i64, i64)>,
}

async fn seen(
    db: &impl ConnectionTrait,
    tenant: Option<TenantId>,
    rows: Vec<gateways::Model>,
) -> Result<Vec<Gateway>> {
    let around = surroundings(db, &rows).await?;
    rows.into_iter().map(|row| gateway(row, tenant, &around)).collect()
}

async fn surroundings(db: &impl ConnectionTrait, rows: &[gateways::Model]) -> Result<Surroundings> {
    let slugs = environments::Entity::find()
        .filter(environments::Column::Id.is_in(rows.iter().map(|row| row.environment_id)))
        .all(db)
        .await?;
    let boots = gateway_boots::Entity::find()
        .filter(gateway_boots::Column::GatewayId.is_in(rows.iter().map(|row| row.id)))
        .all(db)
        .await?;
    let mut missing: HashMap<Uuid, (i64, i64)> = HashMap::new();
    for boot in boots {
        let (lost, dropped) = missing.entry(boot.gateway_id).or_default();
        *lost += boot.lost_calls;
        *dropped += boot.dropped_calls;
    }
    Ok(Surroundings {
        slugs: slugs.into_iter().map(|row| (row.id, row.slug)).collect(),
        counters: journal::counters(db).await?,
        incarnation: journal::incarnation(db).await?,
        missing,
    })
}

fn gateway(row: gateways::Model, tenant: Option<TenantId>, around: &Surroundings) -> Result<Gateway> {
    let environment = EnvironmentId(row.environment_id);
    let head = around.counters.get(&environment).map_or(0, |counter| counter.head);
    let applied = applied(&row, around.incarnation);
    let state = state(&row, applied, head);
    let heartbeat: Option<Heartbeat> = row.heartbeat.as_deref().map(serde_json::from_str).transpose()?;
    let failed: Vec<FailedPart> = serde_json::from_str(&row.failed_parts)?;
    let (lost, dropped) = around.missing.get(&row.id).copied().unwrap_or_default();
    Ok(Gateway {
        id: GatewayId(row.id),
        name: row.name,
        environment,
        environment_slug: around.slugs.get(&row.environment_id).cloned().unwrap_or_default(),
        region: row.region,
        version: row.version,
        public_url: row.public_url,
        state,
        applied,
        head,
        enrolled_at: row.enrolled_at,
        last_seen_at: row.last_seen_at,
        health: heartbeat.map(|heartbeat| GatewayHealth::seen_by(tenant, heartbeat)),
        failed_parts: failed.iter().map(GatewayFailedPart::from).collect(),
        lost_calls: (row.lost_calls + lost).unsigned_abs(),
        dropped_calls: (row.dropped_calls + dropped).unsigned_abs(),
    })
}

/// The position that a gateway serves; none of this incarnation counts as 0.
pub(crate) fn applied(row: &gateways::Model, incarnation: IncarnationId) -> u64 {
    if row.applied_incarnation == Some(incarnation.0) { journal::position(row.applied) } else { 0 }
}

fn state(row: &gateways::Model, applied: u64, head: u64) -> GatewayState {
    if row.removed_at.is_some() {
        GatewayState::Removed
    } else if !alive(row.last_seen_at, crate::now()) {
        GatewayState::Silent
    } else if applied < head {
        GatewayState::Behind
    } else {
        GatewayState::Live
    }
}
