//! Policy types, with the JSON Schemas that the console draws its forms from.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A kind of policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PolicyType {
    /// For example `rate-limit`.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    /// Markdown.
    pub description: String,
    /// Where it may be attached.
    pub scopes: Vec<PolicyScope>,
    /// JSON Schema (2020-12) of the settings.
    pub schema: Value,
    /// Settings that work as they are.
    pub example: Value,
}

/// What a policy can be attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyScope {
    Environment,
    Api,
    Route,
    Plan,
    Application,
}
