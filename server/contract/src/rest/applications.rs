//! Applications and their keys.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::definition::PolicyAttachment;
use crate::ids::{ApplicationId, CredentialId, EnvironmentId, TeamId, UserId};

/// A consumer: who calls APIs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Application {
    pub id: ApplicationId,
    pub name: String,
    pub description: String,
    /// Consumers see and manage the applications that they or their teams own.
    /// None: made by a token, or its owner has left the tenant.
    pub owner: Option<UserId>,
    /// Empty without an owner.
    pub owner_name: String,
    pub team: Option<TeamId>,
    /// Policies of the application (rate limit over everything that it calls).
    pub policies: Vec<PolicyAttachment>,
    pub active_keys: u32,
    pub active_subscriptions: u32,
    pub version: u64,
    pub created_at: DateTime<Utc>,
}

/// `POST /tenants/{tenant}/applications`, `PUT .../applications/{application}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SaveApplication {
    pub name: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub team: Option<TeamId>,
    /// Only those who may manage APIs can change them.
    #[serde(default)]
    pub policies: Vec<PolicyAttachment>,
}

/// A key of an application.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Credential {
    pub id: CredentialId,
    pub name: String,
    pub environment: EnvironmentId,
    pub environment_slug: String,
    /// First characters of the key, to recognise it.
    pub prefix: String,
    pub created_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
}

/// `POST .../applications/{application}/credentials`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateCredential {
    pub name: String,
    pub environment: EnvironmentId,
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
}

/// The credential and its key, shown once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CreatedCredential {
    pub credential: Credential,
    /// Sent by callers as `X-API-Key`.
    pub key: String,
}

/// `DELETE .../credentials/{credential}`: where its revocation stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RevokedCredential {
    pub credential: Credential,
    /// How far the gateways of its environment are.
    pub progress: crate::rest::releases::Progress,
}
