//! Gateways: enrolment, applied position, health.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{EnrolmentTokenId, EnvironmentId, GatewayId, TenantId};
use crate::link::{CacheHealth, FailedPart, Heartbeat, SecondLevelHealth};

/// One running worker of the data plane, as last heard of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Gateway {
    pub id: GatewayId,
    pub name: String,
    pub environment: EnvironmentId,
    pub environment_slug: String,
    pub region: Option<String>,
    pub version: String,
    pub public_url: Option<String>,
    pub state: GatewayState,
    pub applied: u64,
    /// Newest position of its environment.
    pub head: u64,
    pub enrolled_at: DateTime<Utc>,
    pub last_seen_at: Option<DateTime<Utc>>,
    pub health: Option<GatewayHealth>,
    pub failed_parts: Vec<GatewayFailedPart>,
    /// Calls known to be missing from the log: lost when a gateway was killed, and dropped because its spool was full.
    pub lost_calls: u64,
    pub dropped_calls: u64,
}

/// Whether a gateway is alive and up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GatewayState {
    /// Heard of within 10 seconds and at the head.
    Live,
    /// Heard of within 10 seconds, behind.
    Behind,
    /// Not heard of for 10 seconds.
    Silent,
    /// Removed; its sessions are refused.
    Removed,
}

/// Health of a gateway. See [`Heartbeat`] for the units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GatewayHealth {
    pub uptime_s: u64,
    pub memory_bytes: u64,
    pub cpu_ms: u64,
    pub connections: u64,
    pub calls: u64,
    pub cache_entries: u64,
    pub cache_bytes: u64,
    pub spooled_batches: u64,
    pub spooled_bytes: u64,
    /// The first level of its cache, unless it is of a version that does not say; its `apis` are those of the tenant that asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheHealth>,
    /// The second level of its cache, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_level: Option<SecondLevelHealth>,
}

impl GatewayHealth {
    /// What a tenant may know of it: nothing of what others have in it.
    pub fn seen_by(tenant: Option<TenantId>, heartbeat: Heartbeat) -> Self {
        let Heartbeat {
            boot: _,
            position: _,
            uptime_s,
            memory_bytes,
            cpu_ms,
            connections,
            calls,
            cache_entries,
            cache_bytes,
            spooled_batches,
            spooled_bytes,
            dropped_calls: _,
            mut cache,
            cache_routes: _,
            second_level,
        } = heartbeat;
        if let Some(cache) = &mut cache {
            cache.apis.retain(|held| Some(held.tenant) == tenant);
        }
        Self {
            uptime_s,
            memory_bytes,
            cpu_ms,
            connections,
            calls,
            cache_entries,
            cache_bytes,
            spooled_batches,
            spooled_bytes,
            cache,
            second_level,
        }
    }
}

/// A part that a gateway could not use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GatewayFailedPart {
    pub api: crate::ids::ApiId,
    pub part: String,
    pub reason: String,
}

impl From<&FailedPart> for GatewayFailedPart {
    fn from(failed: &FailedPart) -> Self {
        let FailedPart { api, part, reason } = failed;
        Self { api: *api, part: part.to_string(), reason: reason.clone() }
    }
}

/// A token with which gateways enrol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EnrolmentTokenInfo {
    pub id: EnrolmentTokenId,
    pub environment: EnvironmentId,
    pub name: String,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
    pub used: u32,
}

/// `POST /environments/{environment}/enrolment-tokens`, platform admins only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateEnrolmentToken {
    pub name: String,
    /// At most 365 days; 1 day unless given.
    #[serde(default)]
    pub valid_hours: Option<u32>,
}

/// The token, shown once, and the command to start a gateway with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CreatedEnrolmentToken {
    pub info: EnrolmentTokenInfo,
    pub token: String,
    pub command: String,
}
