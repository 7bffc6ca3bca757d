//! Entities of the management database: one file for each table, rows and nothing else.
//!
//! Conversions to what callers see live in `store`.

pub mod api_drafts;
pub mod api_tokens;
pub mod apis;
pub mod applications;
pub mod audit;
pub mod cache_predictions;
pub mod cdn_calls;
pub mod cdn_hooks;
pub mod credentials;
pub mod enrolment_tokens;
pub mod environments;
pub mod event_deliveries;
pub mod event_sources;
pub mod gateway_acks;
pub mod gateway_boots;
pub mod gateways;
pub mod incarnations;
pub mod journal_counters;
pub mod journal_entries;
pub mod journal_state;
pub mod live_apis;
pub mod live_hosts;
pub mod memberships;
pub mod one_time_tokens;
pub mod parts;
pub mod plans;
pub mod purges;
pub mod releases;
pub mod revision_definitions;
pub mod revisions;
pub mod secrets;
pub mod sessions;
pub mod settings;
pub mod sign_in_failures;
pub mod subscriptions;
pub mod team_members;
pub mod teams;
pub mod tenants;
pub mod users;
pub mod warming_gateways;
pub mod warming_plans;
pub mod warming_urls;
pub mod warmings;
