//! Applications: who calls APIs.

use axum::extract::State;
use axum::http::StatusCode;
use sluice_contract::definition::PolicyAttachment;
use sluice_contract::ids::{ApplicationId, TenantId};
use sluice_contract::rest::applications::{Application, SaveApplication};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_contract::rest::session::Permission;
use sluice_store::applications;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::{Scope, need};
use crate::extract::{IfMatch, Json, Path, Query, Tagged, tagged};
use crate::ownership;
use crate::problem::ApiError;
use crate::state::App;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_applications, create_application)).routes(routes!(
        get_application,
        update_application,
        delete_application
    ))
}

/// Applications: consumers see those that they or their teams own. Sorts: `name`, `created_at`.
#[utoipa::path(
    get, path = "/tenants/{tenant}/applications", tag = "applications",
    params(("tenant" = TenantId, Path), PageQuery),
    responses((status = 200, body = Page<Application>)),
)]
async fn list_applications(
    State(app): State<App>,
    scope: Scope<need::ReadApplications>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Application>>, ApiError> {
    let reach = ownership::readable(&app, &scope).await?;
    Ok(Json(applications::list(app.store.read(), scope.tenant, &reach, &page).await?))
}

/// Makes an application that the caller owns.
#[utoipa::path(
    post, path = "/tenants/{tenant}/applications", tag = "applications",
    params(("tenant" = TenantId, Path)),
    request_body = SaveApplication,
    responses((status = 201, body = Application)),
)]
async fn create_application(
    State(app): State<App>,
    scope: Scope<need::ManageApplications>,
    Json(new): Json<SaveApplication>,
) -> Result<(StatusCode, Tagged<Application>), ApiError> {
    check_policies(&scope, &[], &new.policies)?;
    let reach = ownership::changeable(&app, &scope).await?;
    let (actor, owner) = (&scope.caller.actor, scope.caller.user());
    let tx = app.store.begin().await?;
    let application = applications::create(&tx, actor, scope.tenant, &reach, owner, &new).await?;
    app.commit(tx).await?;
    Ok((StatusCode::CREATED, tagged(application.version, application)))
}

/// One application.
#[utoipa::path(
    get, path = "/tenants/{tenant}/applications/{application}", tag = "applications",
    params(("tenant" = TenantId, Path), ("application" = ApplicationId, Path)),
    responses((status = 200, body = Application)),
)]
async fn get_application(
    State(app): State<App>,
    scope: Scope<need::ReadApplications>,
    Path((_, application)): Path<(TenantId, ApplicationId)>,
) -> Result<Tagged<Application>, ApiError> {
    let reach = ownership::readable(&app, &scope).await?;
    let application = applications::get(app.store.read(), scope.tenant, &reach, application).await?;
    Ok(tagged(application.version, application))
}

/// Changes an application.
#[utoipa::path(
    put, path = "/tenants/{tenant}/applications/{application}", tag = "applications",
    params(("tenant" = TenantId, Path), ("application" = ApplicationId, Path), ("If-Match" = String, Header)),
    request_body = SaveApplication,
    responses((status = 200, body = Application)),
)]
async fn update_application(
    State(app): State<App>,
    scope: Scope<need::ManageApplications>,
    Path((_, application)): Path<(TenantId, ApplicationId)>,
    IfMatch(version): IfMatch,
    Json(new): Json<SaveApplication>,
) -> Result<Tagged<Application>, ApiError> {
    let reach = ownership::changeable(&app, &scope).await?;
    let before = applications::get(app.store.read(), scope.tenant, &reach, application).await?;
    // Nobody slips a change in between: the version is still compared.
    check_policies(&scope, &before.policies, &new.policies)?;
    let actor = &scope.caller.actor;
    let tx = app.store.begin().await?;
    let after = applications::update(&tx, actor, scope.tenant, &reach, application, version, &new).await?;
    app.commit(tx).await?;
    Ok(tagged(after.version, after))
}

/// Removes an application with its subscriptions and keys; gateways refuse the keys at once.
#[utoipa::path(
    delete, path = "/tenants/{tenant}/applications/{application}", tag = "applications",
    params(("tenant" = TenantId, Path), ("application" = ApplicationId, Path), ("If-Match" = String, Header)),
    responses((status = 204)),
)]
async fn delete_application(
    State(app): State<App>,
    scope: Scope<need::ManageApplications>,
    Path((_, application)): Path<(TenantId, ApplicationId)>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, ApiError> {
    let reach = ownership::changeable(&app, &scope).await?;
    let tx = app.store.begin().await?;
    applications::delete(&tx, &scope.caller.actor, scope.tenant, &reach, application, version).await?;
    app.commit(tx).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who is limited does not set the limits.
fn check_policies<N>(
    scope: &Scope<N>,
    before: &[PolicyAttachment],
    after: &[PolicyAttachment],
) -> Result<(), ApiError> {
    if before == after || scope.may(Permission::ManageApis) {
        return Ok(());
    }
    Err(ApiError::forbidden("policies of an application are for those who manage APIs"))
}
