//! Bodies of the admin REST API (`/api/v1`), one file for each resource, named as its handler, query and page are.

pub mod analytics;
pub mod api_tokens;
pub mod apis;
pub mod applications;
pub mod asked;
pub mod audit;
pub mod cache_analytics;
pub mod calls;
pub mod catalogue;
pub mod environments;
pub mod gateways;
pub mod imports;
pub mod page;
pub mod plans;
pub mod policy_types;
pub mod purges;
pub mod releases;
pub mod revisions;
pub mod session;
pub mod settings;
pub mod setup;
pub mod subscriptions;
pub mod teams;
pub mod tenants;
pub mod users;
pub mod warmings;
