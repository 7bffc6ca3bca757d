//! How far warmings are that go on, and which control plane sees to which gateway.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect, Set,
};
use sluice_contract::ids::{ApiId, GatewayId, TenantId, WarmingId};
use sluice_contract::journal::Position;
use sluice_contract::rest::warmings::{GatewayWarmingState, WarmingPlan, WarmingState};
use sluice_contract::warming::WarmReport;
use sluice_entity::{gateways, warming_gateways, warming_urls, warmings};
use uuid::Uuid;

use super::{read, word};
use crate::error::{Error, Result};
use crate::gateways::alive;
use crate::{Tx, journal};

/// A control plane that says nothing for so long has lost its share to any other.
const LEASE: TimeDelta = TimeDelta::seconds(15);

/// A warming that goes on.
#[derive(Clone, Debug)]
pub struct Open {
    pub id: WarmingId,
    pub tenant: TenantId,
    pub api: ApiId,
    pub plan: WarmingPlan,
    pub position: Position,
    pub created_at: DateTime<Utc>,
    pub cancelled: bool,
    /// Gateways that nobody sees to now and whose turn it is.
    pub gateways: Vec<OpenGateway>,
}

/// A gateway that nobody sees to.
#[derive(Clone, Debug)]
pub struct OpenGateway {
    pub gateway: GatewayId,
    pub name: String,
    /// Whether it was heard of lately.
    pub alive: bool,
}

/// What is left for a gateway to do.
#[derive(Clone, Debug)]
pub struct Share {
    pub warming: WarmingId,
    pub gateway: GatewayId,
    pub runner: Uuid,
    /// Index of the next URL.
    pub next: usize,
    pub report: WarmReport,
}

/// Warmings that go on.
///
/// # Errors
/// When the database fails.
pub async fn open(db: &impl ConnectionTrait) -> Result<Vec<Open>> {
    let rows = warmings::Entity::find()
        .filter(warmings::Column::State.is_in([word(WarmingState::Queued)?, word(WarmingState::Running)?]))
        .order_by_asc(warmings::Column::CreatedAt)
        .all(db)
        .await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let shares = warming_gateways::Entity::find()
        .filter(warming_gateways::Column::WarmingId.is_in(rows.iter().map(|row| row.id)))
        .order_by_asc(warming_gateways::Column::Place)
        .all(db)
        .await?;
    let heard: Vec<(Uuid, Option<DateTime<Utc>>)> = gateways::Entity::find()
        .select_only()
        .columns([gateways::Column::Id, gateways::Column::LastSeenAt])
        .filter(gateways::Column::Id.is_in(shares.iter().map(|share| share.gateway_id)))
        .filter(gateways::Column::RemovedAt.is_null())
        .into_tuple()
        .all(db)
        .await?;
    let now = crate::now();
    let is_alive = |id: Uuid| heard.iter().any(|(one, seen)| *one == id && alive(*seen, now));
    rows.into_iter()
        .map(|row| {
            let of_this: Vec<_> = shares.iter().filter(|share| share.warming_id == row.id).collect();
            let free = free(&row, &of_this, now)?;
            let gateways = free.into_iter().map(|share| OpenGateway {
                gateway: GatewayId(share.gateway_id),
                name: share.name.clone(),
                alive: is_alive(share.gateway_id),
            });
            Ok(Open {
                id: WarmingId(row.id),
                tenant: TenantId(row.tenant_id),
                api: ApiId(row.api_id),
                position: journal::position(row.position),
                created_at: row.created_at,
                cancelled: row.cancelled,
                gateways: gateways.collect(),
                plan: serde_json::from_value(row.plan)?,
            })
        })
        .collect()
}

/// Those that nobody sees to. Where there is a second level, one gateway fills it before the others take from there.
fn free<'s>(
    row: &warmings::Model,
    shares: &[&'s warming_gateways::Model],
    now: DateTime<Utc>,
) -> Result<Vec<&'s warming_gateways::Model>> {
    let mut free = Vec::new();
    for share in shares {
        if read::<GatewayWarmingState>(&share.state)?.has_ended() {
            continue;
        }
        if share.lease_until.is_none_or(|until| until < now) {
            free.push(*share);
        }
        if row.staggered && share.place == 0 && !row.cancelled {
            break;
        }
    }
    Ok(free)
}

/// Takes a gateway's share, unless another control plane was faster.
///
/// # Errors
/// When the database fails.
pub async fn claim(tx: &Tx, warming: WarmingId, gateway: GatewayId, runner: Uuid) -> Result<Option<Share>> {
    use warming_gateways::Column::{LeaseUntil, Runner, State};
    let now = crate::now();
    let free = Condition::any().add(LeaseUntil.is_null()).add(LeaseUntil.lt(now));
    let going_on = [word(GatewayWarmingState::Waiting)?, word(GatewayWarmingState::Running)?];
    let taken = of(warming, gateway)
        .filter(free)
        .filter(State.is_in(going_on))
        .col_expr(Runner, Expr::value(runner))
        .col_expr(LeaseUntil, Expr::value(now + LEASE))
        .col_expr(State, Expr::value(word(GatewayWarmingState::Running)?))
        .exec(tx)
        .await?;
    if taken.rows_affected == 0 {
        return Ok(None);
    }
    warmings::Entity::update_many()
        .col_expr(warmings::Column::State, Expr::value(word(WarmingState::Running)?))
        .filter(warmings::Column::Id.eq(warming.0))
        .filter(warmings::Column::EndedAt.is_null())
        .exec(tx)
        .await?;
    let row = warming_gateways::Entity::find_by_id((warming.0, gateway.0)).one(tx).await?;
    let row = row.ok_or(Error::NotFound)?;
    let next = usize::try_from(row.next).unwrap_or_default();
    let report = serde_json::from_value(row.report)?;
    Ok(Some(Share { warming, gateway, runner, next, report }))
}

/// All URLs of a warming, in their order.
///
/// # Errors
/// When the database fails; [`Error::NotFound`] when it has ended.
pub async fn urls(db: &impl ConnectionTrait, warming: WarmingId) -> Result<Vec<String>> {
    let row = warming_urls::Entity::find_by_id(warming.0).one(db).await?.ok_or(Error::NotFound)?;
    Ok(serde_json::from_value(row.urls)?)
}

/// Keeps how far a share is; `shown` is what has become of URLs so far, those of the job that goes on among them. Whether
/// to go on: not when the warming was cancelled. None: the share is another's now, or the warming is gone.
///
/// # Errors
/// When the database fails.
pub async fn renew(tx: &Tx, share: &Share, shown: &WarmReport) -> Result<Option<bool>> {
    use warming_gateways::Column::{LeaseUntil, Next, Report, Runner};
    let kept = of(share.warming, share.gateway)
        .filter(Runner.eq(share.runner))
        .col_expr(LeaseUntil, Expr::value(crate::now() + LEASE))
        .col_expr(Next, Expr::value(i64::try_from(share.next).unwrap_or(i64::MAX)))
        .col_expr(Report, Expr::value(serde_json::to_value(shown)?))
        .exec(tx)
        .await?;
    if kept.rows_affected == 0 {
        return Ok(None);
    }
    let row = warmings::Entity::find_by_id(share.warming.0).one(tx).await?;
    Ok(row.map(|row| !row.cancelled))
}

/// A gateway's share has ended, and with the last of them the warming. `report` is None where nobody saw to it.
///
/// # Errors
/// When the database fails.
pub async fn end(
    tx: &Tx,
    warming: WarmingId,
    gateway: GatewayId,
    state: GatewayWarmingState,
    report: Option<&WarmReport>,
) -> Result<()> {
    use warming_gateways::Column::{LeaseUntil, Report, State};
    // The warming's row first, everywhere: of two shares that end at once one sees that it is the last.
    let row = warmings::Entity::find_by_id(warming.0).lock_exclusive().one(tx).await?;
    let Some(row) = row else { return Ok(()) };
    let mut update = of(warming, gateway)
        .col_expr(State, Expr::value(word(state)?))
        .col_expr(LeaseUntil, Expr::value(None::<DateTime<Utc>>));
    if let Some(report) = report {
        update = update.col_expr(Report, Expr::value(serde_json::to_value(report)?));
    }
    update.exec(tx).await?;
    let shares = warming_gateways::Entity::find()
        .filter(warming_gateways::Column::WarmingId.eq(warming.0))
        .all(tx)
        .await?;
    let states: Vec<GatewayWarmingState> =
        shares.iter().map(|share| read(&share.state)).collect::<Result<_>>()?;
    if row.ended_at.is_some() || !states.iter().all(|state| state.has_ended()) {
        return Ok(());
    }
    let (state, problem) = if row.cancelled {
        (WarmingState::Cancelled, None)
    } else if states.contains(&GatewayWarmingState::Done) {
        (WarmingState::Done, None)
    } else {
        (WarmingState::Failed, Some("No gateway could be reached that serves the API.".to_owned()))
    };
    let mut row = row.into_active_model();
    row.state = Set(word(state)?);
    row.problem = Set(problem);
    row.ended_at = Set(Some(crate::now()));
    row.update(tx).await?;
    warming_urls::Entity::delete_by_id(warming.0).exec(tx).await?;
    Ok(())
}

fn of(warming: WarmingId, gateway: GatewayId) -> sea_orm::UpdateMany<warming_gateways::Entity> {
    warming_gateways::Entity::update_many()
        .filter(warming_gateways::Column::WarmingId.eq(warming.0))
        .filter(warming_gateways::Column::GatewayId.eq(gateway.0))
}
