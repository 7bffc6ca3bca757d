//! Settings of the platform that people may change at run time.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET` and `PUT /settings` with `If-Match`, platform admins only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlatformSettings {
    /// Days for which raw calls are kept; 1 to 3650.
    pub call_retention_days: u32,
    /// Days for which rollups are kept; 1 to 3650.
    pub rollup_retention_days: u32,
    /// Days for which the audit log is kept; 30 to 3650.
    pub audit_retention_days: u32,
    /// Minutes without a request after which a session ends.
    pub session_idle_minutes: u32,
    /// Hours after which a session ends whatever happens.
    pub session_absolute_hours: u32,
}

impl Default for PlatformSettings {
    fn default() -> Self {
        Self {
            call_retention_days: 30,
            rollup_retention_days: 400,
            audit_retention_days: 400,
            session_idle_minutes: 60,
            session_absolute_hours: 12,
        }
    }
}

/// `GET /about`: what runs here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct About {
    pub version: String,
    pub database: crate::rest::setup::DatabaseKind,
    /// Whether this is `sluice up`: one machine, one control plane.
    pub embedded: bool,
}
