//! APIs and their drafts.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::definition::ApiDefinition;
use crate::ids::{ApiId, EnvironmentId, ReleaseId, TeamId};

/// An API in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ApiSummary {
    pub id: ApiId,
    /// Second segment of its path on the shared host; never changes.
    pub slug: String,
    pub name: String,
    pub description: String,
    pub team: Option<TeamId>,
    /// Whether the catalogue shows it.
    pub listed: bool,
    pub routes: u32,
    /// What is live where.
    pub live: Vec<LiveRevision>,
    pub updated_at: DateTime<Utc>,
}

/// The revision of an API that an environment serves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LiveRevision {
    pub environment: EnvironmentId,
    pub environment_slug: String,
    pub revision: u32,
    pub release: ReleaseId,
}

/// An API with its draft. `ETag` is its version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Api {
    pub id: ApiId,
    pub slug: String,
    pub name: String,
    /// Markdown, shown in the catalogue.
    pub description: String,
    pub team: Option<TeamId>,
    pub listed: bool,
    /// What is being edited; a revision freezes it.
    pub draft: ApiDefinition,
    /// Whether the draft differs from the newest revision.
    pub changed: bool,
    pub newest_revision: Option<u32>,
    pub live: Vec<LiveRevision>,
    /// Base path on the shared host: `/{tenant}/{api}`.
    pub base_path: String,
    pub version: u64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// `POST /tenants/{tenant}/apis`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateApi {
    pub slug: String,
    pub name: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub team: Option<TeamId>,
    #[serde(default)]
    pub draft: ApiDefinition,
}

/// `PUT /tenants/{tenant}/apis/{api}` with `If-Match`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateApi {
    pub name: String,
    pub description: String,
    pub team: Option<TeamId>,
    pub listed: bool,
    pub draft: ApiDefinition,
}

/// Filters of `GET /tenants/{tenant}/apis`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct ApiFilter {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<TeamId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listed: Option<bool>,
}
