//! `cargo xtask console`: the browser console, from Rust to what the control plane embeds.
//!
//! cargo (wasm32) → split by areas of pages → wasm-bindgen as a library → files named by the hash of their content → brotli and gzip beside
//! each → `target/console`. No Node, no npm, nothing downloaded. When no input changed, nothing is done.

mod assets;
mod bundle;
mod compress;
mod inputs;
mod linked;
mod sizes;
mod split;
mod wasm;

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result};
use clap::Args;

use crate::report::{self, Outcome};
use crate::workspace::Workspace;

pub use wasm::{TARGET as WASM_TARGET, native_target_missing};

#[derive(Args)]
pub struct Options {
    /// Build even when no input changed.
    #[arg(long)]
    force: bool,
}

pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if options.force {
        remove_if_there(&stamp(workspace))?;
    }
    build(workspace)
}

/// Makes `target/console` what the sources say. Safe to run twice at once: the second waits, then finds it done.
pub fn build(workspace: &Workspace) -> Result<()> {
    let console = workspace.console();
    let below = workspace.root.join("target");
    fs::create_dir_all(&below).with_context(|| format!("could not create {}", below.display()))?;
    let lock =
        File::create(below.join("console.lock")).context("could not create the console's lock file")?;
    lock.lock().context("could not wait for another build of the console")?;

    let inputs = inputs::fingerprint(&workspace.root)?;
    if console.join("index.html").exists()
        && fs::read_to_string(stamp(workspace)).is_ok_and(|last| last == inputs)
    {
        report::progress("console: unchanged");
        return Ok(());
    }
    report::progress("building the console (the first time takes a few minutes)");
    let program = wasm::build(workspace)?;
    let files = bundle::assemble(&workspace.root, program)?;

    let fresh = below.join("console.new");
    remove_folder_if_there(&fresh)?;
    compress::write(&fresh, &files)?;
    remove_folder_if_there(&console)?;
    fs::rename(&fresh, &console).with_context(|| format!("could not move {} into place", fresh.display()))?;
    fs::write(stamp(workspace), inputs).context("could not remember what the console was built from")?;
    sizes::measure(&console)?.print();
    Ok(())
}

/// An error when a first visit of the built console loads more than it may.
pub fn check_size(workspace: &Workspace) -> Result<Outcome> {
    sizes::measure(&workspace.console())?.check()?;
    Ok(Outcome::Passed)
}

/// Remembers what `target/console` was built from; beside it, so that it is not embedded.
fn stamp(workspace: &Workspace) -> std::path::PathBuf {
    workspace.root.join("target").join("console.inputs")
}

fn remove_if_there(file: &Path) -> Result<()> {
    if file.exists() {
        fs::remove_file(file).with_context(|| format!("could not remove {}", file.display()))?;
    }
    Ok(())
}

fn remove_folder_if_there(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("could not remove {}", folder.display()))?;
    }
    Ok(())
}
