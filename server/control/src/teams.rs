//! Teams: groups inside a tenant that own APIs and applications. The model for other resources.

use axum::extract::State;
use axum::http::StatusCode;
use sluice_contract::ids::{TeamId, TenantId};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_contract::rest::teams::{SaveTeam, Team};
use sluice_store::teams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::{Scope, need};
use crate::extract::{IfMatch, Json, Path, Query, Tagged, tagged};
use crate::problem::ApiError;
use crate::state::App;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_teams, create_team)).routes(routes!(
        get_team,
        update_team,
        delete_team
    ))
}

/// Teams of the tenant. Sorts: `name`, `created_at`.
#[utoipa::path(
    get, path = "/tenants/{tenant}/teams", tag = "teams",
    params(("tenant" = TenantId, Path), PageQuery),
    responses((status = 200, body = Page<Team>)),
)]
async fn list_teams(
    State(app): State<App>,
    scope: Scope<need::Membership>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Team>>, ApiError> {
    Ok(Json(teams::list(app.store.read(), scope.tenant, &page).await?))
}

/// Makes a team.
#[utoipa::path(
    post, path = "/tenants/{tenant}/teams", tag = "teams",
    params(("tenant" = TenantId, Path)),
    request_body = SaveTeam,
    responses((status = 201, body = Team)),
)]
async fn create_team(
    State(app): State<App>,
    scope: Scope<need::ManageTenant>,
    Json(new): Json<SaveTeam>,
) -> Result<(StatusCode, Tagged<Team>), ApiError> {
    let tx = app.store.begin().await?;
    let team = teams::create(&tx, &scope.caller.actor, scope.tenant, &new).await?;
    app.commit(tx).await?;
    Ok((StatusCode::CREATED, tagged(team.version, team)))
}

/// One team.
#[utoipa::path(
    get, path = "/tenants/{tenant}/teams/{team}", tag = "teams",
    params(("tenant" = TenantId, Path), ("team" = TeamId, Path)),
    responses((status = 200, body = Team)),
)]
async fn get_team(
    State(app): State<App>,
    scope: Scope<need::Membership>,
    Path((_, team)): Path<(TenantId, TeamId)>,
) -> Result<Tagged<Team>, ApiError> {
    let team = teams::get(app.store.read(), scope.tenant, team).await?;
    Ok(tagged(team.version, team))
}

/// Changes a team.
#[utoipa::path(
    put, path = "/tenants/{tenant}/teams/{team}", tag = "teams",
    params(("tenant" = TenantId, Path), ("team" = TeamId, Path), ("If-Match" = String, Header)),
    request_body = SaveTeam,
    responses((status = 200, body = Team)),
)]
async fn update_team(
    State(app): State<App>,
    scope: Scope<need::ManageTenant>,
    Path((_, team)): Path<(TenantId, TeamId)>,
    IfMatch(version): IfMatch,
    Json(new): Json<SaveTeam>,
) -> Result<Tagged<Team>, ApiError> {
    let tx = app.store.begin().await?;
    let team = teams::update(&tx, &scope.caller.actor, scope.tenant, team, version, &new).await?;
    app.commit(tx).await?;
    Ok(tagged(team.version, team))
}

/// Removes a team that owns nothing.
#[utoipa::path(
    delete, path = "/tenants/{tenant}/teams/{team}", tag = "teams",
    params(("tenant" = TenantId, Path), ("team" = TeamId, Path), ("If-Match" = String, Header)),
    responses((status = 204)),
)]
async fn delete_team(
    State(app): State<App>,
    scope: Scope<need::ManageTenant>,
    Path((_, team)): Path<(TenantId, TeamId)>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, ApiError> {
    let tx = app.store.begin().await?;
    teams::delete(&tx, &scope.caller.actor, scope.tenant, team, version).await?;
    app.commit(tx).await?;
    Ok(StatusCode::NO_CONTENT)
}
