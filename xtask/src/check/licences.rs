//! cargo-deny over deny.toml: licences, banned and doubled crates, sources; security advisories where their database
//! can be fetched.

use std::path::PathBuf;

use anyhow::Result;

use crate::report::{self, Outcome};
use crate::workspace::Workspace;
use crate::{environment, process};

/// Pinned, because a newer cargo-deny may read deny.toml differently.
const VERSION: &str = "0.20.2";

pub fn check(workspace: &Workspace) -> Result<Outcome> {
    let deny = tool(workspace)?;
    let mut command = std::process::Command::new(deny);
    command.current_dir(&workspace.root).args(["--all-features", "--locked", "check"]);
    process::run(command.args(["bans", "licenses", "sources"]))?;
    Ok(Outcome::Passed)
}

pub fn advisories(workspace: &Workspace) -> Result<Outcome> {
    let deny = tool(workspace)?;
    let in_workspace = |arguments: &[&str]| {
        let mut command = std::process::Command::new(&deny);
        command.current_dir(&workspace.root).args(arguments);
        command
    };
    if !process::succeeds(&mut in_workspace(&["fetch", "db"])) {
        return Ok(Outcome::Skipped("the advisory database cannot be fetched here".to_owned()));
    }
    process::run(&mut in_workspace(&[
        "--all-features",
        "--locked",
        "check",
        "--disable-fetch",
        "advisories",
    ]))?;
    Ok(Outcome::Passed)
}

/// cargo-deny, installed below target/tools when this machine has none of that version.
fn tool(workspace: &Workspace) -> Result<PathBuf> {
    let installed = workspace.tools().join("bin").join("cargo-deny");
    for candidate in [Some(installed.clone()), environment::program("cargo-deny")].into_iter().flatten() {
        let version = std::process::Command::new(&candidate).arg("--version").output();
        if version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim().ends_with(VERSION)) {
            return Ok(candidate);
        }
    }
    report::progress(&format!("installing cargo-deny {VERSION} below target/tools"));
    let mut cargo = process::cargo(&workspace.root);
    // Unoptimised: it reads one lock file, and compiles in half the time.
    cargo
        .args(["install", "cargo-deny", "--version", VERSION, "--locked", "--debug", "--root"])
        .arg(workspace.tools());
    process::run(&mut cargo)?;
    Ok(installed)
}
