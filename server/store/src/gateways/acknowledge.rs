//! Acknowledgements: which position a gateway serves, since when, and what it could not use.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, Set};
use sluice_contract::ids::{EnvironmentId, GatewayId};
use sluice_contract::link::Acknowledgement;
use sluice_entity::{gateway_acks, gateways};

use crate::{Error, Result, Tx, journal};

/// Notes that a gateway serves the state at a position. `received_at` is by the clock of the control plane, because
/// gateways' clocks may differ.
///
/// # Errors
/// [`Error::Conflict`] `incarnation_changed` when the position is of another life of the database, or beyond the head;
/// when the database fails.
pub async fn acknowledge(
    tx: &Tx,
    gateway: GatewayId,
    environment: EnvironmentId,
    acknowledgement: &Acknowledgement,
    received_at: DateTime<Utc>,
) -> Result<()> {
    let Acknowledgement { incarnation, position, applied_at, failed } = acknowledgement;
    if *incarnation != journal::incarnation(tx).await? || *position > journal::head(tx, environment).await? {
        return Err(Error::conflict(
            "incarnation_changed",
            "this position is of another life of the database; take a snapshot",
        ));
    }
    let failed_parts = serde_json::to_string(failed)?;
    // A late repetition of an older acknowledgement takes nothing back.
    let newer = Condition::any()
        .add(gateways::Column::Applied.lte(journal::stored(*position)))
        .add(gateways::Column::AppliedIncarnation.is_null())
        .add(gateways::Column::AppliedIncarnation.ne(incarnation.0));
    gateways::Entity::update_many()
        .col_expr(gateways::Column::Applied, Expr::value(journal::stored(*position)))
        .col_expr(gateways::Column::AppliedIncarnation, Expr::value(incarnation.0))
        .col_expr(gateways::Column::FailedParts, Expr::value(failed_parts.as_str()))
        .col_expr(gateways::Column::LastSeenAt, Expr::value(received_at))
        .filter(gateways::Column::Id.eq(gateway.0))
        .filter(newer)
        .exec(tx)
        .await?;
    let row = gateway_acks::ActiveModel {
        gateway_id: Set(gateway.0),
        position: Set(journal::stored(*position)),
        received_at: Set(received_at),
        applied_at: Set(*applied_at),
        failed_parts: Set((!failed.is_empty()).then_some(failed_parts)),
    };
    let first_counts = OnConflict::columns([gateway_acks::Column::GatewayId, gateway_acks::Column::Position])
        .do_nothing()
        .to_owned();
    gateway_acks::Entity::insert(row).on_conflict(first_counts).exec_without_returning(tx).await?;
    Ok(())
}
