//! A private Postgres for one run: own folder, own port, gone at the end. Postgres refuses to run as root, so it runs
//! as the user that its package made.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::tools;
use crate::{apt, environment, process};

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Nothing in it outlives the run, so nothing waits for the disk.
const SETTINGS: [&str; 6] = [
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "listen_addresses=127.0.0.1",
    "max_connections=300",
    "shared_buffers=128MB",
];

/// A running Postgres, or one that the environment names in `SLUICE_TEST_POSTGRES`.
pub struct Postgres {
    url: String,
    /// Kept for its end: dropping it stops the server.
    _server: Option<Server>,
}

struct Server {
    process: Child,
    folder: PathBuf,
}

/// The user and group to run as, when this program runs as root.
type Owner = Option<(u32, u32)>;

impl Postgres {
    pub fn start() -> Result<Self> {
        if let Some(url) = environment::variable("SLUICE_TEST_POSTGRES") {
            return Ok(Self { url, _server: None });
        }
        let programs = tools::postgres_folder().context("there is no Postgres on this machine")?;
        let owner = owner()?;
        let folder = std::env::temp_dir().join(format!("sluice-postgres-{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| format!("could not create {}", folder.display()))?;
        if let Some((user, group)) = owner {
            chown(&folder, Some(user), Some(group)).context("could not give the folder to Postgres")?;
        }
        let data = folder.join("data");
        let mut initdb = command(&programs.join("initdb"), &folder, owner);
        initdb
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"])
            .arg(&data);
        process::output(&mut initdb)?;

        let port = free_port()?;
        let log = fs::File::create(folder.join("log")).context("could not create Postgres' log")?;
        let mut postgres = command(&programs.join("postgres"), &folder, owner);
        postgres.arg("-D").arg(&data).arg("-k").arg(&folder).args(["-p", &port.to_string()]);
        postgres.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        let process =
            postgres.stdout(Stdio::null()).stderr(log).spawn().context("could not start Postgres")?;
        let mut server = Server { process, folder };
        server.wait_until_ready(&programs, port)?;
        Ok(Self { url: format!("postgres://postgres@127.0.0.1:{port}/postgres"), _server: Some(server) })
    }

    /// Where to connect as superuser; each test makes a database of its own there.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Server {
    fn wait_until_ready(&mut self, programs: &Path, port: u16) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < START_LIMIT {
            if self.process.try_wait().context("could not watch Postgres")?.is_some() {
                bail!(
                    "Postgres ended at once: {}",
                    fs::read_to_string(self.folder.join("log")).unwrap_or_default()
                );
            }
            let mut probe = Command::new(programs.join("pg_isready"));
            if process::succeeds(probe.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        bail!("Postgres was not ready after {} s", START_LIMIT.as_secs())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGINT is Postgres' fast shutdown: it ends sessions and leaves.
        process::succeeds(Command::new("kill").args(["-INT", &self.process.id().to_string()]));
        let asked = Instant::now();
        while asked.elapsed() < STOP_LIMIT && matches!(self.process.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(50));
        }
        // Both fail only when there is nothing left to end or to remove.
        self.process.kill().ok();
        fs::remove_dir_all(&self.folder).ok();
    }
}

fn owner() -> Result<Owner> {
    if !apt::is_root()? {
        return Ok(None);
    }
    let id = |flag: &str| -> Result<u32> {
        let text = process::output(Command::new("id").args([flag, "postgres"]))?;
        text.trim().parse().context("`id` printed no number")
    };
    Ok(Some((id("-u")?, id("-g")?)))
}

fn command(program: &Path, folder: &Path, owner: Owner) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null());
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    Ok(listener.local_addr().context("no free port")?.port())
}
