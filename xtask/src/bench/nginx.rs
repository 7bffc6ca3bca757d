//! nginx: the origin that every proxy stands before, and a proxy that Sluice is compared with.

use std::cell::Cell;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::machine::pinned;
use super::server::{Server, free_address};
use crate::{apt, environment, process};

/// Bytes of the body that the origin answers with.
pub const BODY_BYTES: usize = 1024;

/// Bytes that every cache has room for.
pub const CACHE_BYTES: u64 = 256 << 20;

/// Largest body below `/sizes/<KiB>/` at the origin, in KiB.
pub const MOST_KIB: u64 = 64;

/// A way to run nginx as a proxy.
#[derive(Clone, Copy)]
pub enum Proxy {
    /// Passes on, upstream connections kept alive.
    PassThrough,
    /// Its cache as its documentation sets it up.
    Cache,
    /// Its cache with open files remembered: what its documentation calls tuned.
    TunedCache,
    /// Its cache with equal misses waiting for the first.
    LockedCache,
}

impl Proxy {
    pub fn name(self) -> &'static str {
        match self {
            Proxy::PassThrough => "nginx-pass-through",
            Proxy::Cache => "nginx-cache",
            Proxy::TunedCache => "nginx-cache-tuned",
            Proxy::LockedCache => "nginx-cache-lock",
        }
    }

    /// What a header of an answer from its cache says.
    pub fn proof(self) -> Option<&'static str> {
        match self {
            Proxy::PassThrough => None,
            Proxy::Cache | Proxy::TunedCache | Proxy::LockedCache => Some("HIT"),
        }
    }

    fn site(self, cache: &Path, listen: SocketAddr, origin: SocketAddr) -> String {
        let (zone, location) = match self {
            Proxy::PassThrough => (String::new(), ""),
            Proxy::Cache => {
                (cache_zone(cache), "proxy_cache bench; add_header X-Cache $upstream_cache_status;")
            }
            Proxy::TunedCache => (
                cache_zone(cache),
                "proxy_cache bench; add_header X-Cache $upstream_cache_status; open_file_cache max=1000 inactive=60s; open_file_cache_valid 60s;",
            ),
            Proxy::LockedCache => (cache_zone(cache), "proxy_cache bench; proxy_cache_lock on;"),
        };
        format!(
            "{zone}
            upstream origin {{ server {origin}; keepalive 128; keepalive_requests 100000000; }}
            server {{
                listen {listen} backlog=4096;
                location / {{
                    proxy_pass http://origin;
                    proxy_http_version 1.1;
                    proxy_set_header Connection \"\";
                    {location}
                }}
            }}"
        )
    }
}

fn cache_zone(folder: &Path) -> String {
    let (folder, bytes) = (folder.display(), CACHE_BYTES);
    format!("proxy_cache_path {folder} keys_zone=bench:32m max_size={bytes} use_temp_path=off;")
}

/// A configuration on disk, and how to start nginx with it.
pub struct Nginx {
    program: PathBuf,
    configuration: PathBuf,
    pub address: SocketAddr,
    /// How often it was asked for its count.
    asked: Cell<u64>,
}

/// Where the origin tells how many requests it has answered.
const COUNT: &str = "/count";

impl Nginx {
    /// The origin: `/` is a small JSON body from memory, `/sizes/<KiB>/<anything>` a file of that size, and
    /// `/groups/<number>/<anything>` the small body with the tag `g<number>`. All may be kept for an hour.
    pub fn origin(scratch: &Path) -> Result<Self> {
        let address = free_address()?;
        let body = "x".repeat(BODY_BYTES);
        let sizes = scratch.join("sizes");
        fs::create_dir_all(&sizes).context("could not create the origin's folder")?;
        for kib in 1..=MOST_KIB {
            fs::write(sizes.join(kib.to_string()), vec![b'x'; kib as usize * 1024])
                .context("could not write the origin's files")?;
        }
        let (sizes, keep) = (sizes.display(), "add_header Cache-Control 'public, max-age=3600'");
        let site = format!(
            "server {{
                listen {address} backlog=4096;
                default_type application/json;
                location = / {{ {keep}; return 200 '{body}'; }}
                location = {COUNT} {{ stub_status; }}
                location ~ ^/groups/(\\d+)/ {{ {keep}; add_header Surrogate-Key g$1; return 200 '{body}'; }}
                location ~ ^/sizes/(\\d+)/ {{
                    {keep};
                    alias {sizes}/$1;
                    open_file_cache max=100;
                }}
            }}"
        );
        Self::write("origin", scratch, address, &site)
    }

    /// Requests that it has answered so far; this question is not among them.
    pub fn answered(&self) -> Result<u64> {
        let url = format!("http://{}{COUNT}", self.address);
        let text = process::output(Command::new("curl").args(["--silent", "--show-error", &url]))?;
        let numbers =
            text.lines().nth(2).and_then(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok());
        // Each question is counted, too.
        let asked = self.asked.get() + 1;
        self.asked.set(asked);
        Ok(numbers.context("nginx told no number of requests")?.saturating_sub(asked))
    }

    pub fn proxy(kind: Proxy, scratch: &Path, origin: SocketAddr) -> Result<Self> {
        Self::proxy_with_cache(kind, scratch, &scratch.join(kind.name()).join("cache"), origin)
    }

    /// One that keeps its cache in this folder.
    pub fn proxy_with_cache(kind: Proxy, scratch: &Path, cache: &Path, origin: SocketAddr) -> Result<Self> {
        let address = free_address()?;
        Self::write(kind.name(), scratch, address, &kind.site(cache, address, origin))
    }

    fn write(name: &str, scratch: &Path, address: SocketAddr, site: &str) -> Result<Self> {
        let program = environment::system_program("nginx").context("there is no nginx on this machine")?;
        let folder = scratch.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("could not create {}", folder.display()))?;
        let configuration = folder.join("nginx.conf");
        fs::write(&configuration, main_file(&folder, site)?).context("could not write nginx.conf")?;
        Ok(Self { program, configuration, address, asked: Cell::new(0) })
    }

    /// Starts it with its one worker on the core.
    pub fn start(&self, name: &str, core: usize, logs: &Path) -> Result<Server> {
        let mut command = pinned(core, &self.program);
        command.arg("-c").arg(&self.configuration).args(["-g", "daemon off;"]);
        let mut server = Server::start(name, &mut command, logs)?;
        server.wait_for(self.address, Duration::from_secs(10))?;
        Ok(server)
    }

    /// The command of one process without a master, for callgrind to watch.
    pub fn single_process(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(&self.configuration).args(["-g", "daemon off; master_process off;"]);
        command
    }
}

fn main_file(folder: &Path, site: &str) -> Result<String> {
    // As root nginx would drop to a user that may not write here.
    let user = if apt::is_root()? { "user root;" } else { "" };
    let folder = folder.display();
    Ok(format!(
        "{user}
        worker_processes 1;
        pid {folder}/pid;
        error_log stderr warn;
        events {{ worker_connections 4096; }}
        http {{
            access_log off;
            keepalive_timeout 600s;
            keepalive_requests 100000000;
            client_body_temp_path {folder}/body;
            proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/fastcgi;
            uwsgi_temp_path {folder}/uwsgi;
            scgi_temp_path {folder}/scgi;
            {site}
        }}
        "
    ))
}
