//! `POST /gateway/v1/acknowledgements`: a gateway serves the state at a position.

use axum::extract::State;
use axum::http::StatusCode;
use sluice_contract::link::Acknowledgement;
use sluice_store::gateways;

use super::LinkedGateway;
use crate::extract::Json;
use crate::problem::ApiError;
use crate::state::App;

/// Notes that the gateway serves a position. 409 `incarnation_changed`: it must take a snapshot.
pub(super) async fn create_acknowledgement(
    State(app): State<App>,
    gateway: LinkedGateway,
    Json(acknowledgement): Json<Acknowledgement>,
) -> Result<StatusCode, ApiError> {
    let received_at = sluice_store::now();
    let tx = app.store.begin().await?;
    gateways::acknowledge(&tx, gateway.id, gateway.environment, &acknowledgement, received_at).await?;
    app.commit(tx).await?;
    for failed in &acknowledgement.failed {
        tracing::warn!(gateway = %gateway.id, api = %failed.api, part = %failed.part, reason = failed.reason,
            "a gateway could not use a part");
    }
    Ok(StatusCode::NO_CONTENT)
}
