//! Access tokens of gateways: JWTs that are good for an hour. Whether the gateway still may come is asked of the
//! database each time, so that a removal counts at once.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sluice_contract::ids::{BootId, EnvironmentId, GatewayId};
use sluice_store::{Store, gateways};

use super::keys;
use crate::authorise::bearer;
use crate::problem::ApiError;
use crate::random;
use crate::seal::Sealer;
use crate::state::App;

const LIFETIME: TimeDelta = TimeDelta::hours(1);
const AUDIENCE: &str = "sluice-link";

/// Issues and checks access tokens (HS256, 256 bits).
pub(super) struct AccessTokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    sub: GatewayId,
    env: EnvironmentId,
    boot: BootId,
    aud: String,
    exp: i64,
}

/// A gateway with a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkedGateway {
    pub id: GatewayId,
    pub environment: EnvironmentId,
    pub boot: BootId,
    /// When it needs a new session.
    pub until: DateTime<Utc>,
}

impl AccessTokens {
    /// Loads the key, or makes it at the first start.
    ///
    /// # Errors
    /// See [`keys::load_or_make`].
    pub(super) async fn load(store: &Store, sealer: &Sealer) -> anyhow::Result<Self> {
        let make = || Ok(random::bytes::<32>()?.to_vec());
        let key = keys::load_or_make(store, sealer, "access-tokens", make).await?;
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "aud", "sub"]);
        validation.leeway = 0;
        Ok(Self {
            encoding: EncodingKey::from_secret(&key),
            decoding: DecodingKey::from_secret(&key),
            validation,
        })
    }

    /// A token for one life of a gateway.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub(super) fn issue(
        &self,
        gateway: GatewayId,
        environment: EnvironmentId,
        boot: BootId,
    ) -> Result<String, ApiError> {
        let exp = (Utc::now() + LIFETIME).timestamp();
        let claims = Claims { sub: gateway, env: environment, boot, aud: AUDIENCE.to_owned(), exp };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
            .map_err(ApiError::internal)
    }

    fn check(&self, token: &str) -> Option<LinkedGateway> {
        let Claims { sub, env, boot, aud: _, exp } =
            jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation).ok()?.claims;
        let until = DateTime::from_timestamp(exp, 0)?;
        Some(LinkedGateway { id: sub, environment: env, boot, until })
    }
}

impl FromRequestParts<App> for LinkedGateway {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let gateway = bearer(parts).and_then(|token| app.link.tokens.check(token));
        let gateway = gateway.ok_or_else(no_session)?;
        if !gateways::is_active(app.store.read(), gateway.id).await? {
            return Err(no_session());
        }
        Ok(gateway)
    }
}

/// 401: the gateway opens a new session, and learns there if it was removed.
fn no_session() -> ApiError {
    ApiError::unauthenticated().with_code("no_session").detail("open a session")
}
