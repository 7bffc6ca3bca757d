//! Revisions: immutable, numbered copies of an API's definition; and differences between any two.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::definition::ApiDefinition;
use crate::ids::RevisionId;

/// A revision in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RevisionSummary {
    pub id: RevisionId,
    pub number: u32,
    pub note: String,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    /// Slugs of the environments that serve it.
    pub live_in: Vec<String>,
}

/// A revision with its definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Revision {
    #[serde(flatten)]
    pub summary: RevisionSummary,
    pub definition: ApiDefinition,
}

/// `POST /tenants/{tenant}/apis/{api}/revisions` with `If-Match` of the API: freezes its draft.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateRevision {
    #[serde(default)]
    pub note: String,
}

/// `GET .../apis/{api}/diff?from=..&to=..`; each is a revision number, `draft`, or `live:<environment slug>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Diff {
    pub from: String,
    pub to: String,
    pub changes: Vec<FieldChange>,
}

/// One field that differs. Also what the audit log records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FieldChange {
    /// Where: JSON pointer, with list elements named by their `id`, `name` or `type` where they have one: `/routes/getUser/path`.
    pub path: String,
    pub kind: ChangeKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// How a field differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    Added,
    Removed,
    Changed,
}
