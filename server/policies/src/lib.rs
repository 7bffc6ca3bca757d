//! Policies: one behaviour with settings each. A policy is one folder here and one line in [`registry`].
//!
//! `spec.rs` holds the settings, which are at once the JSON Schema that the console draws its form from and the
//! checks at save; `runtime.rs` holds what a gateway does with them; `tests.rs` is beside both.

pub mod cache;
pub mod cors;
pub mod headers;
pub mod key_auth;
pub mod policy;
pub mod rate_limit;
pub mod registry;
pub mod rewrite;
#[cfg(test)]
mod tests;
mod validate;

pub use policy::Policy;
pub use registry::{policy_types, scopes};
pub use validate::{SettingsError, parse, validate, validate_all, validate_definition};
