//! `POST /gateway/v1/enrolments`: a new gateway shows its enrolment token and gets an identity.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use sluice_contract::link::{EnrolRequest, EnrolResponse, PROTOCOL};
use sluice_contract::part::Sha256Hash;
use sluice_store::audit::{self, Change};
use sluice_store::gateways::{self, NewGateway};
use sluice_store::{Error, text};

use crate::authorise::Origin;
use crate::client_address::ClientAddress;
use crate::extract::Json;
use crate::problem::ApiError;
use crate::random;
use crate::state::App;

/// Gives a gateway an identity in the environment of its token.
pub(super) async fn create_enrolment(
    State(app): State<App>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    origin: Origin,
    Json(request): Json<EnrolRequest>,
) -> Result<(StatusCode, Json<EnrolResponse>), ApiError> {
    app.link.refusals.check((address, None))?;
    let enrolled = enrol(&app, origin, request).await;
    if let Err(error) = &enrolled {
        app.link.refusals.note((address, None));
        tracing::warn!(%address, code = error.code(), "enrolment refused");
    }
    Ok((StatusCode::CREATED, Json(enrolled?)))
}

async fn enrol(app: &App, origin: Origin, request: EnrolRequest) -> Result<EnrolResponse, ApiError> {
    let EnrolRequest { secret, name, region, protocol } = request;
    check_protocol(protocol)?;
    let own_secret = random::secret("slg_")?;
    let new = NewGateway {
        token: Sha256Hash::of(secret.as_bytes()),
        name: text::name("/name", &name)?,
        region: region.map(|region| text::name("/region", &region)).transpose()?,
        secret: Sha256Hash::of(own_secret.as_bytes()),
    };
    let region = new.region.clone();
    let tx = app.store.begin().await?;
    let enrolled = gateways::enrol(&tx, new).await.map_err(refusal)?;
    let after = serde_json::json!({ "environment": enrolled.environment, "region": region });
    let change = Change {
        tenant: None,
        action: "enrol_gateway",
        resource: "gateway",
        id: enrolled.gateway.to_string(),
        name: &enrolled.name,
        before: None,
        after: Some(after),
    };
    audit::record(&tx, &origin.actor(format!("gateway:{}", enrolled.name)), change).await?;
    app.commit(tx).await?;
    tracing::info!(gateway = %enrolled.gateway, name = enrolled.name, "gateway enrolled");
    Ok(EnrolResponse { gateway: enrolled.gateway, secret: own_secret, environment: enrolled.environment })
}

/// Who knows the secret of a token may know that it has ended; everybody else learns nothing.
fn refusal(error: Error) -> ApiError {
    match error {
        Error::NotFound => ApiError::unauthenticated()
            .with_code("unknown_enrolment_token")
            .detail("this enrolment token is not known here"),
        Error::Conflict { code, message } => ApiError::forbidden(message).with_code(code),
        other => other.into(),
    }
}

/// This version of the protocol and the one before are served.
pub(super) fn check_protocol(protocol: u16) -> Result<(), ApiError> {
    if (PROTOCOL.saturating_sub(1)..=PROTOCOL).contains(&protocol) {
        return Ok(());
    }
    let detail = format!("this control plane speaks protocol {PROTOCOL}, the gateway {protocol}");
    Err(ApiError::conflict("protocol_not_supported", detail))
}
