//! Gateways that have come up with an empty memory, for plans that warm those.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};
use sluice_contract::ids::{ApiId, EnvironmentId, GatewayId, TenantId};
use sluice_contract::rest::warmings::WarmingCause;
use sluice_entity::{gateways, warming_plans};
use uuid::Uuid;

use super::{Due, What};
use crate::Tx;
use crate::error::Result;
use crate::gateways::ALIVE;

/// A gateway in a life of which no plan has been told.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    pub gateway: GatewayId,
    pub environment: EnvironmentId,
    boot: Uuid,
}

/// Gateways that are alive and new.
///
/// # Errors
/// When the database fails.
pub async fn arrivals(db: &impl ConnectionTrait) -> Result<Vec<Arrival>> {
    let rows: Vec<(Uuid, Uuid, Uuid)> = gateways::Entity::find()
        .select_only()
        .columns([gateways::Column::Id, gateways::Column::EnvironmentId, gateways::Column::Boot])
        .filter(gateways::Column::RemovedAt.is_null())
        .filter(gateways::Column::LastSeenAt.gt(crate::now() - ALIVE))
        .filter(is_new())
        .into_tuple()
        .all(db)
        .await?;
    let of = |(gateway, environment, boot)| Arrival {
        gateway: GatewayId(gateway),
        environment: EnvironmentId(environment),
        boot,
    };
    Ok(rows.into_iter().map(of).collect())
}

/// The plans that warm it.
///
/// # Errors
/// When the database fails.
pub async fn plans_for(db: &impl ConnectionTrait, arrival: Arrival) -> Result<Vec<Due>> {
    let rows = warming_plans::Entity::find()
        .filter(warming_plans::Column::EnvironmentId.eq(arrival.environment.0))
        .filter(warming_plans::Column::OnGateway.eq(true))
        .all(db)
        .await?;
    let of = |row: warming_plans::Model| {
        let what = What {
            tenant: TenantId(row.tenant_id),
            api: ApiId(row.api_id),
            environment: arrival.environment,
            cause: WarmingCause::Gateway,
            only: Some(arrival.gateway),
        };
        Ok(Due { what, plan: serde_json::from_value(row.plan)? })
    };
    rows.into_iter().map(of).collect()
}

/// Whether it is still new, which it then is no more: of several control planes one is told so.
///
/// # Errors
/// When the database fails.
pub async fn take_arrival(tx: &Tx, arrival: Arrival) -> Result<bool> {
    let taken = gateways::Entity::update_many()
        .col_expr(gateways::Column::WarmedBoot, Expr::value(arrival.boot))
        .filter(gateways::Column::Id.eq(arrival.gateway.0))
        .filter(gateways::Column::Boot.eq(arrival.boot))
        .filter(is_new())
        .exec(tx)
        .await?;
    Ok(taken.rows_affected > 0)
}

fn is_new() -> Condition {
    let another = Expr::col(gateways::Column::WarmedBoot).ne(Expr::col(gateways::Column::Boot));
    Condition::all()
        .add(gateways::Column::Boot.is_not_null())
        .add(Condition::any().add(gateways::Column::WarmedBoot.is_null()).add(another))
}
