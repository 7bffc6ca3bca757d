//! Import of OpenAPI 3.0, 3.1 and Swagger 2.0 documents: preview, then apply.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::definition::ApiDefinition;
use crate::ids::ApiId;
use crate::rest::revisions::FieldChange;

/// Largest document that is taken, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 32 << 20;

/// Where the document comes from; exactly one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DocumentSource {
    /// JSON or YAML text.
    Text(String),
    /// Fetched by the control plane, behind the connection guard.
    Url(String),
}

/// `POST /tenants/{tenant}/imports/preview`: what an import would do. Nothing changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewImport {
    pub source: DocumentSource,
    /// The API to merge into; none makes a new one.
    #[serde(default)]
    pub api: Option<ApiId>,
}

/// What an import would do. Apply it with `POST .../apis` or `PUT .../apis/{api}` and this draft.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ImportPreview {
    /// For example `OpenAPI 3.1.0`.
    pub format: String,
    pub title: String,
    pub description: String,
    pub suggested_slug: String,
    /// The draft as it would be: what the document says, and everything of the present draft that it says nothing about.
    pub draft: ApiDefinition,
    pub added: Vec<String>,
    pub changed: Vec<String>,
    pub removed: Vec<String>,
    pub unchanged: u32,
    /// Field-level differences to the present draft, at most 500.
    pub changes: Vec<FieldChange>,
    /// What the document says and Sluice leaves out, each with its JSON pointer.
    pub warnings: Vec<ImportWarning>,
}

/// Something in the document that is not taken over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ImportWarning {
    pub pointer: String,
    pub message: String,
}
