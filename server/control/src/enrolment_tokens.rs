//! Enrolment tokens: what new gateways of an environment prove themselves with. A token may be used by many gateways
//! until it expires, so that fleets can scale by themselves.

use axum::extract::State;
use axum::http::StatusCode;
use chrono::TimeDelta;
use sluice_contract::ids::{EnrolmentTokenId, EnvironmentId};
use sluice_contract::link::EnrolmentToken;
use sluice_contract::part::Sha256Hash;
use sluice_contract::rest::gateways::{CreateEnrolmentToken, CreatedEnrolmentToken, EnrolmentTokenInfo};
use sluice_contract::rest::page::{Page, PageQuery};
use sluice_store::audit::{self, Actor, Change, seen};
use sluice_store::enrolment_tokens::{self, NewEnrolmentToken};
use sluice_store::{environments, text};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::Platform;
use crate::extract::{Json, Path, Query};
use crate::problem::ApiError;
use crate::random;
use crate::state::App;

const HOURS: u32 = 24;
const MOST_HOURS: u32 = 365 * 24;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_enrolment_tokens, create_enrolment_token))
        .routes(routes!(delete_enrolment_token))
}

/// Tokens of the environment, ended ones too. Sorts: `created_at`, `name`, `expires_at`.
#[utoipa::path(
    get, path = "/environments/{environment}/enrolment-tokens", tag = "gateways",
    params(("environment" = EnvironmentId, Path), PageQuery),
    responses((status = 200, body = Page<EnrolmentTokenInfo>)),
)]
async fn list_enrolment_tokens(
    State(app): State<App>,
    _platform: Platform,
    Path(environment): Path<EnvironmentId>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<EnrolmentTokenInfo>>, ApiError> {
    environments::get(app.store.read(), environment).await?;
    Ok(Json(enrolment_tokens::list(app.store.read(), environment, &page).await?))
}

/// Makes a token; it is shown this once.
#[utoipa::path(
    post, path = "/environments/{environment}/enrolment-tokens", tag = "gateways",
    params(("environment" = EnvironmentId, Path)),
    request_body = CreateEnrolmentToken,
    responses((status = 201, body = CreatedEnrolmentToken)),
)]
async fn create_enrolment_token(
    State(app): State<App>,
    platform: Platform,
    Path(environment): Path<EnvironmentId>,
    Json(new): Json<CreateEnrolmentToken>,
) -> Result<(StatusCode, Json<CreatedEnrolmentToken>), ApiError> {
    let created = create(&app, &platform.caller.actor, environment, &new).await?;
    Ok((StatusCode::CREATED, Json(created)))
}

/// Revokes a token. Gateways that have enrolled with it stay.
#[utoipa::path(
    delete, path = "/environments/{environment}/enrolment-tokens/{token}", tag = "gateways",
    params(("environment" = EnvironmentId, Path), ("token" = EnrolmentTokenId, Path)),
    responses((status = 204)),
)]
async fn delete_enrolment_token(
    State(app): State<App>,
    platform: Platform,
    Path((environment, token)): Path<(EnvironmentId, EnrolmentTokenId)>,
) -> Result<StatusCode, ApiError> {
    let tx = app.store.begin().await?;
    let info = enrolment_tokens::revoke(&tx, environment, token).await?;
    let change = Change {
        tenant: None,
        action: "delete_enrolment_token",
        resource: "enrolment_token",
        id: token.to_string(),
        name: &info.name,
        before: seen(&info_before(&info))?,
        after: seen(&info)?,
    };
    audit::record(&tx, &platform.caller.actor, change).await?;
    app.commit(tx).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn info_before(revoked: &EnrolmentTokenInfo) -> EnrolmentTokenInfo {
    EnrolmentTokenInfo { revoked_at: None, ..revoked.clone() }
}

/// Makes a token of an environment; also for the command line and for the gateway of `sluice up`.
///
/// # Errors
/// 404 for an environment that is not there; 409 `link_not_configured` when nobody has said what gateways dial; 422.
pub async fn create(
    app: &App,
    actor: &Actor,
    environment: EnvironmentId,
    new: &CreateEnrolmentToken,
) -> Result<CreatedEnrolmentToken, ApiError> {
    let CreateEnrolmentToken { name, valid_hours } = new;
    let hours = valid_hours.unwrap_or(HOURS);
    if !(1..=MOST_HOURS).contains(&hours) {
        return Err(ApiError::invalid_field("/valid_hours", "out_of_range", format!("1 to {MOST_HOURS}")));
    }
    let url = app.settings.link_url.clone().ok_or_else(no_url)?;
    let secret = random::secret("")?;
    let new = NewEnrolmentToken {
        environment,
        name: text::name("/name", name)?,
        secret: Sha256Hash::of(secret.as_bytes()),
        created_by: actor.name.clone(),
        expires_at: sluice_store::now() + TimeDelta::hours(hours.into()),
    };
    let tx = app.store.begin().await?;
    environments::get(&tx, environment).await?;
    let info = enrolment_tokens::create(&tx, new).await?;
    let change = Change {
        tenant: None,
        action: "create_enrolment_token",
        resource: "enrolment_token",
        id: info.id.to_string(),
        name: &info.name,
        before: None,
        after: seen(&info)?,
    };
    audit::record(&tx, actor, change).await?;
    app.commit(tx).await?;
    let fingerprint = url.starts_with("https:").then(|| app.link_fingerprint());
    let token = EnrolmentToken { secret, url, fingerprint }.encode();
    let command = format!("SLUICE_GATEWAY_ENROLMENT_TOKEN={token} sluice-gateway");
    Ok(CreatedEnrolmentToken { info, token, command })
}

fn no_url() -> ApiError {
    ApiError::conflict(
        "link_not_configured",
        "set `link_url` of the control plane to what gateways dial, then make the token",
    )
}
