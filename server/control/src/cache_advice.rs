//! What caching would bring for the routes of an API: recorded calls, played to caches that are not there. And making the policy,
//! with what was predicted of it noted, so that what it achieves can be shown beside it.

mod advise;
mod make;
mod risks;
mod trace;

use axum::extract::State;
use chrono::{DateTime, TimeDelta, Utc};
use sluice_contract::calls::CacheOutcome;
use sluice_contract::definition::{ApiDefinition, PolicyAttachment, Route};
use sluice_contract::ids::{ApiId, TenantId};
use sluice_contract::rest::apis::Api;
use sluice_contract::rest::cache_advice::{
    CacheAchieved, CacheAdvice, CacheAdviceQuery, MakeCachePolicy, RouteAdvice,
};
use sluice_contract::rest::gateways::{Gateway, GatewayState};
use sluice_contract::rest::page::PageQuery;
use sluice_store::telemetry::TrafficQuery;
use sluice_store::{apis, cache_predictions, gateways};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::{Scope, need};
use crate::extract::{IfMatch, Json, Path, Query, Tagged, tagged};
use crate::problem::ApiError;
use crate::state::App;
use crate::{cache_analytics, ownership};
use advise::{Budget, advise};
use trace::{Trace, Traces};

/// What is taken for the memory of the API where no gateway says what it has.
const USUAL_MEMORY: u64 = 128 << 20;
const CACHE: &str = "cache";

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_cache_advice, make_cache_policy))
}

/// Which routes of the draft would gain by a cache policy, at what lifetime, with what hit ratio and memory: recorded `GET`
/// calls played to a cache. Nothing is changed. Where a policy was made from advice, what was predicted stands beside what it achieves.
#[utoipa::path(
    get, path = "/tenants/{tenant}/apis/{api}/cache-advice", tag = "cache",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path), CacheAdviceQuery),
    responses((status = 200, body = CacheAdvice)),
)]
async fn get_cache_advice(
    State(app): State<App>,
    scope: Scope<need::ReadCalls>,
    Path((_, api)): Path<(TenantId, ApiId)>,
    Query(query): Query<CacheAdviceQuery>,
) -> Result<Json<CacheAdvice>, ApiError> {
    let api = apis::get(app.store.read(), scope.tenant, api).await?;
    let to = query.to.unwrap_or_else(Utc::now);
    let from = query.from.unwrap_or_else(|| to.checked_sub_signed(TimeDelta::days(1)).unwrap_or(to));
    if from >= to {
        return Err(ApiError::invalid_field("from", "out_of_range", "the start must be before the end"));
    }
    let mut advice = look(&app, scope.tenant, &api, (from, to)).await?;
    let mut predicted = cache_predictions::of_api(app.store.read(), scope.tenant, api.id).await?;
    for route in advice.routes.iter_mut().filter(|route| route.covered) {
        route.predicted = predicted.remove(&route.route);
        let since = route.predicted.as_ref().map_or(from, |predicted| predicted.made_at);
        route.achieved = achieved(&app, scope.tenant, api.id, &route.route, (since, to)).await?;
    }
    Ok(Json(advice))
}

/// Makes the cache policy that is advised for a route, in the draft; it is live with the next release. What is predicted of
/// it is noted. Where a risk is to be confirmed, it is refused with `unconfirmed` until somebody has; with `has_policy` where the
/// route has one.
#[utoipa::path(
    post, path = "/tenants/{tenant}/apis/{api}/cache-advice", tag = "cache",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path), ("If-Match" = String, Header)),
    request_body = MakeCachePolicy,
    responses((status = 200, body = Api)),
)]
async fn make_cache_policy(
    State(app): State<App>,
    scope: Scope<need::ManageApis>,
    Path((_, api)): Path<(TenantId, ApiId)>,
    IfMatch(version): IfMatch,
    Json(wanted): Json<MakeCachePolicy>,
) -> Result<Tagged<Api>, ApiError> {
    ownership::check_api(&app, &scope, api).await?;
    let before = apis::get(app.store.read(), scope.tenant, api).await?;
    if before.version != version {
        return Err(ApiError::stale(before.version));
    }
    let now = Utc::now();
    let advice = look(&app, scope.tenant, &before, (now - TimeDelta::days(1), now)).await?;
    let predicted = make::check(&before.draft, &advice, &wanted, &scope.caller.actor.name)?;
    let new = make::attached(before, &wanted);
    let tx = app.store.begin().await?;
    let after = apis::update(&tx, &scope.caller.actor, scope.tenant, api, version, &new).await?;
    cache_predictions::note(&tx, scope.tenant, api, &wanted.route, &predicted).await?;
    app.commit(tx).await?;
    Ok(tagged(after.version, after))
}

/// Reads the calls and plays them. One at a time in this process: each takes a processor, and some memory, for a while.
async fn look(
    app: &App,
    tenant: TenantId,
    api: &Api,
    time: (DateTime<Utc>, DateTime<Utc>),
) -> Result<CacheAdvice, ApiError> {
    let _one = app.advising.acquire().await.map_err(ApiError::internal)?;
    let traces = trace::read(app, tenant, api, time).await?;
    let budget = Budget { memory_bytes: memory(app, tenant).await? };
    let draft = api.draft.clone();
    let work = move || advice(&draft, &traces, budget);
    tokio::task::spawn_blocking(work).await.map_err(ApiError::internal)
}

fn advice(draft: &ApiDefinition, traces: &Traces, budget: Budget) -> CacheAdvice {
    let nothing = Trace::default();
    let of_route = |route: &Route| -> Option<RouteAdvice> {
        let trace = traces.routes.get(&route.id).unwrap_or(&nothing);
        advise(&route.id, is_covered(draft, route), trace, budget)
    };
    let takes_get = |route: &&Route| route.methods.is_empty() || route.methods.iter().any(|it| it == "GET");
    let mut routes: Vec<_> = draft.routes.iter().filter(takes_get).filter_map(of_route).collect();
    let gain = |advice: &RouteAdvice| {
        let chosen = advice.choices.iter().find(|choice| Some(choice.ttl_s) == advice.ttl_s);
        chosen.map_or(0, |choice| choice.saved_us)
    };
    routes.sort_by(|a, b| gain(b).cmp(&gain(a)).then_with(|| b.calls.cmp(&a.calls)));
    CacheAdvice {
        from: traces.first,
        to: traces.last,
        calls: traces.calls,
        truncated: traces.truncated,
        memory_bytes: budget.memory_bytes,
        routes,
    }
}

/// A route's own attachment takes the place of the API's, unless it is off.
fn is_covered(draft: &ApiDefinition, route: &Route) -> bool {
    let of =
        |policies: &[PolicyAttachment]| policies.iter().any(|policy| policy.kind == CACHE && policy.enabled);
    of(&route.policies) || of(&draft.policies)
}

/// What one API may hold of the memory of all gateways that are alive.
async fn memory(app: &App, tenant: TenantId) -> Result<u64, ApiError> {
    let all = PageQuery { limit: Some(200), ..PageQuery::default() };
    let page = gateways::list(app.store.read(), tenant, &all).await?;
    let alive = |gateway: &&Gateway| matches!(gateway.state, GatewayState::Live | GatewayState::Behind);
    let share = |gateway: &Gateway| {
        let cache = gateway.health.as_ref()?.cache.as_ref()?;
        Some(cache.capacity_bytes / 100 * cache.api_share)
    };
    let said: u64 = page.items.iter().filter(alive).filter_map(share).sum();
    Ok(if said == 0 { USUAL_MEMORY } else { said })
}

/// What the policy of a route did with all calls in that time; None: no call met it.
async fn achieved(
    app: &App,
    tenant: TenantId,
    api: ApiId,
    route: &str,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Option<CacheAchieved>, ApiError> {
    let to = to.max(from + TimeDelta::minutes(1));
    let route = Some(route.to_owned());
    let query = TrafficQuery { from, to, points: 60, api: Some(api), route, application: None };
    let traffic = app.telemetry.cache(tenant, &query).await?;
    let totals = cache_analytics::total(&traffic);
    let sum = |of: fn(CacheOutcome) -> bool| {
        totals.outcomes.iter().filter(|it| of(it.outcome)).map(|it| it.calls).sum::<u64>()
    };
    let covered = sum(|outcome| outcome.is_cacheable() || outcome == CacheOutcome::Bypass);
    let spared = sum(|outcome| outcome.is_hit() && outcome != CacheOutcome::Revalidated);
    let Some(saved_us_per_call) = totals.saved_us.checked_div(covered) else { return Ok(None) };
    let memory = app.telemetry.memory(tenant, &query).await?;
    Ok(Some(CacheAchieved {
        since: from,
        calls: covered,
        hit_ratio: spared as f64 / covered as f64,
        memory_bytes: memory.points.iter().filter_map(|(_, held)| held.held).map(|(_, bytes)| bytes).max(),
        saved_us_per_call,
    }))
}
