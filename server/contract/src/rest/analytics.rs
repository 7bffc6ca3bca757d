//! Analytics: read from rollups only.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::ids::{ApiId, ApplicationId};

/// Time range and filters of `GET /tenants/{tenant}/analytics`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct AnalyticsQuery {
    /// Start; one hour before the end unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    /// End; now unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<ApplicationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// How many points to return at most; 120 unless given, up to 500. The server picks a step of whole minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub points: Option<u32>,
}

/// Traffic of a tenant over a time range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Analytics {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    /// Seconds between two points.
    pub step_s: u32,
    pub total: Totals,
    /// One for each step, without gaps; steps without traffic are zero.
    pub points: Vec<Point>,
    /// Busiest APIs first, at most 10.
    pub top_apis: Vec<TopRow>,
    /// Busiest routes first, at most 10.
    pub top_routes: Vec<TopRow>,
    /// Busiest applications first, at most 10.
    pub top_applications: Vec<TopRow>,
    /// Busiest plans first, at most 10. Only without a filter, or for one application.
    #[serde(default)]
    pub top_plans: Vec<TopRow>,
    /// Busiest targets of upstreams first, at most 10, over all gateways: the address is id and name. Only without a
    /// filter.
    #[serde(default)]
    pub top_targets: Vec<TopRow>,
    /// Calls by exact status, sorted by status.
    pub statuses: Vec<StatusCount>,
}

/// Sums over a time range. Latencies in microseconds, absent without traffic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Totals {
    pub calls: u64,
    /// Status 400 to 499.
    pub client_errors: u64,
    /// Status 500 and above.
    pub server_errors: u64,
    pub cache_hits: u64,
    /// Calls that could have been hits: everything but bypass.
    pub cacheable: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub p50_us: Option<u64>,
    pub p95_us: Option<u64>,
    pub p99_us: Option<u64>,
}

/// One step of the time range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Point {
    pub at: DateTime<Utc>,
    #[serde(flatten)]
    pub totals: Totals,
}

/// A line of a ranking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TopRow {
    /// Identifier (of an API, application or plan), route id or address.
    pub id: String,
    pub name: String,
    /// The API that a route or a plan belongs to; absent in other rankings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiId>,
    pub calls: u64,
    pub errors: u64,
    pub p95_us: Option<u64>,
}

/// Calls with one status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StatusCount {
    pub status: u16,
    pub calls: u64,
}

/// The front page: `GET /tenants/{tenant}/overview` (the last hour, and what waits for a person).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Overview {
    pub traffic: Analytics,
    pub pending_approvals: u64,
    pub apis: u64,
    pub applications: u64,
    pub gateways_live: u64,
    pub gateways: u64,
}
