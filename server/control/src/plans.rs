//! Plans of an API: what a subscription allows.

use axum::extract::State;
use axum::http::StatusCode;
use sluice_contract::ids::{ApiId, PlanId, TenantId};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_contract::rest::plans::{Plan, SavePlan};
use sluice_store::plans;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::{Scope, need};
use crate::extract::{IfMatch, Json, Path, Query, Tagged, tagged};
use crate::ownership;
use crate::problem::ApiError;
use crate::state::App;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_plans, create_plan)).routes(routes!(
        get_plan,
        update_plan,
        delete_plan
    ))
}

/// Plans of an API. Sorts: `name`, `created_at`.
#[utoipa::path(
    get, path = "/tenants/{tenant}/apis/{api}/plans", tag = "plans",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path), PageQuery),
    responses((status = 200, body = Page<Plan>)),
)]
async fn list_plans(
    State(app): State<App>,
    scope: Scope<need::ReadManagement>,
    Path((_, api)): Path<(TenantId, ApiId)>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Plan>>, ApiError> {
    Ok(Json(plans::list(app.store.read(), scope.tenant, api, &page).await?))
}

/// Makes a plan.
#[utoipa::path(
    post, path = "/tenants/{tenant}/apis/{api}/plans", tag = "plans",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path)),
    request_body = SavePlan,
    responses((status = 201, body = Plan)),
)]
async fn create_plan(
    State(app): State<App>,
    scope: Scope<need::ManageApis>,
    Path((_, api)): Path<(TenantId, ApiId)>,
    Json(new): Json<SavePlan>,
) -> Result<(StatusCode, Tagged<Plan>), ApiError> {
    ownership::check_api(&app, &scope, api).await?;
    let tx = app.store.begin().await?;
    let plan = plans::create(&tx, &scope.caller.actor, scope.tenant, api, &new).await?;
    app.commit(tx).await?;
    Ok((StatusCode::CREATED, tagged(plan.version, plan)))
}

/// One plan.
#[utoipa::path(
    get, path = "/tenants/{tenant}/apis/{api}/plans/{plan}", tag = "plans",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path), ("plan" = PlanId, Path)),
    responses((status = 200, body = Plan)),
)]
async fn get_plan(
    State(app): State<App>,
    scope: Scope<need::ReadManagement>,
    Path((_, api, plan)): Path<(TenantId, ApiId, PlanId)>,
) -> Result<Tagged<Plan>, ApiError> {
    let plan = plans::get(app.store.read(), scope.tenant, api, plan).await?;
    Ok(tagged(plan.version, plan))
}

/// Changes a plan, for its present subscriptions too.
#[utoipa::path(
    put, path = "/tenants/{tenant}/apis/{api}/plans/{plan}", tag = "plans",
    params(
        ("tenant" = TenantId, Path), ("api" = ApiId, Path), ("plan" = PlanId, Path), ("If-Match" = String, Header)
    ),
    request_body = SavePlan,
    responses((status = 200, body = Plan)),
)]
async fn update_plan(
    State(app): State<App>,
    scope: Scope<need::ManageApis>,
    Path((_, api, plan)): Path<(TenantId, ApiId, PlanId)>,
    IfMatch(version): IfMatch,
    Json(new): Json<SavePlan>,
) -> Result<Tagged<Plan>, ApiError> {
    ownership::check_api(&app, &scope, api).await?;
    let tx = app.store.begin().await?;
    let plan = plans::update(&tx, &scope.caller.actor, scope.tenant, (api, plan), version, &new).await?;
    app.commit(tx).await?;
    Ok(tagged(plan.version, plan))
}

/// Removes a plan that never had a subscription.
#[utoipa::path(
    delete, path = "/tenants/{tenant}/apis/{api}/plans/{plan}", tag = "plans",
    params(
        ("tenant" = TenantId, Path), ("api" = ApiId, Path), ("plan" = PlanId, Path), ("If-Match" = String, Header)
    ),
    responses((status = 204)),
)]
async fn delete_plan(
    State(app): State<App>,
    scope: Scope<need::ManageApis>,
    Path((_, api, plan)): Path<(TenantId, ApiId, PlanId)>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, ApiError> {
    ownership::check_api(&app, &scope, api).await?;
    let tx = app.store.begin().await?;
    plans::delete(&tx, &scope.caller.actor, scope.tenant, (api, plan), version).await?;
    app.commit(tx).await?;
    Ok(StatusCode::NO_CONTENT)
}
