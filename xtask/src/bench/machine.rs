//! Which core does what. The proxy under test has the first core for itself; what offers load and what answers it
//! share the others, so that they do not take time from what is measured.

use std::num::NonZero;
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Result, bail};

/// Cores by what runs there.
#[derive(Clone, Copy)]
pub struct Cores {
    pub proxy: usize,
    pub load: usize,
    pub origin: usize,
}

impl Cores {
    pub fn of_this_machine() -> Result<Self> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        if cores < 2 {
            bail!("the benchmark needs two cores: one for the proxy, one for the load");
        }
        Ok(Self { proxy: 0, load: 1, origin: if cores > 2 { 2 } else { 1 } })
    }
}

/// The program, kept on one core, and able to have as many connections as any part of the benchmark opens.
pub fn pinned(core: usize, program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("prlimit");
    command.args(["--nofile=8192:", "taskset", "--cpu-list"]).arg(core.to_string()).arg(program.as_ref());
    command
}

/// The processor's name, for the report.
pub fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name"));
    name.map_or_else(|| "unknown".to_owned(), |name| name.trim_start_matches([' ', '\t', ':']).to_owned())
}
