//! Errors as every caller sees them: RFC 9457 problem details with a stable code and the fields at fault.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The media type of a [`Problem`].
pub const PROBLEM_JSON: &str = "application/problem+json";

/// An error body (RFC 9457). `code` is stable and meant for programs; `detail` is meant for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// A URI for the kind of problem: `urn:sluice:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status.
    pub status: u16,
    /// A stable, machine-readable code in snake case.
    pub code: String,
    /// A short text that is the same for every problem of this kind.
    pub title: String,
    /// What went wrong this time, and what to do about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The input fields at fault, each with its JSON pointer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldProblem>,
    /// The id of the request, to look it up in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Who is at fault: `client`, `gateway`, `upstream` or `control`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ErrorSource>,
    /// Whether the same request may succeed when it is sent again.
    #[serde(default)]
    pub retry: bool,
}

/// One input field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldProblem {
    /// JSON pointer (RFC 6901) into the request body, or the name of a query parameter.
    pub pointer: String,
    /// A stable code in snake case: `required`, `too_long`, `not_unique`, ...
    pub code: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Who caused an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorSource {
    Client,
    Gateway,
    Upstream,
    Control,
}

impl Problem {
    /// A problem of this status, stable code and title.
    pub fn new(status: u16, code: &str, title: &str) -> Self {
        Self {
            kind: format!("urn:sluice:problem:{code}"),
            status,
            code: code.to_owned(),
            title: title.to_owned(),
            detail: String::new(),
            fields: Vec::new(),
            request_id: None,
            source: None,
            retry: false,
        }
    }

    /// Says what went wrong this time.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Names the fields at fault.
    #[must_use]
    pub fn fields(mut self, fields: Vec<FieldProblem>) -> Self {
        self.fields = fields;
        self
    }
}

impl FieldProblem {
    /// A problem at `pointer`.
    pub fn new(pointer: impl Into<String>, code: &str, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code: code.to_owned(), message: message.into() }
    }
}
