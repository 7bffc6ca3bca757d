//! Plans of an API: what a subscription allows.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::definition::PolicyAttachment;
use crate::ids::{ApiId, PlanId};

/// What a subscription to one API allows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    pub id: PlanId,
    pub api: ApiId,
    pub name: String,
    pub description: String,
    pub approval: Approval,
    /// Rate limits and the like, counted for each subscription.
    pub policies: Vec<PolicyAttachment>,
    /// Closed plans take no new subscriptions.
    pub closed: bool,
    pub version: u64,
    pub created_at: DateTime<Utc>,
}

/// Who decides a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// Approved at once.
    Automatic,
    /// A person with the permission decides.
    Manual,
}

/// `POST /tenants/{tenant}/apis/{api}/plans`, `PUT .../plans/{plan}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SavePlan {
    pub name: String,
    #[serde(default)]
    pub description: String,
    pub approval: Approval,
    #[serde(default)]
    pub policies: Vec<PolicyAttachment>,
    #[serde(default)]
    pub closed: bool,
}
