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
    let file = fs::read_to_string(&result).context("callgrind wrote no result")?;
    Ok(total(&file)?.saturating_sub(of_constructors(&file)))
}

/// What the program did before `main`, by Rust's constructors: the cache's disk level has one that measures the processor's
/// clock until two measurements agree, which takes longer in one run than in another.
fn of_constructors(file: &str) -> u64 {
    const NAME: &str = "___init___ctor";
    let mut is_one = false;
    // A name stands behind its number once, where that is first used.
    let mut numbers: Vec<&str> = Vec::new();
    let mut sum = 0;
    for line in file.lines() {
        if let Some(function) = line.strip_prefix("fn=").or(line.strip_prefix("cfn=")) {
            let (number, name) = function.split_once(' ').unwrap_or((function, ""));
            if name.ends_with(NAME) {
                numbers.push(number);
            }
            if line.starts_with("fn=") {
                is_one = numbers.contains(&number);
            }
        } else if is_one && line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            // Its own, and all that was done in what it called.
            sum += line.rsplit(' ').next().and_then(|cost| cost.parse::<u64>().ok()).unwrap_or_default();
        }
    }
    sum
}

/// The line `totals: 123456` (or `summary:`) of a callgrind file.
fn total(file: &str) -> Result<u64> {
    let line =
        file.lines().rev().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    line.and_then(|number| number.trim().parse().ok()).context("callgrind's result has no total")
}

#[cfg(test)]
mod tests {
    use super::{of_constructors, total};

    #[test]
    fn what_constructors_did_is_told_from_the_rest() {
        let file = "version: 1\nevents: Ir\nfn=(1) start\n1 5\ncfn=(2) clock::___init___ctor\ncalls=1 9\n+2 170\n\n\
            fn=(3) work\n4 7\ncfn=(4) now\ncalls=2 1\n* 40\n\nfn=(2)\n9 100\ncfn=(4)\ncalls=3 1\n+1 60\n-1 10\n\n\
            fn=(4)\n1 100\n\ntotals: 222\n";
        assert_eq!(of_constructors(file), 170);
        assert_eq!(of_constructors("fn=(1) x\n1 5\n"), 0);
    }

    #[test]
    fn the_total_of_a_callgrind_file_is_read() {
        assert_eq!(total("version: 1\nevents: Ir\nfn=(1) x\n1 5\ntotals: 912345\n").unwrap(), 912_345);
        assert!(total("version: 1\n").is_err());
    }
}
