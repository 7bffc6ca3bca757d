//! For tests: the control plane in this process on a real database of its own, and clients that go through its front
//! door over real HTTP types.
//!
//! Nothing here is for production, so whatever goes wrong panics with the reason.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on says why and fails")]

mod app;
pub mod calls;
mod client;
mod database;

pub use app::{PASSWORD, TestApp};
pub use client::{Client, Reply};
pub use database::{EmptyPostgres, TestDatabase, each_database, each_store};
