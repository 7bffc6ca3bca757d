//! Plans: what the cache of an API is warmed with in an environment, and when by itself.

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter,
    QuerySelect, Set,
};
use serde_json::json;
use sluice_contract::ids::{ApiId, EnvironmentId, TenantId};
use sluice_contract::rest::warmings::{KeptWarmingPlan, WarmingCause, WarmingPlan, WarmingSchedule};
use sluice_entity::{live_apis, warming_plans};
use uuid::Uuid;

use super::{What, check, record};
use crate::audit::Actor;
use crate::error::{Error, Result};
use crate::{Tx, apis, check_version, environments};

/// The plan of an API in an environment; the default where nobody has saved one.
///
/// # Errors
/// [`crate::Error::NotFound`] for the API and the environment.
pub async fn get_plan(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    api: ApiId,
    in_environment: EnvironmentId,
) -> Result<KeptWarmingPlan> {
    apis::row(db, tenant, api).await?;
    environments::get_for(db, tenant, in_environment).await?;
    match warming_plans::Entity::find_by_id((api.0, in_environment.0)).one(db).await? {
        Some(row) => kept(&row),
        None => Ok(KeptWarmingPlan {
            environment: in_environment,
            plan: WarmingPlan::default(),
            next_run_at: None,
            version: 0,
        }),
    }
}

/// Saves a plan that is still at `version`.
///
/// # Errors
/// Those of [`get_plan`], [`crate::Error::Invalid`], [`crate::Error::Stale`].
pub async fn save_plan(
    tx: &Tx,
    actor: &Actor,
    (tenant, api, in_environment): (TenantId, ApiId, EnvironmentId),
    version: u64,
    plan: &WarmingPlan,
) -> Result<KeptWarmingPlan> {
    // One at a time for each API, also when there is no row yet.
    let name = apis::lock(tx, tenant, api).await?.name;
    let before = get_plan(tx, tenant, api, in_environment).await?;
    check::check_plan(plan)?;
    let next = check_version(i64::try_from(before.version).unwrap_or(i64::MAX), version)?;
    let row = warming_plans::ActiveModel {
        api_id: Set(api.0),
        environment_id: Set(in_environment.0),
        tenant_id: Set(tenant.0),
        plan: Set(serde_json::to_value(plan)?),
        on_release: Set(plan.on_release),
        on_gateway: Set(plan.on_gateway),
        next_run_at: Set(plan.schedule.and_then(|schedule| next_run(schedule, crate::now()))),
        // What is live already is not released by this.
        seen_release: Set(live_release(tx, api, in_environment).await?),
        version: Set(next),
    };
    let row = if before.version == 0 { row.insert(tx).await? } else { row.update(tx).await? };
    let after = kept(&row)?;
    let change = (Some(json!(before.plan)), Some(json!(after.plan)));
    record(tx, actor, "update_warming_plan", tenant, (api.to_string(), &name), change).await?;
    Ok(after)
}

/// Takes a plan back that is still at `version`: nothing is warmed by itself any more. Versions count on, so that who saw the
/// old plan does not save over a newer one.
///
/// # Errors
/// Those of [`get_plan`]; [`crate::Error::NotFound`] where nobody has saved one, [`crate::Error::Stale`].
pub async fn delete_plan(
    tx: &Tx,
    actor: &Actor,
    (tenant, api, in_environment): (TenantId, ApiId, EnvironmentId),
    version: u64,
) -> Result<()> {
    let name = apis::lock(tx, tenant, api).await?.name;
    let before = get_plan(tx, tenant, api, in_environment).await?.plan;
    let id = (api.0, in_environment.0);
    let row = warming_plans::Entity::find_by_id(id).one(tx).await?.ok_or(Error::NotFound)?;
    let next = check_version(row.version, version)?;
    let mut row = row.into_active_model();
    row.plan = Set(serde_json::to_value(WarmingPlan::default())?);
    row.on_release = Set(false);
    row.on_gateway = Set(false);
    row.next_run_at = Set(None);
    row.version = Set(next);
    row.update(tx).await?;
    let change = (Some(json!(before)), None);
    record(tx, actor, "delete_warming_plan", tenant, (api.to_string(), &name), change).await
}

/// A plan that is to be carried out now.
#[derive(Clone, Debug)]
pub struct Due {
    pub what: What,
    pub plan: WarmingPlan,
}

/// Plans whose time has come, or whose API was released since they were last looked at.
///
/// # Errors
/// When the database fails.
pub async fn due(db: &impl ConnectionTrait) -> Result<Vec<Due>> {
    let now = crate::now();
    let by_time = warming_plans::Column::NextRunAt.lte(now);
    let rows = warming_plans::Entity::find()
        .filter(Condition::any().add(by_time).add(warming_plans::Column::OnRelease.eq(true)))
        .all(db)
        .await?;
    let mut due = Vec::new();
    for row in rows {
        due.extend(due_of(db, &row, now).await?);
    }
    Ok(due)
}

/// Whether the plan is still due, which it then is no more: of several control planes one is told so.
///
/// # Errors
/// When the database fails.
pub async fn take_due(tx: &Tx, due: &Due) -> Result<bool> {
    let id = (due.what.api.0, due.what.environment.0);
    let row = warming_plans::Entity::find_by_id(id).lock_exclusive().one(tx).await?;
    let Some(row) = row else { return Ok(false) };
    let now = crate::now();
    if due_of(tx, &row, now).await?.is_none() {
        return Ok(false);
    }
    let plan: WarmingPlan = serde_json::from_value(row.plan.clone())?;
    let by_time = row.next_run_at.is_some_and(|at| at <= now);
    let release = live_release(tx, due.what.api, due.what.environment).await?;
    let mut row = row.into_active_model();
    row.seen_release = Set(release);
    if by_time {
        row.next_run_at = Set(plan.schedule.and_then(|schedule| next_run(schedule, now)));
    }
    row.update(tx).await?;
    Ok(true)
}

async fn due_of(
    db: &impl ConnectionTrait,
    row: &warming_plans::Model,
    now: DateTime<Utc>,
) -> Result<Option<Due>> {
    let mut of = what(TenantId(row.tenant_id), ApiId(row.api_id), EnvironmentId(row.environment_id));
    let live = if row.on_release { live_release(db, of.api, of.environment).await? } else { None };
    if live.is_some() && live != row.seen_release {
        of.cause = WarmingCause::Release;
    } else if row.next_run_at.is_some_and(|at| at <= now) {
        of.cause = WarmingCause::Schedule;
    } else {
        return Ok(None);
    }
    Ok(Some(Due { what: of, plan: serde_json::from_value(row.plan.clone())? }))
}

fn what(tenant: TenantId, api: ApiId, environment: EnvironmentId) -> What {
    What { tenant, api, environment, cause: WarmingCause::Demand, only: None }
}

async fn live_release(
    db: &impl ConnectionTrait,
    api: ApiId,
    environment: EnvironmentId,
) -> Result<Option<Uuid>> {
    let row = live_apis::Entity::find_by_id((environment.0, api.0)).one(db).await?;
    Ok(row.map(|row| row.release_id))
}

/// When a schedule is due after this.
fn next_run(schedule: WarmingSchedule, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    match schedule {
        WarmingSchedule::Every { minutes } => after.checked_add_signed(TimeDelta::minutes(minutes.into())),
        WarmingSchedule::Daily { minute } => {
            let time = NaiveTime::from_num_seconds_from_midnight_opt(minute * 60, 0)?;
            let today = after.date_naive().and_time(time).and_utc();
            if today > after { Some(today) } else { today.checked_add_days(Days::new(1)) }
        }
    }
}

fn kept(row: &warming_plans::Model) -> Result<KeptWarmingPlan> {
    Ok(KeptWarmingPlan {
        environment: EnvironmentId(row.environment_id),
        plan: serde_json::from_value(row.plan.clone())?,
        next_run_at: row.next_run_at,
        version: crate::version(row.version),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_due_next_after_the_moment_that_is_asked_about() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let daily = WarmingSchedule::Daily { minute: 6 * 60 + 30 };
        for (after, next) in [
            ("2026-02-28T06:29:59Z", "2026-02-28T06:30:00Z"),
            ("2026-02-28T06:30:00Z", "2026-03-01T06:30:00Z"),
            ("2026-12-31T23:00:00Z", "2027-01-01T06:30:00Z"),
        ] {
            assert_eq!(next_run(daily, at(after)), Some(at(next)));
        }
        let every = WarmingSchedule::Every { minutes: 90 };
        assert_eq!(next_run(every, at("2026-02-28T23:00:00Z")), Some(at("2026-03-01T00:30:00Z")));
    }
}
