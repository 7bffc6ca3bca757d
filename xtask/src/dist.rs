//! `cargo xtask dist`: the binaries as they are shipped. They are compiled with a profile of the gateway under the
//! benchmark's load, so that the compiler inlines what is hot and keeps it together: a call costs an eighth less for it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::bench::{self, Binaries};
use crate::workspace::Workspace;
use crate::{console, process, report};

#[derive(Args)]
pub struct Options {
    /// Compile without a profile: in half the time, and without nginx, wrk and h2load, but slower to run.
    #[arg(long)]
    plain: bool,
}

/// Leaves `sluice` and `sluice-gateway` in target/shipped.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    console::build(workspace)?;
    let flags = if options.plain { None } else { Some(using(&profile(workspace)?)) };
    let shipped = workspace.target.join("shipped");
    fs::create_dir_all(&shipped).with_context(|| format!("could not create {}", shipped.display()))?;
    for name in ["sluice", "sluice-gateway"] {
        let file = shipped.join(name);
        copy(&compile(workspace, name, flags.as_ref())?, &file)?;
        report::progress(&file.display().to_string());
    }
    Ok(())
}

/// The gateway alone, as it is shipped.
pub fn gateway(workspace: &Workspace) -> Result<PathBuf> {
    let profile = profile(workspace)?;
    compile(workspace, "sluice-gateway", Some(&using(&profile)))
}

/// The control plane as the tests build it, for where nothing of it is measured.
pub fn control(workspace: &Workspace) -> Result<PathBuf> {
    console::build(workspace)?;
    process::run(process::cargo(&workspace.root).args(["build", "--locked", "--package", "sluice"]))?;
    Ok(workspace.target.join("debug").join("sluice"))
}

/// What a gateway that counts did while it was under load.
fn profile(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target.join("profile");
    if folder.exists() {
        fs::remove_dir_all(&folder).context("could not remove the last profile")?;
    }
    let counts = folder.join("counts");
    fs::create_dir_all(&counts).with_context(|| format!("could not create {}", counts.display()))?;
    let merge = profile_tool()?;
    report::progress("building a gateway that counts what it does");
    let counting = compile(workspace, "sluice-gateway", Some(&flag("-Cprofile-generate=", &counts)))?;
    // The next build puts its own in this place.
    let gateway = folder.join("sluice-gateway");
    copy(&counting, &gateway)?;
    bench::train(workspace, &Binaries { sluice: control(workspace)?, gateway })?;
    let merged = folder.join("merged.profdata");
    let mut command = Command::new(merge);
    command.args(["merge", "--output"]).arg(&merged).arg(&counts);
    process::run(&mut command)?;
    Ok(merged)
}

fn using(profile: &Path) -> OsString {
    flag("-Cprofile-use=", profile)
}

fn flag(name: &str, file: &Path) -> OsString {
    let mut flag = OsString::from(name);
    flag.push(file);
    flag
}

/// Builds a package's binary; the flag goes to what is compiled for this machine to run, not to what runs in the build.
fn compile(workspace: &Workspace, package: &str, flag: Option<&OsString>) -> Result<PathBuf> {
    let host = host()?;
    let mut cargo = process::cargo(&workspace.root);
    cargo.args(["build", "--locked", "--profile", "dist", "--package", package, "--target", &host]);
    if let Some(flag) = flag {
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flag);
    }
    process::run(&mut cargo)?;
    Ok(workspace.target.join(host).join("dist").join(package))
}

fn host() -> Result<String> {
    Ok(process::output(Command::new("rustc").args(["--print", "host-tuple"]))?.trim().to_owned())
}

/// `llvm-profdata` of the compiler itself: its format changes from version to version.
fn profile_tool() -> Result<PathBuf> {
    let root = process::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let tool = Path::new(root.trim()).join("lib/rustlib").join(host()?).join("bin").join("llvm-profdata");
    if !tool.exists() {
        report::progress("adding the compiler's llvm-tools");
        process::run(Command::new("rustup").args(["component", "add", "llvm-tools"]))
            .context("a profile needs the compiler's llvm-tools; `cargo xtask dist --plain` goes without")?;
    }
    Ok(tool)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("could not copy {} to {}", from.display(), to.display()))?;
    Ok(())
}
