//! The call log.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::calls::{CacheOutcome, Call};
use crate::ids::{ApiId, ApplicationId, GatewayId};

/// A call and the gateway that served it, with names for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CallRow {
    #[serde(flatten)]
    pub call: Call,
    pub gateway: GatewayId,
    pub gateway_name: Option<String>,
    pub api_name: Option<String>,
    pub application_name: Option<String>,
    pub plan_name: Option<String>,
}

/// Filters of `GET /tenants/{tenant}/calls` (newest first; `limit` and `after` as on every list).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct CallFilter {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<ApplicationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewayId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Exact (`404`) or class (`4xx`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheOutcome>,
    /// Start of the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// At least this long, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_duration_us: Option<u64>,
}
