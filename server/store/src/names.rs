//! Names for people, for ids that the call log and the rollups hold. What was deleted since has none.

use std::collections::HashMap;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};
use sluice_contract::ids::{ApiId, ApplicationId, GatewayId, PlanId, TenantId};
use sluice_entity::{apis, applications, gateways, plans};
use uuid::Uuid;

use crate::Result;

/// Names of APIs of the tenant.
///
/// # Errors
/// When the database fails.
pub async fn apis(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    ids: impl IntoIterator<Item = ApiId>,
) -> Result<HashMap<ApiId, String>> {
    use apis::Column::{Id, Name, TenantId};
    let Some(ids) = some(ids.into_iter().map(|id| id.0)) else { return Ok(HashMap::new()) };
    let of_tenant = apis::Entity::find().filter(TenantId.eq(tenant.0));
    let names =
        of_tenant.filter(Id.is_in(ids)).select_only().columns([Id, Name]).into_tuple().all(db).await?;
    Ok(typed(names))
}

/// Names of applications of the tenant.
///
/// # Errors
/// When the database fails.
pub async fn applications(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    ids: impl IntoIterator<Item = ApplicationId>,
) -> Result<HashMap<ApplicationId, String>> {
    use applications::Column::{Id, Name, TenantId};
    let Some(ids) = some(ids.into_iter().map(|id| id.0)) else { return Ok(HashMap::new()) };
    let of_tenant = applications::Entity::find().filter(TenantId.eq(tenant.0));
    let names =
        of_tenant.filter(Id.is_in(ids)).select_only().columns([Id, Name]).into_tuple().all(db).await?;
    Ok(typed(names))
}

/// Names of plans of the tenant, each with the API that it is for.
///
/// # Errors
/// When the database fails.
pub async fn plans(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    ids: impl IntoIterator<Item = PlanId>,
) -> Result<HashMap<PlanId, (ApiId, String)>> {
    use plans::Column::{ApiId as Api, Id, Name, TenantId};
    let Some(ids) = some(ids.into_iter().map(|id| id.0)) else { return Ok(HashMap::new()) };
    let of_tenant = plans::Entity::find().filter(TenantId.eq(tenant.0));
    let found: Vec<(Uuid, Uuid, String)> =
        of_tenant.filter(Id.is_in(ids)).select_only().columns([Id, Api, Name]).into_tuple().all(db).await?;
    Ok(found.into_iter().map(|(id, api, name)| (PlanId(id), (ApiId(api), name))).collect())
}

/// Names of gateways, which belong to no tenant.
///
/// # Errors
/// When the database fails.
pub async fn gateways(
    db: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = GatewayId>,
) -> Result<HashMap<GatewayId, String>> {
    use gateways::Column::{Id, Name};
    let Some(ids) = some(ids.into_iter().map(|id| id.0)) else { return Ok(HashMap::new()) };
    let all = gateways::Entity::find();
    let names = all.filter(Id.is_in(ids)).select_only().columns([Id, Name]).into_tuple().all(db).await?;
    Ok(typed(names))
}

/// Each once; none when there are none, and then no query is needed.
fn some(ids: impl Iterator<Item = Uuid>) -> Option<Vec<Uuid>> {
    let mut ids: Vec<_> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    (!ids.is_empty()).then_some(ids)
}

fn typed<Id: From<Uuid> + Eq + std::hash::Hash>(names: Vec<(Uuid, String)>) -> HashMap<Id, String> {
    names.into_iter().map(|(id, name)| (Id::from(id), name)).collect()
}
