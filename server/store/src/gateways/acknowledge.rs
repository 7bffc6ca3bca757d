//! Acknowledgements: which position a gateway serves, since when, and what it could not use.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, Set};
use sluice_contract::ids::{EnvironmentId, GatewayId};
use sluice_contract::link::Acknowledgement;
use sluice_entity::{gateway_acks, gateways};

use crate::{Error, Result, Tx, journal};

/// An acknowledgement and when it came, by the clock of the control plane, because gateways' clocks may differ.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    pub gateway: GatewayId,
    pub received_at: DateTime<Utc>,
    pub acknowledgement: Acknowledgement,
}

/// Whether a position is one of this life of the database. Needs no transaction: positions only grow, and what is
/// written of a life that has just ended counts for nothing.
///
/// # Errors
/// [`Error::Conflict`] `incarnation_changed` when the position is of another life of the database, or beyond the head;
/// when the database fails.
pub async fn check_acknowledgement(
    db: &impl ConnectionTrait,
    environment: EnvironmentId,
    acknowledgement: &Acknowledgement,
) -> Result<()> {
    let Acknowledgement { incarnation, position, applied_at: _, failed: _ } = acknowledgement;
    if *incarnation != journal::incarnation(db).await? || *position > journal::head(db, environment).await? {
        return Err(Error::conflict(
            "incarnation_changed",
            "this position is of another life of the database; take a snapshot",
        ));
    }
    Ok(())
}

/// Notes what gateways serve, after [`check_acknowledgement`].
///
/// # Errors
/// When the database fails.
pub async fn acknowledge(tx: &Tx, all: &[Acknowledged]) -> Result<()> {
    let mut all: Vec<_> = all.iter().collect();
    // In one order everywhere, so that two control planes never wait for each other's rows.
    all.sort_by_key(|acknowledged| acknowledged.gateway);
    let mut rows = Vec::with_capacity(all.len());
    for Acknowledged { gateway, received_at, acknowledgement } in all {
        let Acknowledgement { incarnation: _, position, applied_at, failed } = acknowledgement;
        let failed_parts = serde_json::to_string(failed)?;
        advance(tx, *gateway, *received_at, acknowledgement, &failed_parts).await?;
        rows.push(gateway_acks::ActiveModel {
            gateway_id: Set(gateway.0),
            position: Set(journal::stored(*position)),
            received_at: Set(*received_at),
            applied_at: Set(*applied_at),
            failed_parts: Set((!failed.is_empty()).then_some(failed_parts)),
        });
    }
    let first_counts = OnConflict::columns([gateway_acks::Column::GatewayId, gateway_acks::Column::Position])
        .do_nothing()
        .to_owned();
    gateway_acks::Entity::insert_many(rows).on_conflict(first_counts).exec_without_returning(tx).await?;
    Ok(())
}

/// A late repetition of an older acknowledgement takes nothing back.
async fn advance(
    tx: &Tx,
    gateway: GatewayId,
    received_at: DateTime<Utc>,
    Acknowledgement { incarnation, position, .. }: &Acknowledgement,
    failed_parts: &str,
) -> Result<()> {
    let newer = Condition::any()
        .add(gateways::Column::Applied.lte(journal::stored(*position)))
        .add(gateways::Column::AppliedIncarnation.is_null())
        .add(gateways::Column::AppliedIncarnation.ne(incarnation.0));
    gateways::Entity::update_many()
        .col_expr(gateways::Column::Applied, Expr::value(journal::stored(*position)))
        .col_expr(gateways::Column::AppliedIncarnation, Expr::value(incarnation.0))
        .col_expr(gateways::Column::FailedParts, Expr::value(failed_parts))
        .col_expr(gateways::Column::LastSeenAt, Expr::value(received_at))
        .filter(gateways::Column::Id.eq(gateway.0))
        .filter(newer)
        .exec(tx)
        .await?;
    Ok(())
}
