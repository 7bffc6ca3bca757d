//! What every policy says about itself.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sluice_contract::problem::FieldProblem;
use sluice_contract::rest::policy_types::PolicyScope;

/// A policy's settings. The struct is its form (doc comments become labels), its check and its factory.
pub trait Policy: Serialize + DeserializeOwned + JsonSchema {
    /// The type's name in definitions: lower case with hyphens.
    const KIND: &'static str;
    /// What people read.
    const TITLE: &'static str;
    /// Markdown: what it does, and what attaching it at several levels means.
    const DESCRIPTION: &'static str;
    /// Where it may be attached.
    const SCOPES: &'static [PolicyScope];
    /// Whether one place may hold several of this type.
    const REPEATABLE: bool = false;

    /// Settings that work as they are.
    fn example() -> Self;

    /// What the types alone cannot say; pointers are relative to the settings.
    fn problems(&self) -> Vec<FieldProblem> {
        Vec::new()
    }

    /// Settings that are saved only when they are said a second time. Not asked by gateways: what was released before
    /// the question is served as it is.
    fn said_once(&self) -> Vec<FieldProblem> {
        Vec::new()
    }
}
