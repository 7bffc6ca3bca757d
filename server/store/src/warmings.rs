//! Warming of caches: plans for it, the times that it was done, and how far each gateway is.
//!
//! Several control planes may see to one warming: each to the gateways that are connected to it, under a lease.

mod arrivals;
mod check;
mod plans;
mod progress;

use std::collections::BTreeMap;

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, Select, Set,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sluice_contract::ids::{ApiId, EnvironmentId, GatewayId, TenantId, WarmingId};
use sluice_contract::link::Heartbeat;
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_contract::rest::warmings::{
    GatewayWarming, GatewayWarmingState, Warming, WarmingCause, WarmingPlan, WarmingState,
};
use sluice_contract::warming::WarmReport;
use sluice_entity::{gateways, warming_gateways, warming_urls, warmings};
use uuid::Uuid;

use crate::audit::{self, Actor, Change};
use crate::error::{Error, Result};
use crate::gateways::ALIVE;
use crate::keyset::{Listing, Sort};
use crate::{Tx, apis, environments, journal};

pub use arrivals::{Arrival, arrivals, plans_for, take_arrival};
pub use check::{PATH_MAX, check_sources};
pub use plans::{Due, delete_plan, due, get_plan, save_plan, take_due};
pub use progress::{Open, OpenGateway, Share, claim, end, open, renew, urls};

/// How long warmings are kept.
const KEPT: chrono::TimeDelta = chrono::TimeDelta::days(30);

const LISTING: Listing<warmings::Entity> = Listing {
    sorts: &[Sort { name: "created_at", column: warmings::Column::CreatedAt }],
    descending: true,
    id: warmings::Column::Id,
    search: &[warmings::Column::CreatedBy],
};

/// Of which API where, and why.
#[derive(Clone, Copy, Debug)]
pub struct What {
    pub tenant: TenantId,
    pub api: ApiId,
    pub environment: EnvironmentId,
    pub cause: WarmingCause,
    /// No gateway but this.
    pub only: Option<GatewayId>,
}

/// URLs that the sources of a plan give.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Urls {
    /// Paths below the API's base, with their queries.
    pub paths: Vec<String>,
    /// How many were left out, by reason.
    pub left_out: BTreeMap<String, u64>,
}

impl Urls {
    /// Counts some that are left out.
    pub fn leave_out(&mut self, reason: &str, count: u64) {
        if count > 0 {
            *self.left_out.entry(reason.to_owned()).or_default() += count;
        }
    }

    /// What to say when there are none.
    fn none(&self) -> String {
        let why: Vec<String> =
            self.left_out.iter().map(|(reason, count)| format!("{reason}: {count}")).collect();
        if why.is_empty() {
            return "The sources give no URL: list some, or wait until callers have asked for some."
                .to_owned();
        }
        format!("The sources give no URL that could be warmed; left out were {}.", why.join(", "))
    }
}

/// Warmings of an API, newest first. Sorts: `created_at`.
///
/// # Errors
/// [`Error::NotFound`] when the API is not in this tenant; see [`Listing::page`].
pub async fn list(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    api: ApiId,
    page: &PageQuery,
) -> Result<Page<Warming>> {
    apis::row(db, tenant, api).await?;
    let Page { items, next } = LISTING.page(db, of(tenant, api), page).await?;
    Ok(Page { items: seen(db, items).await?, next })
}

/// One warming.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn get(db: &impl ConnectionTrait, tenant: TenantId, api: ApiId, id: WarmingId) -> Result<Warming> {
    let row = of(tenant, api).filter(warmings::Column::Id.eq(id.0)).one(db).await?;
    seen(db, vec![row.ok_or(Error::NotFound)?]).await?.pop().ok_or(Error::NotFound)
}

/// Begins a warming: gateways take their share of it as they are reached.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::Invalid`] for what is not there; the conflicts `not_live`, `not_cached`, `not_shared`,
/// `no_urls`, `no_gateway` and `already_warming`.
pub async fn create(
    tx: &Tx,
    actor: &Actor,
    what: What,
    plan: &WarmingPlan,
    urls: &Urls,
) -> Result<WarmingId> {
    let row = apis::lock(tx, what.tenant, what.api).await?;
    let environment = environment(tx, what).await?;
    check::check_worth(tx, what).await?;
    if urls.paths.is_empty() {
        return Err(Error::conflict("no_urls", urls.none()));
    }
    make_way(tx, what).await?;
    let gateways = connected(tx, what).await?;
    if gateways.is_empty() {
        return Err(Error::conflict("no_gateway", format!("No gateway of `{environment}` is up.")));
    }
    forget_old(tx, what).await?;
    let staggered = gateways.len() > 1 && gateways.iter().any(|(_, _, second_level)| *second_level);
    let new = New { state: WarmingState::Queued, problem: None, staggered, urls };
    let id = insert(tx, actor, what, plan, new).await?;
    let paths = serde_json::to_value(&urls.paths)?;
    let urls = warming_urls::ActiveModel { warming_id: Set(id.0), urls: Set(paths) };
    warming_urls::Entity::insert(urls).exec_without_returning(tx).await?;
    for (place, (gateway, name, _)) in (0..).zip(gateways) {
        let row = warming_gateways::ActiveModel {
            warming_id: Set(id.0),
            gateway_id: Set(gateway),
            place: Set(place),
            name: Set(name),
            state: Set(word(GatewayWarmingState::Waiting)?),
            report: Set(serde_json::to_value(WarmReport::default())?),
            next: Set(0),
            runner: Set(None),
            lease_until: Set(None),
        };
        warming_gateways::Entity::insert(row).exec_without_returning(tx).await?;
    }
    // What the control plane does by its plan is no change that anybody made.
    if what.cause == WarmingCause::Demand {
        let after = json!({ "environment": environment, "sources": plan.sources });
        record(tx, actor, "create_warming", what.tenant, (id.to_string(), &row.name), (None, Some(after)))
            .await?;
    }
    Ok(id)
}

/// Keeps that a warming should have begun, and why it did not.
///
/// # Errors
/// When the database fails.
pub async fn create_failed(tx: &Tx, what: What, plan: &WarmingPlan, problem: String) -> Result<WarmingId> {
    forget_old(tx, what).await?;
    let urls = &Urls::default();
    let new = New { state: WarmingState::Failed, problem: Some(problem), staggered: false, urls };
    insert(tx, &Actor::system(), what, plan, new).await
}

/// Ends a warming that goes on; gateways stop when they are asked next.
///
/// # Errors
/// [`Error::NotFound`], and the conflict `already_ended`.
pub async fn cancel(tx: &Tx, actor: &Actor, tenant: TenantId, api: ApiId, id: WarmingId) -> Result<()> {
    let name = apis::row(tx, tenant, api).await?.name;
    let row = of(tenant, api).filter(warmings::Column::Id.eq(id.0)).lock_exclusive().one(tx).await?;
    let row = row.ok_or(Error::NotFound)?;
    if row.ended_at.is_some() {
        return Err(Error::conflict("already_ended", "The warming has ended already."));
    }
    let mut row = row.into_active_model();
    row.cancelled = Set(true);
    row.update(tx).await?;
    let change = (Some(json!({ "cancelled": false })), Some(json!({ "cancelled": true })));
    record(tx, actor, "cancel_warming", tenant, (id.to_string(), &name), change).await
}

/// What a new row says beside what it is about.
struct New<'u> {
    state: WarmingState,
    problem: Option<String>,
    staggered: bool,
    urls: &'u Urls,
}

async fn insert(tx: &Tx, actor: &Actor, what: What, plan: &WarmingPlan, new: New<'_>) -> Result<WarmingId> {
    let New { state, problem, staggered, urls } = new;
    let id = WarmingId::generate();
    let row = warmings::ActiveModel {
        id: Set(id.0),
        tenant_id: Set(what.tenant.0),
        api_id: Set(what.api.0),
        environment_id: Set(what.environment.0),
        cause: Set(word(what.cause)?),
        plan: Set(serde_json::to_value(plan)?),
        position: Set(journal::stored(journal::head(tx, what.environment).await?)),
        state: Set(word(state)?),
        cancelled: Set(false),
        staggered: Set(staggered),
        urls: Set(i64::try_from(urls.paths.len()).unwrap_or(i64::MAX)),
        left_out: Set(serde_json::to_value(&urls.left_out)?),
        problem: Set(problem),
        created_by: Set(actor.name.clone()),
        created_at: Set(crate::now()),
        ended_at: Set((state == WarmingState::Failed).then(crate::now)),
    };
    warmings::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(id)
}

async fn forget_old(tx: &Tx, what: What) -> Result<()> {
    warmings::Entity::delete_many()
        .filter(warmings::Column::TenantId.eq(what.tenant.0))
        .filter(warmings::Column::ApiId.eq(what.api.0))
        .filter(warmings::Column::CreatedAt.lt(crate::now() - KEPT))
        .exec(tx)
        .await?;
    Ok(())
}

/// The slug of the environment, if the tenant may use it.
async fn environment(db: &impl ConnectionTrait, what: What) -> Result<String> {
    Ok(environments::named(db, what.tenant, what.environment).await?.slug)
}

/// Ends what was to warm an earlier life of a gateway; all gateways are warmed by one at a time.
async fn make_way(tx: &Tx, what: What) -> Result<()> {
    let single = warmings::Column::Cause.eq(word(WarmingCause::Gateway)?);
    let Some(gateway) = what.only else {
        return match open_of(what).filter(single.not()).one(tx).await? {
            None => Ok(()),
            Some(_) => {
                let message = "The API is being warmed there: wait for the end of it, or cancel it.";
                Err(Error::conflict("already_warming", message))
            }
        };
    };
    let of_gateway = warming_gateways::Entity::find()
        .select_only()
        .column(warming_gateways::Column::WarmingId)
        .filter(warming_gateways::Column::GatewayId.eq(gateway.0))
        .into_query();
    warmings::Entity::update_many()
        .col_expr(warmings::Column::Cancelled, Expr::value(true))
        .filter(warmings::Column::ApiId.eq(what.api.0))
        .filter(single)
        .filter(warmings::Column::EndedAt.is_null())
        .filter(warmings::Column::Id.in_subquery(of_gateway))
        .exec(tx)
        .await?;
    Ok(())
}

/// The gateways that are meant and alive, in the order of their names, and whether each has a second level.
async fn connected(db: &impl ConnectionTrait, what: What) -> Result<Vec<(Uuid, String, bool)>> {
    let only = what.only.map(|gateway| gateways::Column::Id.eq(gateway.0));
    let rows = gateways::Entity::find()
        .filter(gateways::Column::EnvironmentId.eq(what.environment.0))
        .filter(Condition::all().add_option(only))
        .filter(gateways::Column::RemovedAt.is_null())
        .filter(gateways::Column::LastSeenAt.gt(crate::now() - ALIVE))
        .order_by_asc(gateways::Column::Name)
        .all(db)
        .await?;
    let has_second_level = |heartbeat: &str| {
        serde_json::from_str::<Heartbeat>(heartbeat).is_ok_and(|heartbeat| heartbeat.second_level.is_some())
    };
    let told = rows.into_iter().map(|row| {
        let second_level = row.heartbeat.as_deref().is_some_and(has_second_level);
        (row.id, row.name, second_level)
    });
    Ok(told.collect())
}

fn of(tenant: TenantId, api: ApiId) -> Select<warmings::Entity> {
    warmings::Entity::find()
        .filter(warmings::Column::TenantId.eq(tenant.0))
        .filter(warmings::Column::ApiId.eq(api.0))
}

fn open_of(what: What) -> Select<warmings::Entity> {
    of(what.tenant, what.api)
        .filter(warmings::Column::EnvironmentId.eq(what.environment.0))
        .filter(warmings::Column::EndedAt.is_null())
}

async fn record(
    tx: &Tx,
    actor: &Actor,
    action: &str,
    tenant: TenantId,
    (id, name): (String, &str),
    (before, after): (Option<Value>, Option<Value>),
) -> Result<()> {
    let change = Change { tenant: Some(tenant), action, resource: "warming", id, name, before, after };
    audit::record(tx, actor, change).await
}

async fn seen(db: &impl ConnectionTrait, rows: Vec<warmings::Model>) -> Result<Vec<Warming>> {
    let gateways = warming_gateways::Entity::find()
        .filter(warming_gateways::Column::WarmingId.is_in(rows.iter().map(|row| row.id)))
        .order_by_asc(warming_gateways::Column::Place)
        .all(db)
        .await?;
    rows.into_iter().map(|row| view(row, &gateways)).collect()
}

fn view(row: warmings::Model, gateways: &[warming_gateways::Model]) -> Result<Warming> {
    let warmings::Model {
        id,
        tenant_id: _,
        api_id,
        environment_id,
        cause,
        plan,
        position: _,
        state,
        cancelled: _,
        staggered: _,
        urls,
        left_out,
        problem,
        created_by,
        created_at,
        ended_at,
    } = row;
    let plan: WarmingPlan = serde_json::from_value(plan)?;
    Ok(Warming {
        id: WarmingId(id),
        api: ApiId(api_id),
        environment: EnvironmentId(environment_id),
        cause: read(&cause)?,
        sources: plan.sources,
        state: read(&state)?,
        urls: urls.unsigned_abs(),
        left_out: serde_json::from_value(left_out)?,
        problem,
        gateways: gateways
            .iter()
            .filter(|one| one.warming_id == id)
            .map(of_gateway)
            .collect::<Result<_>>()?,
        created_by,
        created_at,
        ended_at,
    })
}

fn of_gateway(row: &warming_gateways::Model) -> Result<GatewayWarming> {
    Ok(GatewayWarming {
        gateway: GatewayId(row.gateway_id),
        name: row.name.clone(),
        state: read(&row.state)?,
        report: serde_json::from_value(row.report.clone())?,
    })
}

/// One of a closed set, as the database keeps it.
fn word(one: impl Serialize) -> Result<String> {
    Ok(serde_json::to_value(one)?.as_str().unwrap_or_default().to_owned())
}

/// What [`word`] wrote.
fn read<T: DeserializeOwned>(word: &str) -> Result<T> {
    Ok(serde_json::from_value(Value::from(word))?)
}
