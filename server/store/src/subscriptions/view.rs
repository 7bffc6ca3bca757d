//! Subscriptions as callers see them: with names.

use std::collections::HashMap;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};
use sluice_contract::ids::{ApiId, ApplicationId, PlanId, SubscriptionId, TenantId};
use sluice_contract::rest::subscriptions::Subscription;
use sluice_entity::{apis, applications, plans, subscriptions};
use uuid::Uuid;

use crate::Tx;
use crate::audit::{self, Actor, Change, seen};
use crate::error::Result;

pub(super) async fn subscriptions(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    rows: Vec<subscriptions::Model>,
) -> Result<Vec<Subscription>> {
    let applications = names(
        db,
        applications::Entity::find()
            .select_only()
            .columns([applications::Column::Id, applications::Column::Name])
            .filter(applications::Column::TenantId.eq(tenant.0))
            .filter(applications::Column::Id.is_in(rows.iter().map(|row| row.application_id))),
    )
    .await?;
    let apis = names(
        db,
        apis::Entity::find()
            .select_only()
            .columns([apis::Column::Id, apis::Column::Name])
            .filter(apis::Column::TenantId.eq(tenant.0))
            .filter(apis::Column::Id.is_in(rows.iter().map(|row| row.api_id))),
    )
    .await?;
    let plans = names(
        db,
        plans::Entity::find()
            .select_only()
            .columns([plans::Column::Id, plans::Column::Name])
            .filter(plans::Column::TenantId.eq(tenant.0))
            .filter(plans::Column::Id.is_in(rows.iter().map(|row| row.plan_id))),
    )
    .await?;
    let name = |names: &HashMap<Uuid, String>, id| names.get(&id).cloned().unwrap_or_default();
    let view = |row: subscriptions::Model| Subscription {
        id: SubscriptionId(row.id),
        application: ApplicationId(row.application_id),
        application_name: name(&applications, row.application_id),
        api: ApiId(row.api_id),
        api_name: name(&apis, row.api_id),
        plan: PlanId(row.plan_id),
        plan_name: name(&plans, row.plan_id),
        state: super::state(&row.state),
        message: row.message,
        reason: row.reason,
        requested_by: row.requested_by,
        decided_by: row.decided_by,
        version: crate::version(row.version),
        created_at: row.created_at,
        decided_at: row.decided_at,
    };
    Ok(rows.into_iter().map(view).collect())
}

async fn names<E: EntityTrait>(
    db: &impl ConnectionTrait,
    select: sea_orm::Select<E>,
) -> Result<HashMap<Uuid, String>> {
    Ok(select.into_tuple::<(Uuid, String)>().all(db).await?.into_iter().collect())
}

pub(super) async fn record(
    tx: &Tx,
    actor: &Actor,
    action: &str,
    tenant: TenantId,
    before: Option<&Subscription>,
    after: &Subscription,
) -> Result<()> {
    let name = format!("{} → {} ({})", after.application_name, after.api_name, after.plan_name);
    let change = Change {
        tenant: Some(tenant),
        action,
        resource: "subscription",
        id: after.id.to_string(),
        name: &name,
        before: before.map(seen).transpose()?.flatten(),
        after: seen(after)?,
    };
    audit::record(tx, actor, change).await
}
