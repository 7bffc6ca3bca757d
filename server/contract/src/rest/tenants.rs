//! Tenants: organisations.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::TenantId;

/// An organisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Tenant {
    pub id: TenantId,
    /// First segment of its APIs' paths on the shared host: lower-case letters, digits, hyphens; never changes.
    pub slug: String,
    pub name: String,
    pub version: u64,
    pub created_at: DateTime<Utc>,
}

/// `POST /tenants`, platform admins only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateTenant {
    pub slug: String,
    pub name: String,
}

/// `PUT /tenants/{tenant}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateTenant {
    pub name: String,
}
