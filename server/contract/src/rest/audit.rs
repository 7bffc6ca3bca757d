//! The audit log: every change with who, when, from where and the difference.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::AuditId;
use crate::rest::revisions::FieldChange;

/// One change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    pub id: AuditId,
    pub at: DateTime<Utc>,
    /// E-mail of the user, `token:<name>`, `gateway:<name>` or `system`.
    pub actor: String,
    pub address: Option<String>,
    /// Operation id, for example `update_api`.
    pub action: String,
    /// For example `api`.
    pub resource: String,
    pub resource_id: String,
    pub resource_name: String,
    pub changes: Vec<FieldChange>,
    pub request_id: Option<String>,
}

/// Filters of `GET /tenants/{tenant}/audit`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct AuditFilter {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<DateTime<Utc>>,
}
