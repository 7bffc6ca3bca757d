//! Heartbeats, written together for all gateways that were heard of.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use sluice_contract::ids::GatewayId;
use sluice_contract::link::Heartbeat;
use sluice_entity::{gateway_boots, gateways};

use crate::{Result, Tx};

/// A heartbeat and when it came, by the clock of the control plane.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    pub gateway: GatewayId,
    pub at: DateTime<Utc>,
    pub heartbeat: Heartbeat,
}

/// Notes heartbeats.
///
/// # Errors
/// When the database fails.
pub async fn hear(tx: &Tx, heard: &[Heard]) -> Result<()> {
    for Heard { gateway, at, heartbeat } in heard {
        gateways::Entity::update_many()
            .col_expr(gateways::Column::LastSeenAt, Expr::value(*at))
            .col_expr(gateways::Column::Heartbeat, Expr::value(serde_json::to_string(heartbeat)?))
            .filter(gateways::Column::Id.eq(gateway.0))
            .exec(tx)
            .await?;
        if heartbeat.dropped_calls > 0 {
            let dropped = i64::try_from(heartbeat.dropped_calls).unwrap_or(i64::MAX);
            gateway_boots::Entity::update_many()
                .col_expr(gateway_boots::Column::DroppedCalls, Expr::value(dropped))
                .filter(gateway_boots::Column::GatewayId.eq(gateway.0))
                .filter(gateway_boots::Column::Boot.eq(heartbeat.boot.0))
                .exec(tx)
                .await?;
        }
    }
    Ok(())
}
