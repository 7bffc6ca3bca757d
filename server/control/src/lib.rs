//! The control plane: the admin REST API, sessions, the console, and the gateways' link.
//!
//! Each resource has a file of its own with its handlers and `router()`; `api` nests them, `middleware` says in one
//! function what every request passes through, `authorise` decides in one place who may do what.

mod api;
mod authorise;
mod client_address;
mod configuration;
mod console;
mod csrf;
mod extract;
mod fetch;
mod hooks;
mod ingest;
mod jobs;
pub mod link;
mod middleware;
pub mod operator;
mod outbound;
mod ownership;
mod passwords;
mod problem;
mod random;
mod reference;
mod seal;
mod serve;
mod session_store;
mod state;
mod tail;
mod telemetry_jobs;
mod throttle;
mod upstream_guard;

mod about;
mod analytics;
mod api_tokens;
mod apis;
mod applications;
mod audit;
mod cache;
mod cache_advice;
mod cache_analytics;
mod calls;
mod catalogue;
mod cdn_hooks;
mod credentials;
pub mod enrolment_tokens;
mod environments;
mod event_sources;
mod event_streams;
mod gateways;
mod health;
mod imports;
mod invitations;
mod overview;
mod plans;
mod policy_types;
mod purges;
mod releases;
mod revisions;
mod session;
mod settings;
pub mod setup;
mod subscriptions;
mod teams;
mod tenants;
mod users;
mod warmings;

pub use api::document;
pub use configuration::{ControlSettings, PasswordCost};
pub use seal::{MasterKey, Sealed, Sealer};
pub use serve::{router, serve};
pub use state::App;
