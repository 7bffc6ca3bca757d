//! The body of a preview, which holds a document of up to 32 MiB: refused by its length before it is read where the
//! length is known, and while it is read where it is not.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header;
use http_body_util::BodyExt;
use sluice_contract::rest::imports::{MAX_DOCUMENT_BYTES, PreviewImport};

use crate::extract::parse_large;
use crate::problem::ApiError;

/// A document as a JSON text is a little longer: line ends and quotes are escaped.
const MOST_BYTES: usize = MAX_DOCUMENT_BYTES + MAX_DOCUMENT_BYTES / 4;

/// How long what is too large is still taken, unread, so that the caller gets to read the refusal: one who is cut off
/// while sending sees a broken connection instead.
const DRAINED: Duration = Duration::from_secs(10);
const MOST_DRAINED: usize = 256 << 20;

/// 413 when the caller says that the body is too large. None of it is kept.
pub(super) async fn check_declared_length(request: &mut Request) -> Result<(), ApiError> {
    let declared = request.headers().get(header::CONTENT_LENGTH);
    let declared: Option<usize> = declared.and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length| length > MOST_BYTES) {
        drain(request.body_mut()).await;
        return Err(too_large());
    }
    Ok(())
}

async fn drain(body: &mut Body) {
    let all = async {
        let mut drained = 0;
        while let Some(Ok(frame)) = body.frame().await {
            drained += frame.data_ref().map_or(0, Bytes::len);
            if drained > MOST_DRAINED {
                break;
            }
        }
    };
    // Whether it ended or not, the refusal follows.
    let _ = tokio::time::timeout(DRAINED, all).await;
}

pub(super) async fn read(request: Request) -> Result<PreviewImport, ApiError> {
    let expected = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !expected.is_some_and(|kind| kind.starts_with("application/json")) {
        return Err(ApiError::unsupported_media_type("send JSON with Content-Type: application/json"));
    }
    let body = collect(request.into_body()).await?;
    // Megabytes of JSON keep a thread busy.
    tokio::task::spawn_blocking(move || parse_large(body)).await.map_err(ApiError::internal)?
}

/// The whole body; 413 as soon as it is longer than a body may be, so that no more than that is ever held.
async fn collect(mut body: Body) -> Result<Vec<u8>, ApiError> {
    let mut collected = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::bad_request("the body ended early"))?;
        let Ok(data) = frame.into_data() else { continue };
        if collected.len() + data.len() > MOST_BYTES {
            drop(collected);
            drain(&mut body).await;
            return Err(too_large());
        }
        reserve(&mut collected, data.len());
        collected.extend_from_slice(&data);
    }
    Ok(collected)
}

/// By doubling while it is small; by steps when it is large, since doubling would hold up to twice the limit.
fn reserve(collected: &mut Vec<u8>, more: usize) {
    const STEP: usize = 4 << 20;
    if collected.capacity() - collected.len() < more {
        let grow = collected.len().clamp(more, STEP.max(more));
        collected.reserve_exact(grow);
    }
}

/// 413.
pub(super) fn too_large() -> ApiError {
    let limit = MAX_DOCUMENT_BYTES >> 20;
    ApiError::too_large("document_too_large", format!("a document has at most {limit} MiB"))
}
