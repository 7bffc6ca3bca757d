//! Environments: where APIs are released to.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::environment::EnvironmentSettings;
use crate::ids::{EnvironmentId, TenantId};

/// Where APIs are released to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Environment {
    pub id: EnvironmentId,
    /// Lower-case letters, digits, hyphens; never changes.
    pub slug: String,
    pub name: String,
    /// The one tenant that may use it; none: shared by all.
    pub dedicated_to: Option<TenantId>,
    pub settings: EnvironmentSettings,
    /// Newest position of its journal.
    pub head: u64,
    /// Where clients reach its gateways (`https://gateway.example.com`, no slash at the end), each once.
    pub gateway_urls: Vec<String>,
    pub version: u64,
    pub created_at: DateTime<Utc>,
}

/// `POST /environments`, platform admins only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateEnvironment {
    pub slug: String,
    pub name: String,
    #[serde(default)]
    pub dedicated_to: Option<TenantId>,
}

/// `PUT /environments/{environment}`, platform admins only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateEnvironment {
    pub name: String,
    pub settings: EnvironmentSettings,
}
