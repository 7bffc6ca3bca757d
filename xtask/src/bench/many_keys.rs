//! A hundred thousand keys of 1 to 64 KiB, asked for as the web is (Zipf), before a cache that has room for a sixth of them:
//! how many requests each cache answers by itself, and what that costs it. nginx, Varnish and Sluice may each keep as much.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::load::{self, Answers, Request};
use super::machine::Cores;
use super::nginx::{CACHE_BYTES, MOST_KIB, Nginx, Proxy};
use super::server::Server;
use super::sluice::{Api, Sluice};
use super::varnish::Varnish;
use super::{Binaries, Options};
use crate::report;

const KEYS: u32 = 100_000;
/// Of the popularity of keys: that of the n-th is 1 / n ^ EXPONENT.
const EXPONENT: f64 = 0.9;
/// Loads before anything counts: the caches are full, and know what is popular.
const WARMING: u32 = 10;

/// A cache under load.
struct Subject {
    name: &'static str,
    server: Server,
    url: String,
    /// What is not in the process's memory.
    folder: Option<PathBuf>,
}

/// One load of one cache.
struct Sample {
    hit_ratio: f64,
    per_second: f64,
    per_cpu_second: f64,
    p50: f64,
    p99: f64,
}

/// A folder that ends with the benchmark.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is in memory until the machine is started again; the next benchmark removes it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn run(scratch: &Path, binaries: &Binaries, options: &Options) -> Result<Value> {
    let cores = Cores::of_this_machine()?;
    let origin = Nginx::origin(scratch)?;
    let _origin = origin.start("origin", cores.origin, scratch)?;
    let script = scratch.join("keys.lua");
    fs::write(&script, script_text()).context("could not write the load's script")?;
    let sluice = Sluice::start(binaries, cores, scratch, &[(Api::ManyKeys, origin.address)])?;

    // nginx keeps what it caches in files: in memory here, as the others do.
    let files = Folder(in_memory(scratch));
    let nginx = Nginx::proxy_with_cache(Proxy::Cache, scratch, &files.0, origin.address)?;
    let varnish = Varnish::start(cores.proxy, CACHE_BYTES, scratch, origin.address)?;
    let mut subjects = vec![
        Subject {
            name: "nginx",
            server: nginx.start("nginx", cores.proxy, scratch)?,
            url: format!("http://{}/", nginx.address),
            folder: Some(files.0.clone()),
        },
        Subject {
            name: "varnish",
            server: varnish.server,
            url: format!("http://{}/", varnish.address),
            folder: None,
        },
        Subject {
            name: "sluice",
            server: sluice.start_gateway(cores, scratch)?,
            url: sluice.request(Api::ManyKeys).url,
            folder: None,
        },
    ];
    subjects.retain(|subject| options.only.as_ref().is_none_or(|wanted| subject.name.contains(wanted)));
    let mut seed = 0;
    let mut load = |subject: &Subject| -> Result<Sample> {
        seed += 1;
        let request = Request { url: subject.url.clone(), headers: Vec::new() };
        sluice.without_control(|| {
            let (cpu, asked) = (subject.server.cpu_seconds()?, origin.answered()?);
            let answers = load::scripted(cores, &request, options.seconds, &script, seed)?;
            let (cpu, asked) = (subject.server.cpu_seconds()? - cpu, origin.answered()? - asked);
            Ok(sample(&answers, f64::from(options.seconds), cpu, asked))
        })
    };
    for subject in &subjects {
        report::progress(&format!("filling {}", subject.name));
        for _ in 0..WARMING {
            load(subject)?;
        }
    }
    let mut samples: Vec<Vec<Sample>> = subjects.iter().map(|_| Vec::new()).collect();
    for run in 1..=options.runs {
        report::progress(&format!("many keys, run {run} of {}", options.runs));
        for (subject, samples) in subjects.iter().zip(&mut samples) {
            samples.push(load(subject)?);
        }
    }
    report::result(&format!(
        "{KEYS} keys of 1 to {MOST_KIB} KiB, Zipf {EXPONENT}, {} MiB for each cache, medians of {} runs of {} s",
        CACHE_BYTES >> 20,
        options.runs,
        options.seconds
    ));
    let mut found = Vec::new();
    for (subject, samples) in subjects.iter().zip(&samples) {
        found.push(told(subject, samples)?);
    }
    Ok(Value::Array(found))
}

fn sample(answers: &Answers, seconds: f64, cpu: f64, asked: u64) -> Sample {
    let requests = answers.requests as f64;
    Sample {
        hit_ratio: 1.0 - asked as f64 / requests,
        per_second: requests / seconds,
        per_cpu_second: requests / cpu,
        p50: answers.p50,
        p99: answers.p99,
    }
}

/// Prints what was found of a subject.
fn told(subject: &Subject, samples: &[Sample]) -> Result<Value> {
    let median = |of: fn(&Sample) -> f64| super::table::median(samples.iter().map(of));
    let (hits, per_cpu) = (median(|sample| sample.hit_ratio), median(|sample| sample.per_cpu_second));
    let (per_second, p50, p99) =
        (median(|sample| sample.per_second), median(|sample| sample.p50), median(|sample| sample.p99));
    let memory = subject.server.resident_bytes()? + subject.folder.as_deref().map_or(0, size);
    report::result(&format!(
        "{:<8} hit ratio {:>5.1} %, {per_cpu:>7.0} requests/cpu-s, {per_second:>6.0} requests/s, p50 {p50:.2} ms, p99 {p99:.2} ms, {:>4} MiB",
        subject.name,
        hits * 100.0,
        memory >> 20
    ));
    Ok(json!({
        "name": subject.name,
        "hit_ratio": hits,
        "requests_per_cpu_second": per_cpu,
        "requests_per_second": per_second,
        "p50_ms": p50,
        "p99_ms": p99,
        "memory_bytes": memory,
    }))
}

/// A folder whose files are in memory, where there is one.
fn in_memory(scratch: &Path) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { memory } else { scratch };
    folder.join(format!("sluice-bench-{}", std::process::id()))
}

/// Bytes of the files in a folder and below it.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(about) if about.is_dir() => size(&entry.path()),
            Ok(about) => about.len(),
            Err(_) => 0,
        })
        .sum()
}

/// The load: keys by their popularity, each with a size of its own; as many small ones as large ones on a scale of powers.
fn script_text() -> String {
    format!(
        "local cumulative, paths, total = {{}}, {{}}, 0
function init(arguments)
  math.randomseed(tonumber(arguments[1]))
  for key = 1, {KEYS} do
    total = total + 1 / key ^ {EXPONENT}
    cumulative[key] = total
    local kib = math.floor({MOST_KIB} ^ ((key * 2654435761 % 4294967296) / 4294967296))
    paths[key] = wrk.path .. 'sizes/' .. kib .. '/' .. key
  end
end
function request()
  local wanted, low, high = math.random() * total, 1, {KEYS}
  while low < high do
    local middle = math.floor((low + high) / 2)
    if cumulative[middle] < wanted then low = middle + 1 else high = middle end
  end
  return wrk.format('GET', paths[low])
end
"
    )
}
