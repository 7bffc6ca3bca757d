//! Users of a tenant and what they may do.

use axum::extract::State;
use axum::http::StatusCode;
use sluice_contract::ids::{TenantId, UserId};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_contract::rest::users::{CreateUser, CreatedUser, UpdateUser, User};
use sluice_store::users;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::{Scope, need};
use crate::extract::{IfMatch, Json, Path, Query, Tagged, tagged};
use crate::invitations;
use crate::problem::ApiError;
use crate::state::App;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_users, create_user))
        .routes(routes!(get_user, update_user, delete_user))
        .routes(routes!(create_invitation))
}

/// Users of the tenant. Sorts: `name`, `email`, `created_at`.
#[utoipa::path(
    get, path = "/tenants/{tenant}/users", tag = "users",
    params(("tenant" = TenantId, Path), PageQuery),
    responses((status = 200, body = Page<User>)),
)]
async fn list_users(
    State(app): State<App>,
    scope: Scope<need::ManageTenant>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<User>>, ApiError> {
    Ok(Json(users::list(app.store.read(), scope.tenant, &page).await?))
}

/// Adds a person; a new account comes with a one-time link to choose a password.
#[utoipa::path(
    post, path = "/tenants/{tenant}/users", tag = "users",
    params(("tenant" = TenantId, Path)),
    request_body = CreateUser,
    responses((status = 201, body = CreatedUser)),
)]
async fn create_user(
    State(app): State<App>,
    scope: Scope<need::ManageTenant>,
    Json(new): Json<CreateUser>,
) -> Result<(StatusCode, Json<CreatedUser>), ApiError> {
    let tx = app.store.begin().await?;
    let (user, is_new) = users::create(&tx, &scope.caller.actor, scope.tenant, &new).await?;
    let invitation = if is_new { Some(invitations::issue(&tx, user.id).await?) } else { None };
    app.commit(tx).await?;
    Ok((StatusCode::CREATED, Json(CreatedUser { user, invitation })))
}

/// One user.
#[utoipa::path(
    get, path = "/tenants/{tenant}/users/{user}", tag = "users",
    params(("tenant" = TenantId, Path), ("user" = UserId, Path)),
    responses((status = 200, body = User)),
)]
async fn get_user(
    State(app): State<App>,
    scope: Scope<need::ManageTenant>,
    Path((_, user)): Path<(TenantId, UserId)>,
) -> Result<Tagged<User>, ApiError> {
    let user = users::get(app.store.read(), scope.tenant, user).await?;
    Ok(tagged(user.version, user))
}

/// Changes what a person may do in the tenant.
#[utoipa::path(
    put, path = "/tenants/{tenant}/users/{user}", tag = "users",
    params(("tenant" = TenantId, Path), ("user" = UserId, Path), ("If-Match" = String, Header)),
    request_body = UpdateUser,
    responses((status = 200, body = User)),
)]
async fn update_user(
    State(app): State<App>,
    scope: Scope<need::ManageTenant>,
    Path((_, user)): Path<(TenantId, UserId)>,
    IfMatch(version): IfMatch,
    Json(new): Json<UpdateUser>,
) -> Result<Tagged<User>, ApiError> {
    let tx = app.store.begin().await?;
    let user = users::update(&tx, &scope.caller.actor, scope.tenant, user, version, &new).await?;
    app.commit(tx).await?;
    Ok(tagged(user.version, user))
}

/// Takes a person out of the tenant.
#[utoipa::path(
    delete, path = "/tenants/{tenant}/users/{user}", tag = "users",
    params(("tenant" = TenantId, Path), ("user" = UserId, Path), ("If-Match" = String, Header)),
    responses((status = 204)),
)]
async fn delete_user(
    State(app): State<App>,
    scope: Scope<need::ManageTenant>,
    Path((_, user)): Path<(TenantId, UserId)>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, ApiError> {
    let tx = app.store.begin().await?;
    users::delete(&tx, &scope.caller.actor, scope.tenant, user, version).await?;
    app.commit(tx).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A new one-time link to choose a password, also for who has forgotten theirs. Only while no other tenant shares the
/// account: a tenant's admins must not take over what somebody may do elsewhere.
#[utoipa::path(
    post, path = "/tenants/{tenant}/users/{user}/invitation", tag = "users",
    params(("tenant" = TenantId, Path), ("user" = UserId, Path)),
    responses((status = 201, body = CreatedUser)),
)]
async fn create_invitation(
    State(app): State<App>,
    scope: Scope<need::ManageTenant>,
    Path((_, user)): Path<(TenantId, UserId)>,
) -> Result<(StatusCode, Json<CreatedUser>), ApiError> {
    let tx = app.store.begin().await?;
    let user = users::get(&tx, scope.tenant, user).await?;
    let shared = user.platform_admin || !users::belongs_only_to(&tx, scope.tenant, user.id).await?;
    if shared && !scope.caller.manages_platform() {
        let detail = "the account is shared with other tenants: ask a platform admin for the link";
        return Err(ApiError::conflict("shared_account", detail));
    }
    let invitation = invitations::issue(&tx, user.id).await?;
    users::record_invitation(&tx, &scope.caller.actor, scope.tenant, &user).await?;
    app.commit(tx).await?;
    Ok((StatusCode::CREATED, Json(CreatedUser { user, invitation: Some(invitation) })))
}
