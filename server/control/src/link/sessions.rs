//! `POST /gateway/v1/sessions`: a gateway shows its secret and gets an access token for this life of it.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use sluice_contract::link::{GATEWAY_REMOVED, SessionRequest, SessionResponse, UNKNOWN_GATEWAY};
use sluice_contract::part::Sha256Hash;
use sluice_store::gateways::{self, Session};
use sluice_store::journal;

use super::enrolments::check_protocol;
use crate::client_address::ClientAddress;
use crate::extract::Json;
use crate::problem::ApiError;
use crate::state::App;

/// Opens a session.
pub(super) async fn create_session(
    State(app): State<App>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    Json(request): Json<SessionRequest>,
) -> Result<(StatusCode, Json<SessionResponse>), ApiError> {
    // Each gateway of its own, or removed ones would hold back others behind the same address.
    let who = (address, Some(request.gateway));
    app.link.refusals.check(who)?;
    let opened = open(&app, &request).await;
    if let Err(error) = &opened {
        app.link.refusals.note(who);
        tracing::warn!(%address, gateway = %request.gateway, code = error.code(), "session refused");
    }
    Ok((StatusCode::CREATED, Json(opened?)))
}

async fn open(app: &App, request: &SessionRequest) -> Result<SessionResponse, ApiError> {
    check_protocol(request.protocol)?;
    let secret = Sha256Hash::of(request.secret.as_bytes());
    let tx = app.store.begin().await?;
    let session = gateways::open_session(&tx, request, secret).await?;
    let incarnation = journal::incarnation(&tx).await?;
    app.commit(tx).await?;
    let (environment, environment_name) = match session {
        Session::Opened { environment, environment_name } => (environment, environment_name),
        Session::Removed => return Err(removed()),
        Session::Unknown => return Err(unknown()),
    };
    if let Some(url) = &request.public_url {
        app.learn_gateway(url);
    }
    let access_token = app.link.tokens.issue(request.gateway, environment, request.boot)?;
    Ok(SessionResponse { access_token, incarnation, environment_name })
}

fn removed() -> ApiError {
    ApiError::forbidden("this gateway was removed").with_code(GATEWAY_REMOVED)
}

fn unknown() -> ApiError {
    ApiError::unauthenticated()
        .with_code(UNKNOWN_GATEWAY)
        .detail("no gateway with this id and secret is known here; enrol again")
}
