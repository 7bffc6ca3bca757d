//! `cargo xtask bench`: Sluice beside nginx, in one run on one machine, so that only ratios are compared.
//!
//! Every proxy has the same core for itself, the same origin behind it and the same load before it. Each run offers as
//! much as the proxy takes, then a fixed rate; requests are divided by the proxy's own processor time.

mod admin;
mod callgrind;
mod load;
mod machine;
mod nginx;
mod server;
mod sluice;
mod table;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::workspace::Workspace;
use crate::{apt, dist, environment, process, report};
use callgrind::Watched;
use load::Request;
use machine::Cores;
use nginx::{BODY_BYTES, Nginx, Proxy};
use server::Server;
pub use sluice::Binaries;
use sluice::{Api, Sluice};
use table::{Ratio, Row, Sample, Setting};

#[derive(Args)]
pub struct Options {
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
    _origin: Server,
}

pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    install_tools(!options.no_callgrind)?;
    let folder = workspace.target.join("bench");
    let binaries = match &options.binaries {
        Some(folder) => Binaries { sluice: folder.join("sluice"), gateway: folder.join("sluice-gateway") },
        None => Binaries { sluice: dist::control(workspace)?, gateway: dist::gateway(workspace)? },
    };
    let mut bench = Bench::start(&folder, &binaries)?;
    if let Some(wanted) = &options.only {
        bench.subjects.retain(|subject| subject.name.contains(wanted.as_str()));
    }
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
    table::save(&folder, &setting, &rows)
}

/// Puts a gateway under every kind of load for a while, to see where its time goes.
pub fn train(workspace: &Workspace, binaries: &Binaries) -> Result<()> {
    const SECONDS: u32 = 3;
    install_tools(false)?;
    let bench = Bench::start(&workspace.target.join("profile"), binaries)?;
    for api in Api::ALL {
        report::progress(&format!("watching {}", api.name()));
        let request = bench.sluice.request(api);
        load::saturate(bench.cores, &request, SECONDS)?;
        load::steady(bench.cores, &request, 2_000, SECONDS, &bench.scratch)?;
        load::over_http2(bench.cores, &request, 20_000)?;
    }
    Ok(())
}

impl Bench {
    fn start(folder: &Path, binaries: &Binaries) -> Result<Self> {
        let cores = Cores::of_this_machine()?;
        let scratch = folder.join("work");
        if scratch.exists() {
            fs::remove_dir_all(&scratch).context("could not remove what the last benchmark left")?;
        }
        fs::create_dir_all(&scratch).with_context(|| format!("could not create {}", scratch.display()))?;
        let origin = Nginx::origin(&scratch)?;
        let server = origin.start("origin", cores.origin, &scratch)?;
        let sluice = Sluice::start(binaries, cores, &scratch, origin.address)?;
        let mut bench =
            Self { cores, scratch, servers: Vec::new(), subjects: Vec::new(), sluice, _origin: server };
        for proxy in [Proxy::PassThrough, Proxy::Cache, Proxy::TunedCache] {
            bench.add_nginx(proxy, origin.address)?;
        }
        bench.add_sluice()?;
        for subject in &bench.subjects {
            // Fills caches and opens upstream connections before anything counts.
            load::exactly(cores, &subject.request, 2_000)
                .with_context(|| format!("warming {}", subject.name))?;
            subject.prove()?;
        }
        Ok(bench)
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

    fn add_sluice(&mut self) -> Result<()> {
        self.servers.push(self.sluice.start_gateway(self.cores, &self.scratch)?);
        for api in Api::ALL {
            self.subjects.push(Subject {
                name: api.name().to_owned(),
                request: self.sluice.request(api),
                server: self.servers.len() - 1,
                address: self.sluice.address,
                program: copy(self.sluice.gateway_program()),
                proof: matches!(api, Api::Cache).then_some("hit"),
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
            load::steady(self.cores, &subject.request, options.rate, options.seconds, &self.scratch)
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

/// What is expected of Sluice at this stage.
fn goals(api: Api) -> &'static [Goal] {
    match api {
        Api::PassThrough => &[("nginx-pass-through", 0.9)],
        Api::FullPipeline => &[("nginx-pass-through", 0.7)],
        Api::Cache => &[("nginx-cache", 1.5), ("nginx-cache-tuned", 1.4)],
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

fn install_tools(with_callgrind: bool) -> Result<()> {
    let needed = [
        ("nginx", "nginx-light", true),
        ("wrk", "wrk", true),
        ("h2load", "nghttp2-client", true),
        ("taskset", "util-linux", true),
        ("curl", "curl", true),
        ("valgrind", "valgrind", with_callgrind),
    ];
    let missing: Vec<&str> = needed
        .iter()
        .filter(|(program, _, wanted)| *wanted && environment::system_program(program).is_none())
        .map(|(_, package, _)| *package)
        .collect();
    if missing.is_empty() { Ok(()) } else { apt::install(&missing, "the benchmark") }
}
