//! `GET /gateway/v1/snapshot`: the whole state of the gateway's environment.

use axum::extract::State;
use sluice_contract::journal::Snapshot;
use sluice_store::journal;

use super::LinkedGateway;
use crate::extract::Json;
use crate::problem::ApiError;
use crate::state::App;

/// The state at the newest position.
pub(super) async fn get_snapshot(
    State(app): State<App>,
    gateway: LinkedGateway,
) -> Result<Json<Snapshot>, ApiError> {
    Ok(Json(journal::snapshot(&app.store, gateway.environment).await?))
}
