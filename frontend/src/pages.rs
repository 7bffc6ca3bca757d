//! The pages of the console: one module for each area, each owning its routes.

pub mod setup;
pub mod sign_in;
pub mod welcome;
