//! Tests of the control plane through its front door, one module for each resource, on both databases.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says why and fails"
)]

mod analytics;
mod apis;
mod applications;
mod calls;
mod catalogue;
mod credentials;
mod imports;
mod link;
mod plans;
mod publishing;
mod purges;
mod releases;
mod revisions;
mod subscriptions;
mod teams;
