//! Offers load: as much as the proxy takes (wrk), the same to each (h2load with a rate), or an exact number of
//! requests (h2load). A single answer that is not 2xx makes the measurement worthless, so it is an error.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::machine::{Cores, pinned};
use crate::process;

/// Keepalive connections of every run.
pub const CONNECTIONS: u32 = 64;

/// What is asked for, over and over.
#[derive(Clone)]
pub struct Request {
    pub url: String,
    pub headers: Vec<String>,
}

/// What one run saw.
pub struct Answers {
    pub requests: u64,
    /// Milliseconds.
    pub p50: f64,
    pub p99: f64,
}

/// As many requests as the proxy answers, for so many seconds.
pub fn saturate(cores: Cores, request: &Request, seconds: u32) -> Result<Answers> {
    let mut wrk = pinned(cores.load, "wrk");
    wrk.args(["--threads", "1", "--latency"]);
    wrk.args(["--connections", &CONNECTIONS.to_string(), "--duration", &format!("{seconds}s")]);
    wrk.args(request.headers.iter().flat_map(|header| ["--header", header]));
    parse_wrk(&process::output(wrk.arg(&request.url))?)
}

/// As many requests as the proxy answers, for so many seconds, each the script's next one (from this seed on).
pub fn scripted(cores: Cores, request: &Request, seconds: u32, script: &Path, seed: u32) -> Result<Answers> {
    let mut wrk = pinned(cores.load, "wrk");
    wrk.args(["--threads", "1", "--latency", "--duration", &format!("{seconds}s"), "--script"]).arg(script);
    wrk.args(["--connections", &CONNECTIONS.to_string(), &request.url, "--", &seed.to_string()]);
    parse_wrk(&process::output(&mut wrk)?)
}

/// One request by each of so many callers, all at the same time.
pub fn at_once(cores: Cores, request: &Request, callers: u32, scratch: &Path) -> Result<Answers> {
    let log = fresh_log(scratch)?;
    let callers = callers.to_string();
    let mut command = pinned(cores.load, "h2load");
    command.args(["--h1", "--threads", "1", "--clients", &callers, "--requests", &callers, "--log-file"]);
    process::output(command.arg(&log).arg(&request.url))?;
    parse_log(&fs::read_to_string(&log).context("h2load wrote no log")?)
}

/// Each of the addresses in the file in turn, by one caller, so many a second, for so many seconds.
pub fn each_of(cores: Cores, urls: &Path, per_second: u32, seconds: u32) -> Command {
    let mut command = pinned(cores.load, "h2load");
    command.args(["--h1", "--threads", "1", "--clients", "1", "--rps", &per_second.to_string()]);
    command.args(["--duration", &seconds.to_string(), "--input-file"]).arg(urls).stdout(Stdio::null());
    command
}

/// How often is asked for something.
#[derive(Clone, Copy)]
pub struct Pace {
    pub connections: u32,
    pub per_second: u32,
}

/// So many requests per second, for so many seconds.
pub fn steady(cores: Cores, request: &Request, pace: Pace, seconds: u32, scratch: &Path) -> Result<Answers> {
    let log = fresh_log(scratch)?;
    let mut command = h2load(cores, request, pace.connections);
    command.arg("--h1");
    // h2load takes the rate of each connection.
    command.arg("--rps").arg(format!("{:.3}", f64::from(pace.per_second) / f64::from(pace.connections)));
    command.args(["--duration", &seconds.to_string(), "--log-file"]).arg(&log);
    process::output(command.arg(&request.url))?;
    parse_log(&fs::read_to_string(&log).context("h2load wrote no log")?)
}

fn fresh_log(scratch: &Path) -> Result<PathBuf> {
    let log = scratch.join("h2load.tsv");
    if log.exists() {
        fs::remove_file(&log).context("could not remove the last log of h2load")?;
    }
    Ok(log)
}

/// Exactly so many requests.
pub fn exactly(cores: Cores, request: &Request, requests: u64) -> Result<()> {
    let mut command = h2load(cores, request, CONNECTIONS);
    command.arg("--h1");
    all_succeed(command, request, requests)
}

/// Exactly so many requests over HTTP/2, several at a time on each connection.
pub fn over_http2(cores: Cores, request: &Request, requests: u64) -> Result<()> {
    let mut command = h2load(cores, request, CONNECTIONS);
    command.args(["--max-concurrent-streams", "8"]);
    all_succeed(command, request, requests)
}

fn all_succeed(mut command: Command, request: &Request, requests: u64) -> Result<()> {
    command.args(["--requests", &requests.to_string()]);
    let report = process::output(command.arg(&request.url))?;
    if report.contains(&format!("{requests} succeeded, 0 failed, 0 errored")) {
        return Ok(());
    }
    bail!(
        "not every request was answered with 2xx: {}",
        line_with(&report, "status codes:").unwrap_or(&report)
    )
}

fn h2load(cores: Cores, request: &Request, connections: u32) -> Command {
    let mut command = pinned(cores.load, "h2load");
    command.args(["--threads", "1", "--clients", &connections.to_string()]);
    command.args(request.headers.iter().flat_map(|header| ["--header", header]));
    command
}

fn parse_wrk(report: &str) -> Result<Answers> {
    for trouble in ["Non-2xx or 3xx responses:", "Socket errors:"] {
        if let Some(line) = line_with(report, trouble) {
            bail!("wrk: {}", line.trim());
        }
    }
    let field = |start: &str| line_with(report, start).and_then(|line| line.split_whitespace().nth(1));
    let requests = report
        .lines()
        .find(|line| line.contains(" requests in "))
        .and_then(|line| line.split_whitespace().next()?.parse().ok())
        .with_context(|| format!("wrk printed no number of requests:\n{report}"))?;
    let percentile =
        |name| field(name).and_then(milliseconds).with_context(|| format!("wrk printed no {name}"));
    Ok(Answers { requests, p50: percentile("50%")?, p99: percentile("99%")? })
}

fn line_with<'a>(report: &'a str, start: &str) -> Option<&'a str> {
    report.lines().find(|line| line.trim_start().starts_with(start))
}

/// `812.00us`, `1.20ms`, `1.02s`.
fn milliseconds(text: &str) -> Option<f64> {
    let (number, factor) = if let Some(number) = text.strip_suffix("us") {
        (number, 0.001)
    } else if let Some(number) = text.strip_suffix("ms") {
        (number, 1.0)
    } else {
        (text.strip_suffix('s')?, 1000.0)
    };
    Some(number.parse::<f64>().ok()? * factor)
}

/// Lines of start (µs), status and duration (µs).
fn parse_log(log: &str) -> Result<Answers> {
    let mut durations = Vec::new();
    for line in log.lines() {
        let mut columns = line.split('\t').skip(1);
        let (status, duration) = (columns.next().unwrap_or_default(), columns.next().unwrap_or_default());
        if !status.starts_with('2') {
            bail!("h2load: an answer had status {status}");
        }
        durations.push(duration.parse::<u64>().with_context(|| format!("h2load logged `{line}`"))?);
    }
    durations.sort_unstable();
    let at = |part: f64| -> Result<f64> {
        let index = ((durations.len() as f64 * part) as usize).min(durations.len().saturating_sub(1));
        let duration = durations.get(index).context("h2load got no answer")?;
        Ok(*duration as f64 / 1000.0)
    };
    Ok(Answers { requests: durations.len() as u64, p50: at(0.50)?, p99: at(0.99)? })
}

#[cfg(test)]
mod tests {
    use super::{parse_log, parse_wrk};

    const WRK: &str = "Running 5s test @ http://127.0.0.1:1/\n  1 threads and 64 connections\n  Latency Distribution\n     50%  812.00us\n     75%    1.20ms\n     90%    1.90ms\n     99%    3.50ms\n  150000 requests in 5.00s, 190.00MB read\nRequests/sec:  30000.00\n";

    #[test]
    fn wrks_report_is_read() {
        let answers = parse_wrk(WRK).unwrap();
        assert_eq!(answers.requests, 150_000);
        assert!((answers.p50 - 0.812).abs() < 1e-9 && (answers.p99 - 3.5).abs() < 1e-9);
    }

    #[test]
    fn an_answer_that_is_not_2xx_makes_a_run_worthless() {
        assert!(parse_wrk(&format!("{WRK}  Non-2xx or 3xx responses: 4\n")).is_err());
        assert!(parse_log("1\t200\t100\n2\t401\t90\n").is_err());
        assert!(parse_log("").is_err());
    }

    #[test]
    fn percentiles_come_from_every_request() {
        let log: String = (1..=100).map(|duration| format!("5\t200\t{duration}000\n")).collect();
        let answers = parse_log(&log).unwrap();
        assert_eq!((answers.requests, answers.p50, answers.p99), (100, 51.0, 100.0));
    }
}
