//! What runs here.

use axum::extract::State;
use sluice_contract::rest::settings::About;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::Caller;
use crate::extract::Json;
use crate::state::App;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_about))
}

/// Version and kind of the installation.
#[utoipa::path(get, path = "/about", tag = "platform", responses((status = 200, body = About)))]
async fn get_about(State(app): State<App>, _caller: Caller) -> Json<About> {
    Json(About {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        database: app.store.kind(),
        embedded: app.settings.embedded,
    })
}
