//! A server of the benchmark: started, waited for, its processor time read, ended with the run.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process;

const STOP_LIMIT: Duration = Duration::from_secs(60);

/// A running server and its children.
pub struct Server {
    name: String,
    process: Child,
}

impl Server {
    /// Starts it, its output going to `<log folder>/<name>.log`.
    pub fn start(name: &str, command: &mut Command, logs: &Path) -> Result<Self> {
        let file = logs.join(format!("{name}.log"));
        let log = File::create(&file).with_context(|| format!("could not create {}", file.display()))?;
        let errors = log.try_clone().context("could not share the log")?;
        let process = command
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("could not start `{}`", process::line(command)))?;
        Ok(Self { name: name.to_owned(), process })
    }

    /// Waits until something listens there.
    pub fn wait_for(&mut self, address: SocketAddr, limit: Duration) -> Result<()> {
        let name = self.name.clone();
        self.wait_until(&format!("listen on {address}"), limit, || {
            TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
        })
        .with_context(|| format!("{name} did not come up"))
    }

    /// Tries until the probe holds; an ended server or a passed limit is an error.
    pub fn wait_until(&mut self, what: &str, limit: Duration, mut holds: impl FnMut() -> bool) -> Result<()> {
        let started = Instant::now();
        while !holds() {
            if let Some(status) = self.process.try_wait().context("could not watch the server")? {
                bail!("{} ended ({status}) before it could {what}; its log is below target/bench", self.name);
            }
            if started.elapsed() > limit {
                bail!("{} did not {what} within {} s", self.name, limit.as_secs());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Processor time so far, of the threads of the process and its children, in seconds.
    pub fn cpu_seconds(&self) -> Result<f64> {
        const NANOSECONDS: f64 = 1e9;
        let times = family(self.process.id())?.into_iter().map(on_processor).collect::<Result<Vec<_>>>()?;
        Ok(times.iter().sum::<u64>() as f64 / NANOSECONDS)
    }

    /// Memory that the process and its children have now, in bytes.
    pub fn resident_bytes(&self) -> Result<u64> {
        let of = |process| {
            let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or_default()
                << 10
        };
        Ok(family(self.process.id())?.into_iter().map(of).sum())
    }

    /// Stops it for as long as something else runs.
    pub fn aside<T>(&self, run: impl FnOnce() -> Result<T>) -> Result<T> {
        self.signal("-STOP")?;
        let outcome = run();
        self.signal("-CONT")?;
        outcome
    }

    fn signal(&self, signal: &str) -> Result<()> {
        process::run(Command::new("kill").args([signal, &self.process.id().to_string()]))
    }

    /// Asks it to end and waits: callgrind writes its result on the way out.
    pub fn stop(&mut self) -> Result<()> {
        if self.process.try_wait().context("could not watch the server")?.is_some() {
            return Ok(());
        }
        self.signal("-TERM")?;
        let asked = Instant::now();
        while self.process.try_wait().context("could not watch the server")?.is_none() {
            if asked.elapsed() > STOP_LIMIT {
                self.process.kill().context("could not end the server")?;
                self.process.wait().context("could not wait for the server")?;
                bail!("{} did not stop when asked", self.name);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing can be done about a server that refuses to end; the kernel ends it with this session.
        if self.stop().is_err() {
            self.process.kill().ok();
        }
    }
}

/// A free port on loopback.
pub fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    listener.local_addr().context("no free port")
}

struct Stat {
    id: u32,
    parent: u32,
}

/// Nanoseconds that the threads of a process ran. The kernel keeps them to the nanosecond here, and only to the hundredth
/// of a second in `stat`: a tenth of what a short measurement takes.
fn on_processor(process: u32) -> Result<u64> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).context("could not list threads")?;
    let mut total = 0;
    for task in tasks.flatten() {
        // A thread may have ended since.
        let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else { continue };
        total += text.split(' ').next().and_then(|time| time.parse::<u64>().ok()).unwrap_or_default();
    }
    Ok(total)
}

/// The process and everything below it.
fn family(root: u32) -> Result<Vec<u32>> {
    let mut members = Vec::new();
    let mut others: Vec<Stat> = fs::read_dir("/proc")
        .context("could not list processes")?
        .filter_map(|entry| {
            fs::read_to_string(entry.ok()?.path().join("stat")).ok().as_deref().and_then(parse_stat)
        })
        .collect();
    let mut wanted = vec![root];
    while let Some(id) = wanted.pop() {
        wanted.extend(others.iter().filter(|stat| stat.parent == id).map(|stat| stat.id));
        if let Some(at) = others.iter().position(|stat| stat.id == id) {
            members.push(others.swap_remove(at).id);
        }
    }
    Ok(members)
}

/// `/proc/<pid>/stat` (proc(5)). The name in parentheses may hold anything, so fields are counted after it.
fn parse_stat(text: &str) -> Option<Stat> {
    let (id, rest) = text.split_once(" (")?;
    let (_, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat { id: id.parse().ok()?, parent: u32::try_from(number(1)?).ok()? })
}

#[cfg(test)]
mod tests {
    use super::parse_stat;

    #[test]
    fn the_parent_is_read_after_a_name_with_parentheses_and_spaces() {
        let line = "42 (nginx: (x) y) S 7 42 42 0 -1 4194560 1 0 0 0 310 25 0 0 20 0 1 0 100 1 1";
        let stat = parse_stat(line).unwrap();
        assert_eq!((stat.id, stat.parent), (42, 7));
    }
}
