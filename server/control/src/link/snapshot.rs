//! `GET /gateway/v1/snapshot`: the whole state of the gateway's environment.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use sluice_store::journal;

use super::LinkedGateway;
use crate::problem::ApiError;
use crate::state::App;

/// The state at the newest position, JSON of [`sluice_contract::journal::Snapshot`].
pub(super) async fn get_snapshot(
    State(app): State<App>,
    gateway: LinkedGateway,
) -> Result<impl IntoResponse, ApiError> {
    let json = journal::snapshot_json(&app.store, gateway.environment).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], json))
}
