//! Purges: removal of cached responses.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{ApiId, EnvironmentId, PurgeId};
use crate::journal::PurgeScope;
use crate::rest::asked::FromGateway;
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

/// How much a purge would cover, about, gateway by gateway: each has a memory of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PurgePreview {
    pub gateways: Vec<FromGateway<PurgeAmount>>,
    /// What those have together that have answered.
    pub entries: u64,
    pub bytes: u64,
}

/// What a gateway holds of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PurgeAmount {
    /// Keys with responses in the memory of the gateway.
    pub entries: u64,
    /// Bytes that these take there.
    pub bytes: u64,
    pub second_level: SecondLevelAmount,
}

/// What the second level of the cache holds of it, which gateways share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecondLevelAmount {
    /// The gateway has none.
    None,
    /// It has one, which keeps no index: what a purge covers there is refused and overwritten when it is asked for.
    Unknown,
}

/// Filters of `GET /tenants/{tenant}/purges`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct PurgeFilter {
    /// Those that cover this API: its own and those of all APIs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiId>,
    /// Those from this time on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    /// Those from before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<DateTime<Utc>>,
}
