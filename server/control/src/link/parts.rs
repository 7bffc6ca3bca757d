//! `GET /gateway/v1/parts/{hash}`: the bytes of a part. A part never changes, and its name proves them.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use sluice_contract::part::Sha256Hash;
use sluice_store::parts;

use super::LinkedGateway;
use crate::extract::Path;
use crate::problem::ApiError;
use crate::state::App;

/// The bytes of a part that the gateway's environment names now or has named in what is left of its journal.
pub(super) async fn get_part(
    State(app): State<App>,
    gateway: LinkedGateway,
    Path(hash): Path<Sha256Hash>,
) -> Result<impl IntoResponse, ApiError> {
    let bytes = parts::get_for(app.store.read(), gateway.environment, hash).await?;
    let bytes = bytes.ok_or_else(ApiError::not_found)?;
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "private, immutable, max-age=31536000"),
    ];
    Ok((headers, bytes))
}
