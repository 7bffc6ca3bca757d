//! Hits while other keys are purged, ten thousand a second: what that does to the latency of those who are not concerned.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::load::{self, Answers, Pace};
use super::machine::Cores;
use super::nginx::Nginx;
use super::sluice::{Api, Sluice};
use super::table::median;
use super::{Binaries, Options};
use crate::report;

/// Groups, each with a tag, and the keys of each.
const GROUPS: u32 = 10;
const KEYS: u32 = 1_000;
/// One group is purged after each.
const BETWEEN: Duration = Duration::from_millis(100);
/// Hits that are watched.
const WATCHED: Pace = Pace { connections: 8, per_second: 2_000 };

pub fn run(scratch: &Path, binaries: &Binaries, options: &Options) -> Result<Value> {
    let cores = Cores::of_this_machine()?;
    let origin = Nginx::origin(scratch)?;
    let _origin = origin.start("origin", cores.origin, scratch)?;
    let apis = [(Api::Cache, origin.address), (Api::Groups, origin.address)];
    let sluice = Sluice::start(binaries, cores, scratch, &apis)?;
    let _gateway = sluice.start_gateway(cores, scratch)?;
    let (hot, groups) = (sluice.request(Api::Cache), sluice.request(Api::Groups));
    let files = (0..GROUPS).map(|group| keys(scratch, &groups.url, group)).collect::<Result<Vec<_>>>()?;

    let measured = |purge: bool| -> Result<(Answers, f64)> {
        // All of a group are there again a second after it was purged.
        let refill = |file: &PathBuf| load::each_of(cores, file, KEYS, options.seconds + 2).spawn();
        let refills =
            files.iter().map(refill).collect::<Result<Vec<_>, _>>().context("could not start h2load")?;
        // All keys are there.
        thread::sleep(Duration::from_secs(1));
        let before = origin.answered()?;
        let over = AtomicBool::new(false);
        let answers = thread::scope(|scope| {
            let purging = scope.spawn(|| if purge { purge_until(&sluice, &over) } else { Ok(()) });
            let answers = load::steady(cores, &hot, WATCHED, options.seconds, scratch);
            over.store(true, Ordering::Relaxed);
            purging.join().map_err(|_| anyhow::anyhow!("purging ended early"))??;
            answers
        })?;
        let fetched = (origin.answered()? - before) as f64 / f64::from(options.seconds);
        for mut refill in refills {
            refill.wait().context("could not wait for h2load")?;
        }
        Ok((answers, fetched))
    };
    let mut found = Vec::new();
    report::result(&format!(
        "hits at {}/s beside {} requests/s for keys of which {GROUPS} groups of {KEYS} are purged a second, medians of {} runs of {} s",
        WATCHED.per_second,
        GROUPS * KEYS,
        options.runs,
        options.seconds
    ));
    for (name, purge) in [("nothing purged", false), ("purged", true)] {
        let runs = (0..options.runs).map(|_| measured(purge)).collect::<Result<Vec<_>>>()?;
        let p50 = median(runs.iter().map(|(answers, _)| answers.p50));
        let p99 = median(runs.iter().map(|(answers, _)| answers.p99));
        let fetched = median(runs.iter().map(|(_, fetched)| *fetched));
        report::result(&format!(
            "{name:<15} p50 {p50:.2} ms, p99 {p99:.2} ms, {fetched:.0} keys/s fetched again"
        ));
        found.push(json!({ "name": name, "p50_ms": p50, "p99_ms": p99, "fetched_per_second": fetched }));
    }
    Ok(Value::Array(found))
}

/// A file of the keys of a group.
fn keys(scratch: &Path, url: &str, group: u32) -> Result<PathBuf> {
    let file = scratch.join(format!("group-{group}.txt"));
    let lines: String = (0..KEYS).map(|key| format!("{url}groups/{group}/{key}\n")).collect();
    fs::write(&file, lines).context("could not write the keys of a group")?;
    Ok(file)
}

/// Purges one group after the other, on time.
fn purge_until(sluice: &Sluice, over: &AtomicBool) -> Result<()> {
    let mut due = Instant::now();
    for group in (0..GROUPS).cycle() {
        if over.load(Ordering::Relaxed) {
            break;
        }
        sluice.purge(Api::Groups, &format!("g{group}"))?;
        due += BETWEEN;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(())
}
