//! What was predicted of cache policies that were made from advice: the newest of each route.

use std::collections::BTreeMap;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Set};
use sluice_contract::ids::{ApiId, TenantId};
use sluice_contract::rest::cache_advice::CachePrediction;
use sluice_entity::cache_predictions::{ActiveModel, Column, Entity, Model};

use crate::Tx;
use crate::error::Result;

/// Those of an API, by route.
///
/// # Errors
/// When the database fails.
pub async fn of_api(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    api: ApiId,
) -> Result<BTreeMap<String, CachePrediction>> {
    let rows = Entity::find().filter(Column::TenantId.eq(tenant.0)).filter(Column::ApiId.eq(api.0));
    Ok(rows.all(db).await?.into_iter().map(view).collect())
}

/// Notes a prediction in place of the route's last. Who calls this holds the lock of the API's row.
///
/// # Errors
/// When the database fails.
pub async fn note(
    tx: &Tx,
    tenant: TenantId,
    api: ApiId,
    route: &str,
    predicted: &CachePrediction,
) -> Result<()> {
    let CachePrediction { ttl_s, hit_ratio, memory_bytes, saved_us_per_call, calls, made_at, made_by } =
        predicted;
    Entity::delete_by_id((api.0, route.to_owned())).exec(tx).await?;
    let row = ActiveModel {
        api_id: Set(api.0),
        route: Set(route.to_owned()),
        tenant_id: Set(tenant.0),
        ttl_s: Set(signed(*ttl_s)),
        hit_ratio: Set(*hit_ratio),
        memory_bytes: Set(signed(*memory_bytes)),
        saved_us_per_call: Set(signed(*saved_us_per_call)),
        calls: Set(signed(*calls)),
        made_at: Set(*made_at),
        made_by: Set(made_by.clone()),
    };
    Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

fn view(row: Model) -> (String, CachePrediction) {
    let Model {
        api_id: _,
        route,
        tenant_id: _,
        ttl_s,
        hit_ratio,
        memory_bytes,
        saved_us_per_call,
        calls,
        made_at,
        made_by,
    } = row;
    let count = |stored: i64| u64::try_from(stored).unwrap_or_default();
    let predicted = CachePrediction {
        ttl_s: count(ttl_s),
        hit_ratio,
        memory_bytes: count(memory_bytes),
        saved_us_per_call: count(saved_us_per_call),
        calls: count(calls),
        made_at,
        made_by,
    };
    (route, predicted)
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
