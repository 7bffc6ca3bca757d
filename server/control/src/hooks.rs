//! `POST /hooks/v1/cache/{id}`: signed webhooks whose payloads say what to purge. No session and no token: the
//! signature is what counts.

pub(crate) mod secret;
mod signature;

use axum::Extension;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use sluice_contract::ids::EventSourceId;
use sluice_contract::rest::event_sources::{DeliveryOutcome, EventReceipt};
use sluice_store::audit::Actor;
use sluice_store::event_sources::{self, Receiver, Taken};

use crate::client_address::ClientAddress;
use crate::extract::{Json, Path};
use crate::middleware::RequestId;
use crate::problem::ApiError;
use crate::state::App;
use crate::throttle;
pub(crate) use signature::sign;
use signature::{Signed, Wrong};

/// Largest payload, in bytes.
const BODY_LIMIT: usize = 256 << 10;

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/hooks/v1/cache/{source}", post(receive).fallback(async || ApiError::method_not_allowed()))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
}

async fn receive(
    State(app): State<App>,
    Path(source): Path<EventSourceId>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    Extension(RequestId(request)): Extension<RequestId>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<EventReceipt>), ApiError> {
    let source = event_sources::receiver(app.store.read(), source).await?;
    throttle::check_sender(&app.store, source.id, address).await?;
    let body = body.map_err(unreadable)?;
    let message = match verify(&app, &source, &headers, &body)? {
        Ok(message) => message,
        Err(wrong) => {
            throttle::wrong_sender(&app.store, source.id, address).await?;
            return refuse(&app, &source, &headers, wrong.code(), unsigned(wrong)).await;
        }
    };
    if !source.enabled {
        let disabled = ApiError::conflict("disabled", "this source of events is switched off");
        return refuse(&app, &source, &headers, "disabled", disabled).await;
    }
    let name = format!("webhook:{}", source.name);
    let actor = Actor { name, address: Some(address.to_string()), request_id: Some(request) };
    let tx = app.store.begin().await?;
    let taken = event_sources::take(&tx, &actor, &source, &message, &body).await?;
    if taken == Taken::TooMany {
        drop(tx);
        return refuse(&app, &source, &headers, "rate_limited", too_many()).await;
    }
    app.commit(tx).await?;
    answer(taken)
}

fn answer(taken: Taken) -> Result<(StatusCode, Json<EventReceipt>), ApiError> {
    let (status, outcome, purges) = match taken {
        // Every gateway is on its way to it, and none has acknowledged it yet.
        Taken::Purged(purges) if !purges.is_empty() => {
            (StatusCode::ACCEPTED, DeliveryOutcome::Purged, purges)
        }
        Taken::Purged(none) => (StatusCode::OK, DeliveryOutcome::Nothing, none),
        Taken::Repeated => (StatusCode::OK, DeliveryOutcome::Repeated, Vec::new()),
        Taken::Invalid(fields) => {
            return Err(ApiError::invalid(fields).detail("the event does not fit the rules"));
        }
        Taken::TooMany => return Err(too_many()),
    };
    Ok((status, Json(EventReceipt { outcome, purges })))
}

/// The message's id when a secret of the source has signed it, or what is wrong.
fn verify(
    app: &App,
    source: &Receiver,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Result<String, Wrong>, ApiError> {
    let mut secrets = Vec::with_capacity(source.secrets.len());
    for sealed in &source.secrets {
        secrets.push(secret::open(&app.sealer, source.id, sealed)?);
    }
    Ok(Signed::read(headers).and_then(|signed| signed.verify(&secrets, body, sluice_store::now())))
}

/// Writes down that it was refused, and refuses it.
async fn refuse<T>(
    app: &App,
    source: &Receiver,
    headers: &HeaderMap,
    code: &str,
    error: ApiError,
) -> Result<T, ApiError> {
    let message = Signed::read(headers).map(|signed| signed.id.to_owned()).unwrap_or_default();
    let tx = app.store.begin().await?;
    event_sources::refuse(&tx, source, &message, code).await?;
    app.commit(tx).await?;
    Err(error)
}

fn unsigned(wrong: Wrong) -> ApiError {
    ApiError::unauthenticated().detail(wrong.words()).with_code(wrong.code())
}

fn too_many() -> ApiError {
    ApiError::too_many("rate_limited", "this source has sent as many events as it may in a minute", 60)
}

fn unreadable(rejection: BytesRejection) -> ApiError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return ApiError::too_large("body_too_large", format!("an event has at most {BODY_LIMIT} bytes"));
    }
    ApiError::bad_request("the body ended early")
}
