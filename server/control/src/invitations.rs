//! Invitations: one-time links with which people choose their password.

use axum::extract::State;
use axum::http::StatusCode;
use chrono::Duration;
use sluice_contract::ids::UserId;
use sluice_contract::rest::session::Session;
use sluice_contract::rest::users::AcceptInvitation;
use sluice_store::one_time_tokens::{self, Purpose};
use sluice_store::{Tx, users};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::extract::Json;
use crate::problem::ApiError;
use crate::state::App;
use crate::{random, session};

const VALID: Duration = Duration::days(7);

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(accept_invitation))
}

/// Makes a link: path and query on the console. Older ones of the same person stop working.
pub(crate) async fn issue(tx: &Tx, user: UserId) -> Result<String, ApiError> {
    let secret = random::secret("")?;
    one_time_tokens::issue(tx, Purpose::Invitation(user), &secret, VALID).await?;
    Ok(format!("/welcome?token={secret}"))
}

/// Chooses a password with the one-time link; signs in.
#[utoipa::path(
    post, path = "/invitations", tag = "session", security(()),
    request_body = AcceptInvitation,
    responses((status = 201, body = Session)),
)]
async fn accept_invitation(
    State(app): State<App>,
    cookie: tower_sessions::Session,
    Json(AcceptInvitation { token, password }): Json<AcceptInvitation>,
) -> Result<(StatusCode, Json<Session>), ApiError> {
    // Hashing takes time and memory on purpose: not for who only guesses.
    one_time_tokens::check(app.store.read(), &token).await.map_err(spent)?;
    let hash = app.passwords.hash("/password", &password).await?;
    let tx = app.store.begin().await?;
    let user = one_time_tokens::redeem_invitation(&tx, &token).await.map_err(spent)?;
    users::set_password(&tx, user, hash).await?;
    users::signed_in(&tx, user, sluice_store::now()).await?;
    app.commit(tx).await?;
    Ok((StatusCode::CREATED, Json(session::begin(&app, &cookie, user).await?)))
}

/// A link that was used, has expired or never was.
pub(crate) fn spent(error: sluice_store::Error) -> ApiError {
    match error {
        sluice_store::Error::NotFound => {
            let message = "this link was used, has expired or was replaced by a newer one; ask for a new one";
            ApiError::invalid_field("/token", "spent", message)
        }
        other => other.into(),
    }
}
