//! `cargo xtask up`: the console, the binary, then `sluice up` in place of this program, so that Ctrl-C, signals and
//! the exit status are Sluice's own.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Result, anyhow};
use clap::Args;

use crate::workspace::Workspace;
use crate::{console, process, report};

#[derive(Args)]
pub struct Options {
    /// Also create a demo tenant with APIs, applications and traffic.
    #[arg(long)]
    demo: bool,
    /// Build without optimisation: compiles sooner, runs slower.
    #[arg(long)]
    dev: bool,
    /// Passed on to `sluice up`.
    #[arg(last = true)]
    arguments: Vec<String>,
}

pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    console::build(workspace)?;
    report::progress("building sluice (the first time takes a few minutes)");
    let profile = if options.dev { "dev" } else { "release" };
    process::run(process::cargo(&workspace.root).args([
        "build",
        "--locked",
        "--package",
        "sluice",
        "--profile",
        profile,
    ]))?;

    let folder = if options.dev { "debug" } else { "release" };
    let mut sluice = Command::new(workspace.target.join(folder).join("sluice"));
    sluice.arg("up");
    if options.demo {
        sluice.arg("--demo");
    }
    sluice.args(&options.arguments);
    let error = sluice.exec();
    Err(anyhow!(error).context(format!("could not start `{}`", process::line(&sluice))))
}
