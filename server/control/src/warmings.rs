//! Warming of caches: the plan of an API for each environment, and the times that it is carried out.

mod begin;
mod drive;
mod runner;
mod sitemap;
mod sources;

use axum::extract::State;
use axum::http::StatusCode;
use sluice_contract::ids::{ApiId, EnvironmentId, TenantId, WarmingId};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_contract::rest::warmings::{CreateWarming, KeptWarmingPlan, Warming, WarmingCause, WarmingPlan};
use sluice_store::warmings::{self, What};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::{Scope, need};
use crate::extract::{IfMatch, Json, Path, Query, Tagged, tagged};
use crate::ownership;
use crate::problem::ApiError;
use crate::state::App;

pub(crate) use runner::start;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(get_warming_plan, update_warming_plan, delete_warming_plan))
        .routes(routes!(list_warmings, create_warming))
        .routes(routes!(get_warming))
        .routes(routes!(cancel_warming))
}

/// What the API's cache is warmed with in an environment, and when. Version 0: nobody has saved a plan yet.
#[utoipa::path(
    get, path = "/tenants/{tenant}/apis/{api}/environments/{environment}/warming-plan", tag = "warmings",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path), ("environment" = EnvironmentId, Path)),
    responses((status = 200, body = KeptWarmingPlan)),
)]
async fn get_warming_plan(
    State(app): State<App>,
    scope: Scope<need::ReadManagement>,
    Path((_, api, environment)): Path<(TenantId, ApiId, EnvironmentId)>,
) -> Result<Tagged<KeptWarmingPlan>, ApiError> {
    let kept = warmings::get_plan(app.store.read(), scope.tenant, api, environment).await?;
    Ok(tagged(kept.version, kept))
}

/// Saves the plan.
#[utoipa::path(
    put, path = "/tenants/{tenant}/apis/{api}/environments/{environment}/warming-plan", tag = "warmings",
    params(
        ("tenant" = TenantId, Path), ("api" = ApiId, Path), ("environment" = EnvironmentId, Path),
        ("If-Match" = String, Header)
    ),
    request_body = WarmingPlan,
    responses((status = 200, body = KeptWarmingPlan)),
)]
async fn update_warming_plan(
    State(app): State<App>,
    scope: Scope<need::ManageCache>,
    Path((_, api, environment)): Path<(TenantId, ApiId, EnvironmentId)>,
    IfMatch(version): IfMatch,
    Json(plan): Json<WarmingPlan>,
) -> Result<Tagged<KeptWarmingPlan>, ApiError> {
    ownership::check_api(&app, &scope, api).await?;
    let tx = app.store.begin().await?;
    let place = (scope.tenant, api, environment);
    let kept = warmings::save_plan(&tx, &scope.caller.actor, place, version, &plan).await?;
    app.commit(tx).await?;
    Ok(tagged(kept.version, kept))
}

/// Takes the plan back: the default again, by which nothing is warmed. What goes on is not cancelled.
#[utoipa::path(
    delete, path = "/tenants/{tenant}/apis/{api}/environments/{environment}/warming-plan", tag = "warmings",
    params(
        ("tenant" = TenantId, Path), ("api" = ApiId, Path), ("environment" = EnvironmentId, Path),
        ("If-Match" = String, Header)
    ),
    responses((status = 204)),
)]
async fn delete_warming_plan(
    State(app): State<App>,
    scope: Scope<need::ManageCache>,
    Path((_, api, environment)): Path<(TenantId, ApiId, EnvironmentId)>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, ApiError> {
    ownership::check_api(&app, &scope, api).await?;
    let tx = app.store.begin().await?;
    warmings::delete_plan(&tx, &scope.caller.actor, (scope.tenant, api, environment), version).await?;
    app.commit(tx).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The times that the API's cache was warmed in the last thirty days, newest first. Sorts: `created_at`.
#[utoipa::path(
    get, path = "/tenants/{tenant}/apis/{api}/warmings", tag = "warmings",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path), PageQuery),
    responses((status = 200, body = Page<Warming>)),
)]
async fn list_warmings(
    State(app): State<App>,
    scope: Scope<need::ReadManagement>,
    Path((_, api)): Path<(TenantId, ApiId)>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Warming>>, ApiError> {
    Ok(Json(warmings::list(app.store.read(), scope.tenant, api, &page).await?))
}

/// Warms the API's cache on every gateway of an environment that is up, by the environment's plan. Refused where it would be of
/// no use: no route stores responses, or callers need keys and do not share stored responses.
#[utoipa::path(
    post, path = "/tenants/{tenant}/apis/{api}/warmings", tag = "warmings",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path)),
    request_body = CreateWarming,
    responses((status = 201, body = Warming)),
)]
async fn create_warming(
    State(app): State<App>,
    scope: Scope<need::ManageCache>,
    Path((_, api)): Path<(TenantId, ApiId)>,
    Json(new): Json<CreateWarming>,
) -> Result<(StatusCode, Json<Warming>), ApiError> {
    let CreateWarming { environment, sources } = new;
    ownership::check_api(&app, &scope, api).await?;
    let mut plan = warmings::get_plan(app.store.read(), scope.tenant, api, environment).await?.plan;
    if let Some(sources) = sources {
        warmings::check_sources("/sources", &sources)?;
        plan.sources = sources;
    }
    let what = What { tenant: scope.tenant, api, environment, cause: WarmingCause::Demand, only: None };
    let urls = sources::resolve(&app, what, &plan).await?;
    let tx = app.store.begin().await?;
    let id = warmings::create(&tx, &scope.caller.actor, what, &plan, &urls).await?;
    app.commit(tx).await?;
    Ok((StatusCode::CREATED, Json(warmings::get(app.store.read(), scope.tenant, api, id).await?)))
}

/// One warming: how far each gateway is, and what became of its URLs.
#[utoipa::path(
    get, path = "/tenants/{tenant}/apis/{api}/warmings/{warming}", tag = "warmings",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path), ("warming" = WarmingId, Path)),
    responses((status = 200, body = Warming)),
)]
async fn get_warming(
    State(app): State<App>,
    scope: Scope<need::ReadManagement>,
    Path((_, api, warming)): Path<(TenantId, ApiId, WarmingId)>,
) -> Result<Json<Warming>, ApiError> {
    Ok(Json(warmings::get(app.store.read(), scope.tenant, api, warming).await?))
}

/// Ends a warming: gateways begin no more requests within a few seconds. What is stored stays.
#[utoipa::path(
    post, path = "/tenants/{tenant}/apis/{api}/warmings/{warming}/cancel", tag = "warmings",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path), ("warming" = WarmingId, Path)),
    responses((status = 200, body = Warming)),
)]
async fn cancel_warming(
    State(app): State<App>,
    scope: Scope<need::ManageCache>,
    Path((_, api, warming)): Path<(TenantId, ApiId, WarmingId)>,
) -> Result<Json<Warming>, ApiError> {
    ownership::check_api(&app, &scope, api).await?;
    let tx = app.store.begin().await?;
    warmings::cancel(&tx, &scope.caller.actor, scope.tenant, api, warming).await?;
    app.commit(tx).await?;
    Ok(Json(warmings::get(app.store.read(), scope.tenant, api, warming).await?))
}
