//! Purges: removal of cached responses.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{ApiId, EnvironmentId, PurgeId};
use crate::journal::PurgeScope;
use crate::rest::releases::Progress;

/// A removal of cached responses, and how far it got.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PurgeRecord {
    pub id: PurgeId,
    pub environment: EnvironmentId,
    pub scope: PurgeScope,
    /// Whether what it covers became stale only.
    pub soft: bool,
    pub position: u64,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    pub progress: Progress,
}

/// `POST /tenants/{tenant}/purges`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreatePurge {
    pub environment: EnvironmentId,
    pub scope: PurgeScope,
    /// What is covered becomes stale: it may still be served while it is fetched anew or in place of errors, where the upstream
    /// or the policy allows that, and is validated otherwise. Off, it is removed.
    #[serde(default)]
    pub soft: bool,
}

/// Filters of `GET /tenants/{tenant}/purges`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct PurgeFilter {
    /// Those that cover this API: its own and those of all APIs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiId>,
}
