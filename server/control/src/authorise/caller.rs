//! Who is calling: a user with a session, or a token for automation.

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use sluice_contract::ids::{ApiTokenId, TenantId, UserId};
use sluice_contract::rest::session::Permission;
use sluice_store::audit::Actor;
use sluice_store::{api_tokens, users};
use tower_sessions::Session;

use super::permissions::permissions_of;
use crate::client_address::ClientAddress;
use crate::middleware::RequestId;
use crate::problem::ApiError;
use crate::state::App;

/// Where the session keeps whose it is.
pub(crate) const SESSION_USER: &str = "user";

/// Who is calling, with what they may do where.
#[derive(Clone, Debug)]
pub struct Caller {
    pub identity: Identity,
    /// For the audit log.
    pub actor: Actor,
    grants: Vec<(TenantId, Vec<Permission>)>,
}

/// A person or a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    User { id: UserId, platform_admin: bool },
    Token { id: ApiTokenId },
}

impl Caller {
    /// The person, when it is one.
    pub fn user(&self) -> Option<UserId> {
        match self.identity {
            Identity::User { id, .. } => Some(id),
            Identity::Token { .. } => None,
        }
    }

    /// Whether the tenant exists for this caller. Platform admins are at home everywhere.
    pub fn belongs_to(&self, tenant: TenantId) -> bool {
        self.is_platform_admin() || self.grants.iter().any(|(granted, _)| *granted == tenant)
    }

    /// Whether the caller may do this in the tenant.
    pub fn may_in(&self, tenant: TenantId, permission: Permission) -> bool {
        self.is_platform_admin()
            || self.grants.iter().any(|(granted, may)| *granted == tenant && may.contains(&permission))
    }

    /// Whether the caller may manage the platform: a platform admin, or a token that one has given this permission.
    pub fn manages_platform(&self) -> bool {
        let token = matches!(self.identity, Identity::Token { .. });
        let granted = self.grants.iter().any(|(_, may)| may.contains(&Permission::ManagePlatform));
        self.is_platform_admin() || (token && granted)
    }

    fn is_platform_admin(&self) -> bool {
        matches!(self.identity, Identity::User { platform_admin: true, .. })
    }

    async fn by_token(app: &App, secret: &str, origin: Origin) -> Result<Self, ApiError> {
        let (tenant, token) = api_tokens::authenticate(app.store.read(), secret).await.map_err(absent)?;
        Ok(Self {
            identity: Identity::Token { id: token.id },
            actor: origin.actor(format!("token:{}", token.name)),
            grants: vec![(tenant, token.permissions)],
        })
    }

    async fn by_session(app: &App, id: UserId, origin: Origin) -> Result<Self, ApiError> {
        let account = users::account(app.store.read(), id).await.map_err(absent)?;
        let memberships = users::memberships_of(app.store.read(), id).await?;
        let enabled = memberships.into_iter().filter(|membership| !membership.disabled);
        Ok(Self {
            identity: Identity::User { id, platform_admin: account.platform_admin },
            actor: origin.actor(account.email),
            grants: enabled.map(|m| (m.tenant.id, permissions_of(&m.roles))).collect(),
        })
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let origin = Origin::of(parts);
        if let Some(secret) = bearer(parts) {
            return Self::by_token(app, secret, origin).await;
        }
        let session = parts.extensions.get::<Session>().ok_or_else(ApiError::unauthenticated)?;
        let user: Option<UserId> = session.get(SESSION_USER).await?;
        Self::by_session(app, user.ok_or_else(ApiError::unauthenticated)?, origin).await
    }
}

/// An account or token that is gone is nobody.
fn absent(error: sluice_store::Error) -> ApiError {
    match error {
        sluice_store::Error::NotFound => ApiError::unauthenticated(),
        other => other.into(),
    }
}

/// The token of `Authorization: Bearer`, if any.
pub(crate) fn bearer(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Where a request comes from, for the audit log.
pub(crate) struct Origin {
    address: Option<String>,
    request_id: Option<String>,
}

impl Origin {
    pub(crate) fn of(parts: &Parts) -> Self {
        Self {
            address: parts.extensions.get::<ClientAddress>().map(|address| address.0.to_string()),
            request_id: parts.extensions.get::<RequestId>().map(|id| id.0.clone()),
        }
    }

    pub(crate) fn actor(self, name: String) -> Actor {
        Actor { name, address: self.address, request_id: self.request_id }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Origin {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(parts))
    }
}
