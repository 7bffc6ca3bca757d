//! Teams: groups inside a tenant that own APIs and applications.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{TeamId, UserId};

/// A group inside a tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Team {
    pub id: TeamId,
    pub name: String,
    pub members: Vec<UserId>,
    pub version: u64,
    pub created_at: DateTime<Utc>,
}

/// `POST /tenants/{tenant}/teams`, `PUT /tenants/{tenant}/teams/{team}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SaveTeam {
    pub name: String,
    pub members: Vec<UserId>,
}
