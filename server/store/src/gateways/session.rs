//! Sessions: one for each life of a gateway, which also brings the losses of its earlier lives.

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use sluice_contract::ids::{EnvironmentId, GatewayId};
use sluice_contract::link::{LostCalls, SessionRequest};
use sluice_contract::part::Sha256Hash;
use sluice_entity::{environments, gateway_boots, gateways};

use crate::{Error, Result, Tx};

/// Lives of a gateway that are kept one by one; older ones are added up.
const BOOTS: u64 = 20;

/// What became of a request for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Session {
    Opened {
        environment: EnvironmentId,
        environment_name: String,
    },
    /// There is no gateway with this id and secret.
    Unknown,
    /// An admin has removed it.
    Removed,
}

/// Opens a session for a boot of a gateway whose secret has this hash.
///
/// # Errors
/// When the database fails.
pub async fn open_session(tx: &Tx, request: &SessionRequest, secret: Sha256Hash) -> Result<Session> {
    let SessionRequest { gateway, secret: _, boot, version, protocol: _, public_url, lost_before } = request;
    let Some(row) = gateways::Entity::find_by_id(gateway.0).one(tx).await? else {
        return Ok(Session::Unknown);
    };
    // Both are hashes, so what time a comparison takes says nothing about the secret.
    if row.secret_hash != secret.to_string() {
        return Ok(Session::Unknown);
    }
    if row.removed_at.is_some() {
        return Ok(Session::Removed);
    }
    let environment =
        environments::Entity::find_by_id(row.environment_id).one(tx).await?.ok_or(Error::NotFound)?;
    gateways::Entity::update_many()
        .col_expr(gateways::Column::Boot, Expr::value(boot.0))
        .col_expr(gateways::Column::Version, Expr::value(version.as_str()))
        .col_expr(gateways::Column::PublicUrl, Expr::value(public_url.clone()))
        .col_expr(gateways::Column::LastSeenAt, Expr::value(crate::now()))
        .filter(gateways::Column::Id.eq(gateway.0))
        .exec(tx)
        .await?;
    count_boot(tx, *gateway, boot.0, version, 0).await?;
    for LostCalls { boot, count } in lost_before {
        count_boot(tx, *gateway, boot.0, version, i64::try_from(*count).unwrap_or(i64::MAX)).await?;
    }
    add_up_old_boots(tx, *gateway).await?;
    Ok(Session::Opened { environment: EnvironmentId(environment.id), environment_name: environment.name })
}

/// Notes a life and what is known to be lost of it; a repetition changes nothing.
async fn count_boot(tx: &Tx, gateway: GatewayId, boot: uuid::Uuid, version: &str, lost: i64) -> Result<()> {
    use gateway_boots::Column::{Boot, GatewayId, LostCalls};
    let row = gateway_boots::ActiveModel {
        gateway_id: Set(gateway.0),
        boot: Set(boot),
        started_at: Set(crate::now()),
        version: Set(version.to_owned()),
        lost_calls: Set(lost),
        dropped_calls: Set(0),
    };
    // `max` and `greatest` differ between the databases; losses are told once they are final.
    let again = if lost > 0 {
        OnConflict::columns([GatewayId, Boot]).update_column(LostCalls).to_owned()
    } else {
        OnConflict::columns([GatewayId, Boot]).do_nothing().to_owned()
    };
    gateway_boots::Entity::insert(row).on_conflict(again).exec_without_returning(tx).await?;
    Ok(())
}

async fn add_up_old_boots(tx: &Tx, gateway: GatewayId) -> Result<()> {
    let old = gateway_boots::Entity::find()
        .filter(gateway_boots::Column::GatewayId.eq(gateway.0))
        .order_by_desc(gateway_boots::Column::StartedAt)
        .offset(BOOTS)
        .limit(1000)
        .all(tx)
        .await?;
    if old.is_empty() {
        return Ok(());
    }
    use gateways::Column::{DroppedCalls, LostCalls};
    let lost: i64 = old.iter().map(|boot| boot.lost_calls).sum();
    let dropped: i64 = old.iter().map(|boot| boot.dropped_calls).sum();
    gateways::Entity::update_many()
        .col_expr(LostCalls, Expr::col(LostCalls).add(lost))
        .col_expr(DroppedCalls, Expr::col(DroppedCalls).add(dropped))
        .filter(gateways::Column::Id.eq(gateway.0))
        .exec(tx)
        .await?;
    gateway_boots::Entity::delete_many()
        .filter(gateway_boots::Column::GatewayId.eq(gateway.0))
        .filter(gateway_boots::Column::Boot.is_in(old.iter().map(|boot| boot.boot)))
        .exec(tx)
        .await?;
    Ok(())
}
