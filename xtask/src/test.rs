//! `cargo xtask test`: every test there is, on a machine that may have none of the tools yet. Builds once; the
//! binaries that the Rust tests ran beside are the ones that the browser then drives. Ends with one plain line.

mod browser;
mod postgres;
mod tally;
mod tools;

use std::num::NonZero;
use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;

use crate::report::{self, Outcome, Steps};
use crate::workspace::Workspace;
use crate::{console, environment, process};
use postgres::Postgres;
use tally::Tally;

/// How many tests the runner has under way; as many as there are cores unless it is set. Most tests wait for half of their time, for
/// a database or for a moment to come.
const THREADS: &str = "RUST_TEST_THREADS";

#[derive(Args)]
pub struct Options {
    /// Only Rust's tests: no browser, no Node.
    #[arg(long, conflicts_with = "only_e2e")]
    no_e2e: bool,
    /// Only the browser's tests (and the build that they need).
    #[arg(long)]
    only_e2e: bool,
    /// Only tests whose names contain this.
    filter: Option<String>,
}

pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let mut steps = Steps::default();
    let mut tally = Tally::default();
    if prepare(&mut steps, workspace, options) {
        steps.step("console size", || console::check_size(workspace));
        let postgres = Postgres::start()?;
        if !options.only_e2e {
            steps.step("rust tests", || rust_tests(workspace, options, &postgres, &mut tally));
            steps.step("console unit tests", || console_tests(workspace, options, &mut tally));
        }
        if !options.no_e2e {
            steps.step("browser tests", || {
                browser::tests(workspace, options.filter.as_deref(), &postgres, &mut tally)
            });
        }
    }
    let held = steps.finish();
    tally.count_unseen_failures(held.is_err());
    report::result(&tally.line());
    held
}

/// What Rust's tests run beside.
pub fn install_for_rust() -> Result<()> {
    tools::install(false).map(|_| ())
}

/// Tools, console and binaries; false when something without which no test can run is missing.
fn prepare(steps: &mut Steps, workspace: &Workspace, options: &Options) -> bool {
    let ready = steps.step("tools", || tools::install(!options.no_e2e))
        && steps.step("console", || console::build(workspace).map(|()| Outcome::Passed))
        && steps.step("build", || build(workspace));
    ready && (options.no_e2e || steps.step("browser test tools", || browser::install(workspace)))
}

/// Programs and tests in one build: the same features for all, so that nothing is compiled twice.
fn build(workspace: &Workspace) -> Result<Outcome> {
    let mut cargo = process::cargo(&workspace.root);
    process::run(cargo.args([
        "build",
        "--locked",
        "--workspace",
        "--exclude",
        "sluice-console",
        "--all-targets",
    ]))?;
    Ok(Outcome::Passed)
}

fn rust_tests(
    workspace: &Workspace,
    options: &Options,
    postgres: &Postgres,
    tally: &mut Tally,
) -> Result<Outcome> {
    let mut cargo = process::cargo(&workspace.root);
    cargo.args(["test", "--locked", "--workspace", "--exclude", "sluice-console", "--no-fail-fast"]);
    cargo.env("SLUICE_TEST_POSTGRES", postgres.url());
    if environment::variable(THREADS).is_none() {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        cargo.env(THREADS, (2 * cores).to_string());
    }
    counted(cargo.args(&options.filter), tally)
}

/// The parts of the console that need no browser run as ordinary Rust.
fn console_tests(workspace: &Workspace, options: &Options, tally: &mut Tally) -> Result<Outcome> {
    let mut cargo = process::cargo(&workspace.root);
    cargo.args(["test", "--locked", "--package", "sluice-console", "--no-fail-fast"]);
    counted(cargo.args(&options.filter), tally)
}

/// Runs cargo's test runner, its output going through to the terminal while its counts are added up.
fn counted(command: &mut Command, tally: &mut Tally) -> Result<Outcome> {
    let status = process::each_line(command, |line| {
        report::result(line);
        tally.read_cargo_line(line);
    })?;
    if status.success() {
        Ok(Outcome::Passed)
    } else {
        bail!("`{}` failed ({status})", process::line(command))
    }
}
