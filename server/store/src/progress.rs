//! How far a journal position has got: which gateways serve it, how long each took, and who lags or failed.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Func, Query};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use sluice_contract::ids::{ApiId, EnvironmentId, GatewayId, IncarnationId};
use sluice_contract::journal::{Change, Position};
use sluice_contract::link::FailedPart;
use sluice_contract::part::Sha256Hash;
use sluice_contract::rest::releases::{GatewayProgress, Progress, ProgressState};
use sluice_entity::{gateway_acks, gateways, journal_state};
use uuid::Uuid;

use crate::gateways::{alive, applied};
use crate::{Result, journal};

/// A gateway that is behind for longer is a laggard.
const PATIENCE: TimeDelta = TimeDelta::seconds(30);
/// A gateway that was silent for longer before the change is not waited for, and not shown.
const FORGOTTEN: TimeDelta = TimeDelta::hours(1);

/// A change whose way to the gateways is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    pub environment: EnvironmentId,
    pub position: Position,
    /// When it became true.
    pub at: DateTime<Utc>,
    /// What must compile, when the change releases an API.
    pub part: Option<(ApiId, Sha256Hash)>,
}

/// How far a change has got.
///
/// # Errors
/// When the database fails.
pub async fn progress(db: &impl ConnectionTrait, awaited: &Awaited) -> Result<Progress> {
    let now = crate::now();
    let incarnation = journal::incarnation(db).await?;
    let rows = gateways::Entity::find()
        .filter(gateways::Column::EnvironmentId.eq(awaited.environment.0))
        .filter(gateways::Column::RemovedAt.is_null())
        .order_by_asc(gateways::Column::Name)
        .all(db)
        .await?;
    let acks = first_acks(db, awaited).await?;
    let superseded = is_superseded(db, awaited).await?;
    let mut gateways = Vec::with_capacity(rows.len());
    for row in rows {
        let ack = acks.get(&row.id);
        if let Some(progress) = of_gateway(&row, ack, awaited, superseded, incarnation, now)? {
            gateways.push(progress);
        }
    }
    Ok(Progress { state: summary(&gateways, awaited, now), gateways })
}

/// The first acknowledgement of each gateway that covers the position.
async fn first_acks(
    db: &impl ConnectionTrait,
    awaited: &Awaited,
) -> Result<HashMap<Uuid, gateway_acks::Model>> {
    use gateway_acks::Column::{GatewayId, Position};
    let of_environment = Query::select()
        .column(gateways::Column::Id)
        .from(gateways::Entity)
        .and_where(gateways::Column::EnvironmentId.eq(awaited.environment.0))
        .to_owned();
    let first = Query::select()
        .column(GatewayId)
        .expr(Func::min(Expr::col(Position)))
        .from(gateway_acks::Entity)
        .and_where(Expr::col(GatewayId).in_subquery(of_environment))
        .and_where(Expr::col(Position).gte(journal::stored(awaited.position)))
        .group_by_col(GatewayId)
        .to_owned();
    let rows = gateway_acks::Entity::find()
        .filter(Expr::tuple([Expr::col(GatewayId), Expr::col(Position)]).in_subquery(first))
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|row| (row.gateway_id, row)).collect())
}

/// Whether the API has another part now: what gateways say now is then about that one.
async fn is_superseded(db: &impl ConnectionTrait, awaited: &Awaited) -> Result<bool> {
    let Some((api, part)) = awaited.part else { return Ok(false) };
    let key = (awaited.environment.0, format!("api:{api}"));
    let Some(row) = journal_state::Entity::find_by_id(key).one(db).await? else { return Ok(true) };
    Ok(!matches!(serde_json::from_str(&row.change)?, Change::ApiReleased(released) if released.part == part))
}

fn of_gateway(
    row: &gateways::Model,
    ack: Option<&gateway_acks::Model>,
    awaited: &Awaited,
    superseded: bool,
    incarnation: IncarnationId,
    now: DateTime<Utc>,
) -> Result<Option<GatewayProgress>> {
    let live = alive(row.last_seen_at, now);
    let applied = applied(row, incarnation) >= awaited.position;
    let expected = live || row.last_seen_at.is_some_and(|seen| seen > awaited.at - FORGOTTEN);
    if !expected {
        return Ok(None);
    }
    // One that enrolled later got the change with its snapshot: that took no time that anybody waited.
    let waited = row.enrolled_at <= awaited.at;
    let took = ack.filter(|_| applied && waited).map(|ack| (ack.received_at - awaited.at).num_milliseconds());
    let failed = match ack {
        Some(ack) if superseded => ack.failed_parts.as_deref(),
        _ => applied.then_some(row.failed_parts.as_str()),
    };
    Ok(Some(GatewayProgress {
        gateway: GatewayId(row.id),
        name: row.name.clone(),
        live,
        applied,
        took_ms: took.map(|took| u64::try_from(took).unwrap_or(0)),
        laggard: !applied && now - awaited.at > PATIENCE,
        failure: failure(failed, awaited)?,
    }))
}

fn failure(failed: Option<&str>, awaited: &Awaited) -> Result<Option<String>> {
    let (Some(failed), Some((api, part))) = (failed, awaited.part) else { return Ok(None) };
    let failed: Vec<FailedPart> = serde_json::from_str(failed)?;
    let ours = failed.into_iter().find(|failed| failed.api == api && failed.part == part);
    Ok(ours.map(|failed| failed.reason))
}

fn summary(gateways: &[GatewayProgress], awaited: &Awaited, now: DateTime<Utc>) -> ProgressState {
    let mut live = gateways.iter().filter(|gateway| gateway.live).peekable();
    if gateways.iter().any(|gateway| gateway.failure.is_some()) {
        ProgressState::Failed
    } else if live.peek().is_none() {
        // Nobody is up. It is done if it was done before they went.
        let reached = gateways.iter().any(|gateway| gateway.applied);
        if reached { ProgressState::Done } else { ProgressState::Waiting }
    } else if live.all(|gateway| gateway.applied) {
        ProgressState::Done
    } else if now - awaited.at > PATIENCE {
        ProgressState::Lagging
    } else {
        ProgressState::Running
    }
}
