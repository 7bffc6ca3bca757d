//! The pages of the console: one module for each area, each owning its routes.

pub mod analytics;
pub mod apis;
pub mod applications;
pub mod approvals;
pub mod audit;
pub mod calls;
pub mod catalogue;
pub mod gateways;
pub mod org;
pub mod overview;
pub mod settings;
pub mod setup;
pub mod sign_in;
pub mod try_it;
pub mod welcome;
