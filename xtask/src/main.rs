//! The project's tasks: `cargo xtask up | console | check | test | bench | mutants | dist`.
//!
//! Each task is one module that reads top to bottom; what they share (where things are, how a program is run, what is
//! printed) is in `workspace`, `process` and `report`.

mod apt;
mod bench;
mod check;
mod console;
mod dist;
mod environment;
mod mutants;
mod process;
mod report;
mod test;
mod up;
mod workspace;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Tasks of the Sluice repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build everything and start Sluice on this machine: console, admin API and gateway.
    Up(up::Options),
    /// Build the browser console into target/console.
    Console(console::Options),
    /// Format, lints (native and wasm), licences, documentation, dependency direction.
    Check(check::Options),
    /// Every test: Rust on both databases, the console's, and a real browser end to end.
    Test(test::Options),
    /// Requests per CPU-second, latency, hit ratio and instructions, beside nginx, HAProxy and Varnish.
    Bench(bench::Options),
    /// Changes the gateway's cache in some two thousand ways, and looks which of them no test sees.
    Mutants(mutants::Options),
    /// The binaries as they are shipped, compiled with a profile of real load, into target/shipped.
    Dist(dist::Options),
}

fn main() -> std::process::ExitCode {
    match perform(Arguments::parse().task) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            report::failure(&error);
            std::process::ExitCode::FAILURE
        }
    }
}

fn perform(task: Task) -> Result<()> {
    let workspace = Workspace::find()?;
    match task {
        Task::Up(options) => up::run(&workspace, &options),
        Task::Console(options) => console::run(&workspace, &options),
        Task::Check(options) => check::run(&workspace, &options),
        Task::Test(options) => test::run(&workspace, &options),
        Task::Bench(options) => bench::run(&workspace, &options),
        Task::Mutants(options) => mutants::run(&workspace, &options),
        Task::Dist(options) => dist::run(&workspace, &options),
    }
}
