//! Call records, as gateways write them and the console shows them.

mod signs;
#[cfg(feature = "wire")]
pub mod wire;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{ApiId, ApplicationId, BootId, CallId, CredentialId, PlanId, SubscriptionId, TenantId};
use crate::problem::ErrorSource;
use crate::rollup::RollupDelta;

pub use signs::{CacheSign, CacheSigns};

/// The record of one request through a gateway. Secrets (keys in headers or query) are never in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Call {
    pub id: CallId,
    /// When the request head had arrived.
    pub at: DateTime<Utc>,
    /// None when no route matched.
    pub tenant: Option<TenantId>,
    pub api: Option<ApiId>,
    /// [`crate::definition::Route::id`].
    pub route: Option<String>,
    pub method: String,
    pub host: String,
    /// As the client sent it, without the query.
    pub path: String,
    /// Without any key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    pub status: u16,
    /// Stable error code when the gateway itself answered with an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_source: Option<ErrorSource>,
    pub application: Option<ApplicationId>,
    pub credential: Option<CredentialId>,
    pub subscription: Option<SubscriptionId>,
    pub plan: Option<PlanId>,
    pub cache: CacheOutcome,
    /// What its messages said to caches: of `GET` calls that no cache policy covers.
    #[serde(default, skip_serializing_if = "CacheSigns::is_empty")]
    #[schema(value_type = Vec<CacheSign>)]
    pub signs: CacheSigns,
    /// What the cache's second level did for it; absent where it was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_level: Option<SecondLevelAsked>,
    /// URL of the target that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// From the request head to the last byte of the response, in microseconds.
    pub duration_us: u64,
    /// From sending to the upstream's response head, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_us: Option<u64>,
    /// Bytes of the request body.
    pub bytes_in: u64,
    /// Bytes of the response body.
    pub bytes_out: u64,
    pub client_ip: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// What the client sees as `x-request-id`.
    pub request_id: String,
    /// Trace id (W3C trace context), 32 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Where the time went, in pipeline order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageTime>,
}

/// What became of a question to the second level of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecondLevelAsked {
    pub answer: SecondLevelAnswer,
    /// From the question to the answer, or until it was given up, in microseconds.
    pub took_us: u64,
}

/// What the second level answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecondLevelAnswer {
    /// A response that answers the call, perhaps a stale one.
    Found,
    /// None that may be used.
    Nothing,
    /// Nothing within the time budget, or an error.
    Failed,
}

impl SecondLevelAnswer {
    /// Every answer, in their order.
    pub const ALL: [Self; 3] = [Self::Found, Self::Nothing, Self::Failed];
}

/// Time that one stage took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StageTime {
    /// Name of the stage: `route`, `authenticate`, `cache`, `upstream`, ...
    pub stage: String,
    /// Microseconds from the start of the call.
    pub start_us: u64,
    /// Microseconds.
    pub took_us: u64,
}

/// What the cache did for a call.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CacheOutcome {
    /// The cache was not asked: no policy for it on the route, or the call was refused before.
    #[default]
    Uncached,
    /// Past the store on purpose, by what the policy or the request says (`fwd=bypass` of RFC 9211 §2.2).
    Bypass,
    /// Its method is not answered from the store (`fwd=method`).
    Method,
    Hit,
    /// A stored response was confirmed by the upstream.
    Revalidated,
    /// Waited for the same fetch as another request.
    Coalesced,
    /// Stored but no longer fresh, served on purpose.
    Stale,
    /// Nothing was stored of the URL (`fwd=uri-miss`).
    Miss,
    /// What was stored of the URL answers other requests (`fwd=vary-miss`).
    VaryMiss,
    /// What was stored was no longer fresh, and the upstream sent another (`fwd=stale`).
    Expired,
    /// The request insisted on the upstream (`fwd=request`).
    Request,
}

impl CacheOutcome {
    /// Every outcome, in their order.
    pub const ALL: [Self; 11] = [
        Self::Uncached,
        Self::Bypass,
        Self::Method,
        Self::Hit,
        Self::Revalidated,
        Self::Coalesced,
        Self::Stale,
        Self::Miss,
        Self::VaryMiss,
        Self::Expired,
        Self::Request,
    ];

    /// Whether the answer came from the cache.
    pub fn is_hit(self) -> bool {
        match self {
            Self::Hit | Self::Revalidated | Self::Coalesced | Self::Stale => true,
            Self::Uncached | Self::Bypass | Self::Method => false,
            Self::Miss | Self::VaryMiss | Self::Expired | Self::Request => false,
        }
    }

    /// Whether the answer could have come from the cache: a hit, or a miss of any kind.
    pub fn is_cacheable(self) -> bool {
        !matches!(self, Self::Uncached | Self::Bypass | Self::Method)
    }
}

/// Calls and rollups of a gateway since its previous batch. Counts once, whatever is sent twice: batches of a boot
/// come in order, one that is not newer than what is stored of its boot is a repetition. Sequences have gaps where a
/// gateway dropped batches; batches of earlier boots, found on disk after a restart, come first.
#[derive(Clone, Debug, PartialEq)]
pub struct CallBatch {
    pub boot: BootId,
    /// 1, 2, 3, ... for each boot.
    pub sequence: u64,
    pub calls: Vec<Call>,
    pub rollups: Vec<RollupDelta>,
    /// Calls of this gateway (of any boot) dropped because the spool was full, not yet told in another batch.
    pub dropped: u64,
}

/// The newest sequence that the control plane has stored of this boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchReceipt {
    pub boot: BootId,
    pub stored: u64,
}
