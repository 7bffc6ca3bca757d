//! `cargo xtask check`: everything that can be said about the source without running it. Each step runs whether or
//! not the one before held; the table at the end says how long each took.

mod direction;
mod licences;
mod paths;

use anyhow::Result;
use clap::Args;

use crate::console::{self, WASM_TARGET};
use crate::process;
use crate::report::{Outcome, Steps};
use crate::workspace::Workspace;

#[derive(Args)]
pub struct Options {
    /// Only what compiles nothing: format, dependency direction, machine paths.
    #[arg(long)]
    quick: bool,
}

pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let mut steps = Steps::default();
    steps.step("format", || format(workspace));
    steps.step("dependency direction", || direction::check(workspace));
    steps.step("no machine paths", || paths::check(workspace));
    if !options.quick {
        compiling_steps(&mut steps, workspace);
    }
    steps.finish()
}

fn compiling_steps(steps: &mut Steps, workspace: &Workspace) {
    // The control plane embeds the console, so that not even its lints run without it.
    steps.step("console", || console::build(workspace).map(|()| Outcome::Passed));
    steps.step("console size", || console::check_size(workspace));
    steps.step("clippy, native", || clippy_native(workspace));
    steps.step("clippy, wasm", || clippy_wasm(workspace));
    steps.step("documentation", || documentation(workspace));
    steps.step("licences, bans, sources", || licences::check(workspace));
    steps.step("advisories", || licences::advisories(workspace));
}

fn format(workspace: &Workspace) -> Result<Outcome> {
    process::run(process::cargo(&workspace.root).args(["fmt", "--all", "--check"]))?;
    Ok(Outcome::Passed)
}

fn clippy_native(workspace: &Workspace) -> Result<Outcome> {
    let mut cargo = process::cargo(&workspace.root);
    cargo.args(["clippy", "--locked", "--workspace", "--exclude", "sluice-console", "--all-targets"]);
    process::run(cargo.args(["--", "-D", "warnings"]))?;
    Ok(Outcome::Passed)
}

fn clippy_wasm(workspace: &Workspace) -> Result<Outcome> {
    if console::native_target_missing() {
        return Ok(Outcome::Skipped(format!("this toolchain has no {WASM_TARGET}")));
    }
    let mut cargo = process::cargo(&workspace.root);
    cargo.args(["clippy", "--locked", "--package", "sluice-console", "--target", WASM_TARGET]);
    process::run(cargo.args(["--", "-D", "warnings"]))?;
    Ok(Outcome::Passed)
}

fn documentation(workspace: &Workspace) -> Result<Outcome> {
    let mut cargo = process::cargo(&workspace.root);
    // The readers of these pages work on the code: private items are what they look for, and may be linked to.
    cargo.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links");
    cargo.args(["doc", "--locked", "--workspace", "--exclude", "sluice-console", "--no-deps"]);
    process::run(cargo.arg("--document-private-items"))?;
    Ok(Outcome::Passed)
}
