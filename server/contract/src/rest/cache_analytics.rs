//! What the cache did: read from rollups, and from what gateways say of their memory.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::calls::CacheOutcome;
use crate::ids::ApiId;
use crate::link::CacheEvictions;

/// Time range and filters of `GET /tenants/{tenant}/analytics/cache`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct CacheAnalyticsQuery {
    /// Start; one hour before the end unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    /// End; now unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// How many points to return at most; 120 unless given, up to 500. The server picks a step of whole minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub points: Option<u32>,
}

/// What the cache did for a tenant over a time range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CacheAnalytics {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    /// Seconds between two points.
    pub step_s: u32,
    pub total: CacheTotals,
    /// One for each step, without gaps; steps without calls are zero.
    pub points: Vec<CachePoint>,
    /// Routes where the query names an API or a route, APIs otherwise; the busiest first, at most 50.
    pub rows: Vec<CacheRow>,
    /// Seconds between two points of the memory: at least 300.
    pub memory_step_s: u32,
    /// What the route, the API, or all APIs of the tenant, held of the memory of all gateways, without gaps.
    pub memory: Vec<MemoryPoint>,
}

/// What the cache did with calls.
///
/// What is saved is counted route by route where the query names an API or a route, and API by API otherwise: each call that was
/// answered from the store without waiting (`hit`, `stale`) saved the mean of the times that the upstream took for the
/// misses of the same route in the same step, or over the whole time range where that step had none. Where there was no
/// miss at all, nothing is known to be saved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CacheTotals {
    pub calls: u64,
    /// Calls that could have been hits: hits, and misses of any kind.
    pub cacheable: u64,
    /// Calls that were answered from what was stored: `hit`, `revalidated`, `coalesced` and `stale`.
    pub hits: u64,
    /// Bytes of the bodies of the answers to calls that could have been hits, and of hits.
    pub cacheable_bytes: u64,
    pub hit_bytes: u64,
    /// Calls by what the cache did, without those that did not happen.
    pub outcomes: Vec<OutcomeCount>,
    /// Mean time from sending a miss to the upstream to the head of its response, in microseconds; absent without a miss.
    pub origin_us: Option<u64>,
    /// What the second level did; absent where no call asked it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_level: Option<SecondLevelTotals>,
    /// Time that callers did not wait for the upstream, in microseconds.
    pub saved_us: u64,
    /// Bytes of bodies that the upstream did not have to send.
    pub saved_bytes: u64,
    /// Calls that the upstream did not see.
    pub saved_calls: u64,
}

/// Questions to the second level: Redis, Memcached, or a gateway's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecondLevelTotals {
    /// Calls that asked it, each once.
    pub asked: u64,
    /// Of these, calls that were given a response.
    pub found: u64,
    /// Of these, calls that got no answer within the time budget, or an error.
    pub failed: u64,
    /// Mean time that a call waited for it, in microseconds.
    pub mean_us: u64,
}

/// Calls with one outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutcomeCount {
    pub outcome: CacheOutcome,
    pub calls: u64,
}

/// One step of the time range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CachePoint {
    pub at: DateTime<Utc>,
    #[serde(flatten)]
    pub totals: CacheTotals,
}

/// An API or a route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CacheRow {
    /// Identifier of the API, or route id.
    pub id: String,
    pub name: String,
    /// The API that a route belongs to; absent where rows are APIs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiId>,
    #[serde(flatten)]
    pub totals: CacheTotals,
}

/// What was held of the memory of gateways at the end of a step, and what left in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MemoryPoint {
    pub at: DateTime<Utc>,
    /// Responses; absent where no gateway said anything in this step.
    pub entries: Option<u64>,
    pub bytes: Option<u64>,
    /// Responses that left, by reason.
    pub evictions: CacheEvictions,
}
