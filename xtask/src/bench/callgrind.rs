//! Instructions per request, by callgrind: unlike time they hardly differ from run to run. The difference of two run
//! lengths leaves starting, connecting and stopping out.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::load::{self, Request};
use super::machine::{Cores, pinned};
use super::server::Server;

const SHORT: u64 = 2_000;
const LONG: u64 = 6_000;
/// Everything is some fifty times slower under callgrind.
const START_LIMIT: Duration = Duration::from_secs(120);

/// A server to start under callgrind.
pub struct Watched<'a> {
    pub name: &'a str,
    pub program: &'a Command,
    pub address: SocketAddr,
    pub request: Request,
}

pub fn instructions_per_request(cores: Cores, watched: &Watched<'_>, scratch: &Path) -> Result<f64> {
    let short = instructions(cores, watched, SHORT, scratch)?;
    let long = instructions(cores, watched, LONG, scratch)?;
    Ok(long.saturating_sub(short) as f64 / (LONG - SHORT) as f64)
}

fn instructions(cores: Cores, watched: &Watched<'_>, requests: u64, scratch: &Path) -> Result<u64> {
    let result = scratch.join(format!("callgrind.{}.{requests}", watched.name));
    let mut command = pinned(cores.proxy, "valgrind");
    command.args(["--tool=callgrind", "--quiet"]).arg(format!("--callgrind-out-file={}", result.display()));
    command.arg(watched.program.get_program()).args(watched.program.get_args());
    for (name, value) in watched.program.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    let mut server = Server::start(&format!("callgrind-{}", watched.name), &mut command, scratch)?;
    server.wait_for(watched.address, START_LIMIT)?;
    load::exactly(cores, &watched.request, requests)?;
    server.stop()?;
    total(&fs::read_to_string(&result).context("callgrind wrote no result")?)
}

/// The line `totals: 123456` (or `summary:`) of a callgrind file.
fn total(file: &str) -> Result<u64> {
    let line =
        file.lines().rev().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    line.and_then(|number| number.trim().parse().ok()).context("callgrind's result has no total")
}

#[cfg(test)]
mod tests {
    use super::total;

    #[test]
    fn the_total_of_a_callgrind_file_is_read() {
        assert_eq!(total("version: 1\nevents: Ir\nfn=(1) x\n1 5\ntotals: 912345\n").unwrap(), 912_345);
        assert!(total("version: 1\n").is_err());
    }
}
