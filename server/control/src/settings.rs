//! Settings of the platform that people may change at run time.

use axum::extract::State;
use sluice_contract::rest::settings::PlatformSettings;
use sluice_store::settings;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::Platform;
use crate::extract::{IfMatch, Json, Tagged, tagged};
use crate::problem::ApiError;
use crate::state::App;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_settings, update_settings))
}

/// The settings.
#[utoipa::path(get, path = "/settings", tag = "platform", responses((status = 200, body = PlatformSettings)))]
async fn get_settings(
    State(app): State<App>,
    _platform: Platform,
) -> Result<Tagged<PlatformSettings>, ApiError> {
    let (settings, version) = settings::get(app.store.read()).await?;
    Ok(tagged(version, settings))
}

/// Changes the settings.
#[utoipa::path(
    put, path = "/settings", tag = "platform",
    params(("If-Match" = String, Header)),
    request_body = PlatformSettings,
    responses((status = 200, body = PlatformSettings)),
)]
async fn update_settings(
    State(app): State<App>,
    platform: Platform,
    IfMatch(version): IfMatch,
    Json(new): Json<PlatformSettings>,
) -> Result<Tagged<PlatformSettings>, ApiError> {
    let tx = app.store.begin().await?;
    let version = settings::update(&tx, &platform.caller.actor, version, &new).await?;
    app.commit(tx).await?;
    Ok(tagged(version, new))
}
