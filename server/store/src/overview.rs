//! The counts of the front page.

use chrono::TimeDelta;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect,
    QueryTrait,
};
use sluice_contract::ids::TenantId;
use sluice_entity::{apis, applications, environments, gateways, subscriptions};

use crate::Result;

/// A gateway that was heard of within this time is live (DESIGN.md: 10 seconds).
const LIVE: TimeDelta = TimeDelta::seconds(10);

/// How much there is, and how much waits for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inventory {
    pub pending_approvals: u64,
    pub apis: u64,
    pub applications: u64,
    /// Gateways of environments that the tenant may use, and those of them that are live.
    pub gateways: u64,
    pub gateways_live: u64,
}

/// Counts what the tenant has.
///
/// # Errors
/// When the database fails.
pub async fn inventory(db: &impl ConnectionTrait, tenant: TenantId) -> Result<Inventory> {
    let pending = subscriptions::Entity::find()
        .filter(subscriptions::Column::TenantId.eq(tenant.0))
        .filter(subscriptions::Column::State.eq("pending"));
    let apis = apis::Entity::find().filter(apis::Column::TenantId.eq(tenant.0));
    let applications = applications::Entity::find().filter(applications::Column::TenantId.eq(tenant.0));
    let live = gateways_of(tenant).filter(gateways::Column::LastSeenAt.gt(crate::now() - LIVE));
    Ok(Inventory {
        pending_approvals: pending.count(db).await?,
        apis: apis.count(db).await?,
        applications: applications.count(db).await?,
        gateways: gateways_of(tenant).count(db).await?,
        gateways_live: live.count(db).await?,
    })
}

fn gateways_of(tenant: TenantId) -> sea_orm::Select<gateways::Entity> {
    let dedicated = environments::Column::DedicatedTo;
    let usable = environments::Entity::find()
        .select_only()
        .column(environments::Column::Id)
        .filter(Condition::any().add(dedicated.is_null()).add(dedicated.eq(tenant.0)));
    gateways::Entity::find()
        .filter(gateways::Column::RemovedAt.is_null())
        .filter(gateways::Column::EnvironmentId.in_subquery(usable.into_query()))
}
