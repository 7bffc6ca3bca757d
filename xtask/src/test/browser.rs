//! The browser's tests: Node's runner over e2e/scenarios, driving the binaries of this build and a real httpbin.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::postgres::Postgres;
use super::tally::Tally;
use crate::process;
use crate::report::Outcome;
use crate::workspace::Workspace;

/// What e2e/ needs from npm and PyPI; only fetched when the lock file or the list changed.
pub fn install(workspace: &Workspace) -> Result<Outcome> {
    let e2e = workspace.root.join("e2e");
    let lock = fs::read(e2e.join("package-lock.json")).context("could not read e2e/package-lock.json")?;
    let installed = e2e.join("node_modules").join(".sluice-installed");
    if fs::read(&installed).ok().as_ref() != Some(&lock) {
        process::run(Command::new("npm").current_dir(&e2e).args(["ci", "--no-audit", "--no-fund"]))?;
        fs::write(&installed, lock).context("could not remember what npm installed")?;
    }
    install_httpbin(workspace)?;
    Ok(Outcome::Passed)
}

fn install_httpbin(workspace: &Workspace) -> Result<()> {
    let wanted = workspace.root.join("e2e").join("requirements.txt");
    let list = fs::read(&wanted).context("could not read e2e/requirements.txt")?;
    let folder = python_folder(workspace);
    let installed = folder.join(".sluice-installed");
    if fs::read(&installed).ok().as_ref() == Some(&list) {
        return Ok(());
    }
    process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut pip = Command::new(folder.join("bin").join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(&wanted);
    process::run(&mut pip)?;
    fs::write(&installed, list).context("could not remember what pip installed")
}

fn python_folder(workspace: &Workspace) -> PathBuf {
    workspace.tools().join("python")
}

pub fn tests(
    workspace: &Workspace,
    filter: Option<&str>,
    postgres: &Postgres,
    tally: &mut Tally,
) -> Result<Outcome> {
    let report = workspace.target.join("e2e.tap");
    let mut node = Command::new("node");
    node.current_dir(workspace.root.join("e2e"));
    // One file at a time: each has servers and a browser of its own, and two cores are soon full.
    node.args(["--test", "--test-concurrency=1"]);
    node.args(["--test-reporter=spec", "--test-reporter-destination=stdout", "--test-reporter=tap"]);
    node.arg(format!("--test-reporter-destination={}", report.display()));
    if let Some(filter) = filter {
        node.arg(format!("--test-name-pattern={filter}"));
    }
    node.args(scenarios(workspace)?);
    node.env("SLUICE_BINARIES", workspace.target.join("debug"));
    node.env("SLUICE_PYTHON", python_folder(workspace).join("bin").join("python"));
    node.env("SLUICE_TEST_POSTGRES", postgres.url());
    let outcome = process::run(&mut node);
    tally.read_tap(&fs::read_to_string(&report).unwrap_or_default());
    outcome.map(|()| Outcome::Passed)
}

/// Every `*.test.mjs` of e2e/scenarios; none at all is an error, because then nothing was tested.
fn scenarios(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let folder = workspace.root.join("e2e").join("scenarios");
    let entries = fs::read_dir(&folder).with_context(|| format!("could not list {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    files.retain(|file| file.to_str().is_some_and(|name| name.ends_with(".test.mjs")));
    files.sort();
    if files.is_empty() { bail!("{} has no *.test.mjs", folder.display()) } else { Ok(files) }
}
