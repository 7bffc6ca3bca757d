//! `POST /gateway/v1/calls`: a batch of calls and rollups, compressed by zstd.

use std::io::Read;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use sluice_contract::calls::{BatchReceipt, CallBatch};
use sluice_contract::link::CALL_BATCH_MAX;
use tokio::sync::Semaphore;

use super::LinkedGateway;
use crate::extract::Json;
use crate::ingest::ingest;
use crate::problem::ApiError;
use crate::state::App;

/// Most bytes of a batch as it is sent. Nothing grows by compression, but for a few bytes.
pub(super) const BODY_LIMIT: usize = CALL_BATCH_MAX + (64 << 10);
/// Batches that are unpacked at the same time: bounds the memory, whatever comes at once after an outage.
static UNPACKING: Semaphore = Semaphore::const_new(4);

/// Stores the batch. A repetition is answered as the first one was.
pub(super) async fn create_calls(
    State(app): State<App>,
    gateway: LinkedGateway,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<BatchReceipt>, ApiError> {
    if headers.get(header::CONTENT_ENCODING).is_none_or(|encoding| encoding != "zstd") {
        return Err(ApiError::unsupported_media_type("send a batch with Content-Encoding: zstd"));
    }
    let _permit = UNPACKING.acquire().await.map_err(ApiError::internal)?;
    let batch = tokio::task::spawn_blocking(move || unpack(&body)).await.map_err(ApiError::internal)??;
    Ok(Json(ingest(&app, gateway.id, gateway.environment, batch).await?))
}

fn unpack(body: &[u8]) -> Result<CallBatch, ApiError> {
    let not_zstd = |_| ApiError::bad_request("the body is not what zstd makes");
    let mut bytes = Vec::new();
    let decoder = zstd::Decoder::new(body).map_err(not_zstd)?;
    decoder.take(CALL_BATCH_MAX as u64 + 1).read_to_end(&mut bytes).map_err(not_zstd)?;
    if bytes.len() > CALL_BATCH_MAX {
        let detail = format!("a batch is at most {CALL_BATCH_MAX} bytes before compression");
        return Err(ApiError::too_large("batch_too_large", detail));
    }
    CallBatch::from_wire(&bytes).map_err(|error| ApiError::bad_request(format!("no batch of calls: {error}")))
}
