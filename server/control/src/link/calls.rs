//! `POST /gateway/v1/calls`: a batch of calls and rollups.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use sluice_contract::calls::wire::NoBatch;
use sluice_contract::calls::{BatchReceipt, CallBatch};
use sluice_contract::link::CALL_BATCH_MAX;
use tokio::sync::Semaphore;

use super::LinkedGateway;
use crate::extract::Json;
use crate::ingest::ingest;
use crate::problem::ApiError;
use crate::state::App;

/// Most bytes of a batch as it is sent.
pub(super) const BODY_LIMIT: usize = CALL_BATCH_MAX;
/// Batches that are unpacked at the same time: bounds the memory, whatever comes at once after an outage.
static UNPACKING: Semaphore = Semaphore::const_new(4);

/// Stores the batch. A repetition is answered as the first one was.
pub(super) async fn create_calls(
    State(app): State<App>,
    gateway: LinkedGateway,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<BatchReceipt>, ApiError> {
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(ApiError::unsupported_media_type("send a batch without Content-Encoding"));
    }
    let _permit = UNPACKING.acquire().await.map_err(ApiError::internal)?;
    let batch = tokio::task::spawn_blocking(move || unpack(&body)).await.map_err(ApiError::internal)??;
    Ok(Json(ingest(&app, gateway.id, gateway.environment, batch).await?))
}

fn unpack(body: &[u8]) -> Result<CallBatch, ApiError> {
    CallBatch::from_wire(body).map_err(|error| match error {
        NoBatch::TooLarge => ApiError::too_large("batch_too_large", error.to_string()),
        error => ApiError::bad_request(format!("no batch of calls: {error}")),
    })
}
