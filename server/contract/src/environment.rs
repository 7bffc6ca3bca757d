//! What holds for every API of an environment.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::definition::PolicyAttachment;

/// Settings of an environment as its gateways need them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EnvironmentSettings {
    /// Proxies (CIDR) whose `Forwarded`/`X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<String>,
    /// Networks (CIDR) that upstream targets may be in although they are refused by default: loopback, private,
    /// link-local. Only a platform admin may change it.
    pub allowed_networks: Vec<String>,
    /// Limits on what clients may send.
    pub limits: RequestLimits,
    /// How long a gateway may serve without hearing from the control plane, in seconds. None: for ever.
    pub max_offline_s: Option<u64>,
    /// Policies for every API of the environment.
    pub policies: Vec<PolicyAttachment>,
}

/// Limits on what clients may send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RequestLimits {
    /// Bytes of a request body.
    pub body_bytes: u64,
    /// Bytes of the head of a request: its first line and all header fields, to the end of the empty line.
    pub header_bytes: u32,
    /// Number of request header fields.
    pub header_count: u32,
    /// Milliseconds for the head of a request to arrive.
    pub header_timeout_ms: u64,
    /// Milliseconds between two pieces of a request body.
    pub body_idle_ms: u64,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            body_bytes: 100 << 20,
            header_bytes: 64 << 10,
            header_count: 100,
            header_timeout_ms: 10_000,
            body_idle_ms: 30_000,
        }
    }
}
