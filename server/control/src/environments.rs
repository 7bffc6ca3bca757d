//! Environments: where APIs are released to. The platform owns them; tenants see those that they may use.

use axum::extract::State;
use axum::http::StatusCode;
use ipnet::IpNet;
use sluice_contract::environment::EnvironmentSettings;
use sluice_contract::ids::{EnvironmentId, TenantId};
use sluice_contract::problem::FieldProblem;
use sluice_contract::rest::environments::{CreateEnvironment, Environment, UpdateEnvironment};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_contract::rest::policy_types::PolicyScope;
use sluice_store::environments;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::{Platform, Scope, need};
use crate::extract::{IfMatch, Json, Path, Query, Tagged, tagged};
use crate::problem::ApiError;
use crate::state::App;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_environments))
        .routes(routes!(create_environment))
        .routes(routes!(get_environment, update_environment))
}

/// Environments that the tenant may use. Sorts: `name`, `slug`, `created_at`.
#[utoipa::path(
    get, path = "/tenants/{tenant}/environments", tag = "environments",
    params(("tenant" = TenantId, Path), PageQuery),
    responses((status = 200, body = Page<Environment>)),
)]
async fn list_environments(
    State(app): State<App>,
    scope: Scope<need::Membership>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Environment>>, ApiError> {
    Ok(Json(environments::list(app.store.read(), scope.tenant, &page).await?))
}

/// Makes an environment.
#[utoipa::path(
    post, path = "/environments", tag = "environments",
    request_body = CreateEnvironment,
    responses((status = 201, body = Environment)),
)]
async fn create_environment(
    State(app): State<App>,
    platform: Platform,
    Json(new): Json<CreateEnvironment>,
) -> Result<(StatusCode, Tagged<Environment>), ApiError> {
    let tx = app.store.begin().await?;
    let environment = environments::create(&tx, &platform.caller.actor, &new).await?;
    app.commit(tx).await?;
    Ok((StatusCode::CREATED, tagged(environment.version, environment)))
}

/// One environment.
#[utoipa::path(
    get, path = "/environments/{environment}", tag = "environments",
    params(("environment" = EnvironmentId, Path)),
    responses((status = 200, body = Environment)),
)]
async fn get_environment(
    State(app): State<App>,
    _platform: Platform,
    Path(environment): Path<EnvironmentId>,
) -> Result<Tagged<Environment>, ApiError> {
    let environment = environments::get(app.store.read(), environment).await?;
    Ok(tagged(environment.version, environment))
}

/// Changes an environment and tells its gateways.
#[utoipa::path(
    put, path = "/environments/{environment}", tag = "environments",
    params(("environment" = EnvironmentId, Path), ("If-Match" = String, Header)),
    request_body = UpdateEnvironment,
    responses((status = 200, body = Environment)),
)]
async fn update_environment(
    State(app): State<App>,
    platform: Platform,
    Path(environment): Path<EnvironmentId>,
    IfMatch(version): IfMatch,
    Json(new): Json<UpdateEnvironment>,
) -> Result<Tagged<Environment>, ApiError> {
    check(&new.settings)?;
    let tx = app.store.begin().await?;
    let environment = environments::update(&tx, &platform.caller.actor, environment, version, &new).await?;
    app.commit(tx).await?;
    Ok(tagged(environment.version, environment))
}

/// Networks must be CIDR, policies must fit their schemas, and limits must let something through.
fn check(settings: &EnvironmentSettings) -> Result<(), ApiError> {
    let EnvironmentSettings { trusted_proxies, allowed_networks, limits, max_offline_s: _, policies } =
        settings;
    let mut problems = networks("/settings/trusted_proxies", trusted_proxies);
    problems.extend(networks("/settings/allowed_networks", allowed_networks));
    problems.extend(sluice_policies::validate_all(PolicyScope::Environment, policies, "/settings/policies"));
    let sluice_contract::environment::RequestLimits {
        body_bytes: _,
        header_bytes,
        header_count,
        header_timeout_ms,
        body_idle_ms,
    } = *limits;
    let least = [
        ("header_bytes", u64::from(header_bytes), 1024),
        ("header_count", u64::from(header_count), 10),
        ("header_timeout_ms", header_timeout_ms, 100),
        ("body_idle_ms", body_idle_ms, 100),
    ];
    for (field, value, least) in least.into_iter().filter(|(_, value, least)| value < least) {
        let message = format!("{value} would refuse every call; at least {least}");
        problems.push(FieldProblem::new(format!("/settings/limits/{field}"), "out_of_range", message));
    }
    if problems.is_empty() { Ok(()) } else { Err(ApiError::invalid(problems)) }
}

fn networks(pointer: &str, texts: &[String]) -> Vec<FieldProblem> {
    let wrong = texts.iter().enumerate().filter(|(_, text)| text.parse::<IpNet>().is_err());
    wrong
        .map(|(index, _)| {
            let message = "a network such as 10.0.0.0/8 or 2001:db8::/32";
            FieldProblem::new(format!("{pointer}/{index}"), "not_a_network", message)
        })
        .collect()
}
