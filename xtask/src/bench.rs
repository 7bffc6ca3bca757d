//! `cargo xtask bench`: Sluice beside nginx, HAProxy and Varnish, in one run on one machine, so that only ratios are compared.

mod admin;
mod callgrind;
mod haproxy;
mod herd;
mod load;
mod machine;
mod many_keys;
mod nginx;
mod purging;
mod requests;
mod server;
mod sluice;
mod table;
mod varnish;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde_json::Map;

use crate::workspace::Workspace;
use crate::{apt, dist, environment};
pub use sluice::Binaries;

#[derive(Args)]
pub struct Options {
    /// What to measure; everything, unless it is named.
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Runs of each proxy; the report has their medians.
    #[arg(long, default_value_t = 7)]
    runs: u32,
    /// Seconds of each measurement. The control plane stands still meanwhile, and a gateway that has not heard from it for
    /// five validates what it has stored.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=3))]
    seconds: u32,
    /// Requests per second that each proxy is offered where they are compared at equal load.
    #[arg(long, default_value_t = 8000)]
    rate: u32,
    /// Only proxies whose names contain this, for looking at one of them closely.
    #[arg(long)]
    only: Option<String>,
    /// Folder of `sluice` and `sluice-gateway` to measure, instead of building them.
    #[arg(long)]
    binaries: Option<PathBuf>,
    /// Leave out callgrind, which takes a few minutes.
    #[arg(long)]
    no_callgrind: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// One small answer: requests by processor time, latency, instructions.
    Requests,
    /// A cache that has room for a sixth of a hundred thousand keys: hit ratio and processor time.
    ManyKeys,
    /// A thousand callers who ask at once for what nobody has.
    Herd,
    /// Hits while ten thousand keys a second are purged.
    Purging,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Part::Requests => "requests",
            Part::ManyKeys => "many_keys",
            Part::Herd => "herd",
            Part::Purging => "purging",
        }
    }
}

pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let parts = if options.parts.is_empty() { Part::value_variants() } else { &options.parts };
    install_tools(parts, options)?;
    let folder = workspace.target.join("bench");
    let binaries = match &options.binaries {
        Some(folder) => Binaries { sluice: folder.join("sluice"), gateway: folder.join("sluice-gateway") },
        None => Binaries { sluice: dist::control(workspace)?, gateway: dist::gateway(workspace)? },
    };
    let mut found = Map::new();
    for part in parts {
        let scratch = scratch(&folder)?;
        let report = match part {
            Part::Requests => requests::run(&scratch, &binaries, options),
            Part::ManyKeys => many_keys::run(&scratch, &binaries, options),
            Part::Herd => herd::run(&scratch, &binaries, options),
            Part::Purging => purging::run(&scratch, &binaries, options),
        };
        found.insert(part.name().to_owned(), report?);
    }
    table::save(&folder, found)
}

/// Puts a gateway under every kind of load for a while, to see where its time goes.
pub fn train(workspace: &Workspace, binaries: &Binaries) -> Result<()> {
    install(&[("nginx", "nginx-light"), ("wrk", "wrk"), ("h2load", "nghttp2-client"), ("curl", "curl")])?;
    requests::train(&scratch(&workspace.target.join("profile"))?, binaries)
}

/// An empty folder for what runs.
fn scratch(folder: &Path) -> Result<PathBuf> {
    let scratch = folder.join("work");
    if scratch.exists() {
        fs::remove_dir_all(&scratch).context("could not remove what the last benchmark left")?;
    }
    fs::create_dir_all(&scratch).with_context(|| format!("could not create {}", scratch.display()))?;
    Ok(scratch)
}

fn install_tools(parts: &[Part], options: &Options) -> Result<()> {
    let mut needed = vec![
        ("nginx", "nginx-light"),
        ("wrk", "wrk"),
        ("h2load", "nghttp2-client"),
        ("taskset", "util-linux"),
        ("curl", "curl"),
        ("haproxy", "haproxy"),
    ];
    if parts.contains(&Part::Requests) && !options.no_callgrind {
        needed.push(("valgrind", "valgrind"));
    }
    if parts.iter().any(|part| matches!(part, Part::ManyKeys | Part::Herd)) {
        needed.push(("varnishd", "varnish"));
    }
    install(&needed)
}

/// Programs and the packages that bring them.
fn install(needed: &[(&str, &'static str)]) -> Result<()> {
    let missing: Vec<&str> = needed
        .iter()
        .filter(|(program, _)| environment::system_program(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() { Ok(()) } else { apt::install(&missing, "the benchmark") }
}
