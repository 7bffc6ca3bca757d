//! Tokens for automation: scoped to a tenant and to permissions.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::ApiTokenId;
use crate::rest::session::Permission;

/// A token for automation, sent as `Authorization: Bearer slt_...`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ApiToken {
    pub id: ApiTokenId,
    pub name: String,
    /// First characters of the secret, to recognise it.
    pub prefix: String,
    pub permissions: Vec<Permission>,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub last_used_at: Option<DateTime<Utc>>,
}

/// `POST /tenants/{tenant}/tokens`. Nobody can grant what they may not do themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateApiToken {
    pub name: String,
    pub permissions: Vec<Permission>,
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
}

/// The token and its secret, shown once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CreatedApiToken {
    pub token: ApiToken,
    pub secret: String,
}
