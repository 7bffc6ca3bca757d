//! One small answer, over and over: requests by processor time, latency and instructions, beside nginx and HAProxy.
//!
//! Every proxy has the same core for itself, the same origin behind it and the same load before it. Each run offers as
//! much as the proxy takes, then a fixed rate; requests are divided by the proxy's own processor time.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Options;
use super::callgrind::{self, Watched};
use super::haproxy::{self, Haproxy};
use super::load::{self, Pace, Request};
use super::machine::Cores;
use super::nginx::{BODY_BYTES, Nginx, Proxy};
use super::server::Server;
use super::sluice::{Api, Binaries, Sluice};
use super::table::{self, Ratio, Row, Sample, Setting};
use crate::{process, report};

/// What is measured of the gateway here.
const APIS: [Api; 4] = [Api::PassThrough, Api::FullPipeline, Api::Cache, Api::Traced];

/// A way to serve the request that is measured.
struct Subject {
    name: String,
    request: Request,
    /// Which of the servers serves it.
    server: usize,
    address: SocketAddr,
    /// How to start its server as one process, for callgrind.
    program: Command,
    /// What a header line of its answers must contain, so that a cache that does not cache is not measured as one.
    proof: Option<&'static str>,
    goals: &'static [Goal],
}

/// Against whom, and the ratio that is expected at this stage.
type Goal = (&'static str, f64);

/// Everything that runs during the benchmark.
struct Bench {
    cores: Cores,
    scratch: PathBuf,
    servers: Vec<Server>,
    subjects: Vec<Subject>,
    /// The control plane, which the gateway also needs under callgrind.
    sluice: Sluice,
    /// Answers all proxies; ends after them.
    origin: (SocketAddr, Server),
}

/// Measures each of the subjects, and prints their table.
pub fn run(scratch: &Path, binaries: &Binaries, options: &Options) -> Result<Value> {
    let mut bench = Bench::start(scratch, binaries)?;
    bench.line_up(options.only.as_deref())?;
    let mut samples = vec![Vec::new(); bench.subjects.len()];
    for run in 1..=options.runs {
        report::progress(&format!("run {run} of {}", options.runs));
        for (subject, samples) in bench.subjects.iter().zip(&mut samples) {
            samples.push(bench.measure(subject, options)?);
        }
    }
    let instructions =
        if options.no_callgrind { vec![None; samples.len()] } else { bench.count_instructions()? };

    let rows = rows(&bench.subjects, samples, instructions);
    let setting = Setting {
        runs: options.runs,
        seconds: options.seconds,
        rate: options.rate,
        connections: load::CONNECTIONS,
        body_bytes: BODY_BYTES,
    };
    table::print(&setting, &rows);
    Ok(table::json(&setting, &rows))
}

/// Puts a gateway under every kind of load for a while, to see where its time goes.
pub fn train(scratch: &Path, binaries: &Binaries) -> Result<()> {
    const SECONDS: u32 = 3;
    let bench = Bench::start(scratch, binaries)?;
    let _gateway = bench.sluice.start_gateway(bench.cores, scratch)?;
    for api in APIS {
        report::progress(&format!("watching {}", api.name()));
        let request = bench.sluice.request(api);
        load::saturate(bench.cores, &request, SECONDS)?;
        load::steady(bench.cores, &request, pace(2_000), SECONDS, &bench.scratch)?;
        load::over_http2(bench.cores, &request, 20_000)?;
    }
    Ok(())
}

impl Bench {
    /// The gateway before its origin.
    fn start(scratch: &Path, binaries: &Binaries) -> Result<Self> {
        let cores = Cores::of_this_machine()?;
        let origin = Nginx::origin(scratch)?;
        let server = origin.start("origin", cores.origin, scratch)?;
        let sluice = Sluice::start(binaries, cores, scratch, &APIS.map(|api| (api, origin.address)))?;
        Ok(Self {
            cores,
            scratch: scratch.to_owned(),
            servers: Vec::new(),
            subjects: Vec::new(),
            sluice,
            origin: (origin.address, server),
        })
    }

    /// All that are compared, with full caches and open upstream connections before anything counts.
    fn line_up(&mut self, only: Option<&str>) -> Result<()> {
        let (origin, _) = self.origin;
        for proxy in [Proxy::PassThrough, Proxy::Cache, Proxy::TunedCache] {
            self.add_nginx(proxy, origin)?;
        }
        self.add_haproxy(origin)?;
        self.add_sluice()?;
        if let Some(wanted) = only {
            self.subjects.retain(|subject| subject.name.contains(wanted));
        }
        for subject in &self.subjects {
            load::exactly(self.cores, &subject.request, 2_000)
                .with_context(|| format!("warming {}", subject.name))?;
            subject.prove()?;
        }
        Ok(())
    }

    fn add_nginx(&mut self, proxy: Proxy, origin: SocketAddr) -> Result<()> {
        let nginx = Nginx::proxy(proxy, &self.scratch, origin)?;
        self.servers.push(nginx.start(proxy.name(), self.cores.proxy, &self.scratch)?);
        self.subjects.push(Subject {
            name: proxy.name().to_owned(),
            request: Request { url: format!("http://{}/", nginx.address), headers: Vec::new() },
            server: self.servers.len() - 1,
            address: nginx.address,
            program: nginx.single_process(),
            proof: proxy.proof(),
            goals: &[],
        });
        Ok(())
    }

    fn add_haproxy(&mut self, origin: SocketAddr) -> Result<()> {
        let haproxy = Haproxy::new(&self.scratch, origin)?;
        self.servers.push(haproxy.start(self.cores.proxy, &self.scratch)?);
        self.subjects.push(Subject {
            name: haproxy::NAME.to_owned(),
            request: Request { url: format!("http://{}/", haproxy.address), headers: Vec::new() },
            server: self.servers.len() - 1,
            address: haproxy.address,
            program: haproxy.single_process(),
            proof: Some(haproxy::PROOF),
            goals: &[],
        });
        Ok(())
    }

    fn add_sluice(&mut self) -> Result<()> {
        self.servers.push(self.sluice.start_gateway(self.cores, &self.scratch)?);
        for api in APIS {
            self.subjects.push(Subject {
                name: api.name().to_owned(),
                request: self.sluice.request(api),
                server: self.servers.len() - 1,
                address: self.sluice.address,
                program: copy(self.sluice.gateway_program()),
                proof: matches!(api, Api::Cache | Api::Traced).then_some("hit"),
                goals: goals(api),
            });
        }
        Ok(())
    }

    fn measure(&self, subject: &Subject, options: &Options) -> Result<Sample> {
        let server = self.servers.get(subject.server).context("a subject without a server")?;
        let measuring = |what| format!("measuring {} ({what})", subject.name);
        let timed = |load: &dyn Fn() -> Result<load::Answers>| {
            self.sluice.without_control(|| {
                let before = server.cpu_seconds()?;
                let answers = load()?;
                let taken = server.cpu_seconds()? - before;
                // To the end it was what it is said to be.
                subject.prove()?;
                Ok((taken, answers))
            })
        };
        let (full_cpu, full) = timed(&|| load::saturate(self.cores, &subject.request, options.seconds))
            .with_context(|| measuring("full"))?;
        let (steady_cpu, steady) = timed(&|| {
            load::steady(self.cores, &subject.request, pace(options.rate), options.seconds, &self.scratch)
        })
        .with_context(|| measuring("steady"))?;
        Ok(Sample {
            per_second: full.requests as f64 / f64::from(options.seconds),
            per_cpu_saturated: full.requests as f64 / full_cpu,
            per_cpu_steady: steady.requests as f64 / steady_cpu,
            p50: steady.p50,
            p99: steady.p99,
        })
    }

    /// Ends the servers, and starts each again under callgrind.
    fn count_instructions(&mut self) -> Result<Vec<Option<f64>>> {
        self.servers.clear();
        // What the runs before have left would be sent while instructions are counted.
        self.sluice.forget_calls()?;
        let count = |subject: &Subject| {
            report::progress(&format!("counting instructions of {}", subject.name));
            let watched = Watched {
                name: &subject.name,
                program: &subject.program,
                address: subject.address,
                request: subject.request.clone(),
            };
            callgrind::instructions_per_request(self.cores, &watched, &self.scratch).map(Some)
        };
        self.subjects.iter().map(count).collect()
    }
}

impl Subject {
    fn prove(&self) -> Result<()> {
        let Some(proof) = self.proof else { return Ok(()) };
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--max-time",
            "5",
            "--output",
            "/dev/null",
            "--dump-header",
            "-",
        ]);
        curl.args(self.request.headers.iter().flat_map(|header| ["--header", header]));
        let head = process::output(curl.arg(&self.request.url))?;
        if head.lines().any(|line| line.to_ascii_lowercase().contains("cache") && line.contains(proof)) {
            return Ok(());
        }
        bail!("{} does not answer from its cache: {head}", self.name)
    }
}

fn pace(per_second: u32) -> Pace {
    Pace { connections: load::CONNECTIONS, per_second }
}

/// What is expected of Sluice.
fn goals(api: Api) -> &'static [Goal] {
    match api {
        Api::PassThrough => &[("nginx-pass-through", 1.15)],
        Api::FullPipeline => &[("nginx-pass-through", 1.0)],
        Api::Traced => &[("nginx-cache", 1.5)],
        _ => &[("nginx-cache", 2.0), ("nginx-cache-tuned", 1.4), (haproxy::NAME, 1.3)],
    }
}

fn copy(command: &Command) -> Command {
    let mut copy = Command::new(command.get_program());
    copy.args(command.get_args());
    copy.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    copy
}

fn rows(subjects: &[Subject], samples: Vec<Vec<Sample>>, instructions: Vec<Option<f64>>) -> Vec<Row> {
    let measured = subjects.iter().zip(samples).zip(instructions);
    let mut rows: Vec<Row> = measured
        .map(|((subject, samples), instructions)| Row {
            name: subject.name.clone(),
            samples,
            instructions,
            ratios: Vec::new(),
        })
        .collect();
    for (index, subject) in subjects.iter().enumerate() {
        let ratios = subject.goals.iter().filter_map(|goal| ratio(&rows, index, goal)).collect();
        if let Some(row) = rows.get_mut(index) {
            row.ratios = ratios;
        }
    }
    rows
}

fn ratio(rows: &[Row], index: usize, &(against, expected): &Goal) -> Option<Ratio> {
    let other = rows.iter().find(|row| row.name == against)?;
    let own = rows.get(index)?;
    let compare = |of: fn(&Sample) -> f64| own.median(of) / other.median(of);
    Some(Ratio {
        against: against.to_owned(),
        steady: compare(|sample| sample.per_cpu_steady),
        saturated: compare(|sample| sample.per_cpu_saturated),
        expected,
    })
}
