//! HAProxy with its cache of small objects, which hits are compared with.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::machine::pinned;
use super::server::{Server, free_address};
use crate::environment;

pub const NAME: &str = "haproxy-cache";
/// What a header of an answer from its cache says.
pub const PROOF: &str = "HIT";

/// A configuration on disk, and how to start HAProxy with it.
pub struct Haproxy {
    program: PathBuf,
    configuration: PathBuf,
    pub address: SocketAddr,
}

impl Haproxy {
    pub fn new(scratch: &Path, origin: SocketAddr) -> Result<Self> {
        let program =
            environment::system_program("haproxy").context("there is no haproxy on this machine")?;
        let address = free_address()?;
        let configuration = scratch.join("haproxy.cfg");
        fs::write(&configuration, file(address, origin)).context("could not write haproxy.cfg")?;
        Ok(Self { program, configuration, address })
    }

    /// Starts its one thread on the core.
    pub fn start(&self, core: usize, logs: &Path) -> Result<Server> {
        let mut server = Server::start(NAME, pinned(core, &self.program).args(self.arguments()), logs)?;
        server.wait_for(self.address, Duration::from_secs(10))?;
        Ok(server)
    }

    /// How to start it by hand, for callgrind.
    pub fn single_process(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(self.arguments());
        command
    }

    fn arguments(&self) -> [&std::ffi::OsStr; 3] {
        ["-db".as_ref(), "-f".as_ref(), self.configuration.as_os_str()]
    }
}

fn file(listen: SocketAddr, origin: SocketAddr) -> String {
    format!(
        "global
    nbthread 1
    maxconn 1024
defaults
    mode http
    timeout connect 5s
    timeout client 600s
    timeout server 60s
cache bench
    total-max-size 64
    max-object-size 65536
    max-age 3600
frontend bench
    bind {listen}
    http-request cache-use bench
    http-response cache-store bench
    http-after-response set-header X-Cache {PROOF} if {{ res.cache_hit }}
    default_backend origin
backend origin
    server origin {origin}
"
    )
}
