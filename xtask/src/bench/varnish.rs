//! Varnish as it is shipped, with so much memory: what a cache of many keys is compared with.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::machine::pinned;
use super::server::{Server, free_address};

/// A running Varnish.
pub struct Varnish {
    pub server: Server,
    pub address: SocketAddr,
}

impl Varnish {
    /// Starts it on the core; it compiles its configuration with the C compiler that its package brings.
    pub fn start(core: usize, memory_bytes: u64, scratch: &Path, origin: SocketAddr) -> Result<Self> {
        let address = free_address()?;
        let folder = scratch.join("varnish");
        fs::create_dir_all(&folder).context("could not create Varnish's folder")?;
        let configuration = folder.join("bench.vcl");
        let backend = format!(".host = \"{}\"; .port = \"{}\";", origin.ip(), origin.port());
        fs::write(&configuration, format!("vcl 4.1; backend default {{ {backend} }}\n"))
            .context("could not write bench.vcl")?;
        let mut command = pinned(core, "varnishd");
        command.args(["-F", "-j", "none"]);
        command.args(["-a", &address.to_string(), "-s", &format!("malloc,{memory_bytes}"), "-f"]);
        command.arg(&configuration).arg("-n").arg(folder.join("work"));
        let mut server = Server::start("varnish", &mut command, scratch)?;
        server.wait_for(address, Duration::from_secs(30))?;
        Ok(Self { server, address })
    }
}
