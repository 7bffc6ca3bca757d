//! Tests of the control plane through its front door, one module for each resource, on both databases.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says why and fails"
)]

mod analytics;
mod announcements;
mod api_tokens;
mod apis;
mod applications;
mod audit;
mod cache_advice;
mod cache_analytics;
mod calls;
mod catalogue;
mod cdn_hooks;
mod contention;
mod credentials;
mod environments;
mod event_sources;
mod event_streams;
mod front_door;
mod hang_up;
mod imports;
mod link;
mod operator;
mod plans;
mod publishing;
mod purges;
mod refusals;
mod releases;
mod revisions;
mod session;
mod settings;
mod setup;
mod subscriptions;
mod teams;
mod tenants;
mod users;
