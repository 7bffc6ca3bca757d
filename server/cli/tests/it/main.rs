//! The program as its users start it, one module for each command.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says why and fails")]

mod migrate;
mod program;
mod start;
