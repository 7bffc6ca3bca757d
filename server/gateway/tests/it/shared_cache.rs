//! Gateways of one environment that share a real server, for the tests of the cache's second level.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sluice_contract::ids::{EnvironmentId, IncarnationId, PurgeId};
use sluice_contract::journal::{Change, Purge, PurgeScope};
use sluice_contract::link::SecondLevelHealth;
use sluice_gateway::cache::{SecondLevel, SecondLevelSettings};

use crate::support::{Rig, Seen, Start, Upstream, eventually, text};

/// A server of a test, on a port of its own; ends with the test.
pub struct Server {
    process: Child,
    pub address: SocketAddr,
    scheme: &'static str,
}

impl Server {
    pub async fn redis(arguments: &[&str]) -> Self {
        Self::redis_on(crate::support::nobody().await, arguments).await
    }

    pub async fn redis_on(address: SocketAddr, arguments: &[&str]) -> Self {
        let port = address.port().to_string();
        let usual = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        Self::start("redis-server", "redis", address, &[&usual[..], arguments].concat()).await
    }

    /// A node of a cluster, with nothing in it and no slots.
    pub async fn redis_node(folder: &Path, memory: &str) -> Self {
        // Nodes speak with each other ten thousand ports further up.
        let mut address = crate::support::nobody().await;
        while address.port() > u16::MAX - 10_000 {
            address = crate::support::nobody().await;
        }
        let folder = folder.to_str().unwrap();
        let cluster = ["--cluster-enabled", "yes", "--dir", folder, "--maxmemory", memory];
        Self::redis_on(address, &cluster).await
    }

    pub async fn memcached(arguments: &[&str]) -> Self {
        Self::memcached_on(crate::support::nobody().await, arguments).await
    }

    pub async fn memcached_on(address: SocketAddr, arguments: &[&str]) -> Self {
        let port = address.port().to_string();
        let usual = ["-p", &port, "-U", "0", "-l", "127.0.0.1", "-t", "1", "-u", "nobody"];
        Self::start("memcached", "memcached", address, &[&usual[..], arguments].concat()).await
    }

    async fn start(program: &str, scheme: &'static str, address: SocketAddr, arguments: &[&str]) -> Self {
        let process = Command::new(program)
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { process, address, scheme };
        eventually("the server answers", || async { TcpStream::connect(address).is_ok() }).await;
        server
    }

    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// To Redis.
    pub fn client(&self) -> redis::Connection {
        redis::Client::open(self.url()).unwrap().get_connection().unwrap()
    }

    /// Sends a signal, by its name. Whoever is to stop has stopped then.
    pub fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
        let is_running =
            || std::fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") T "));
        while name == "-STOP" && is_running() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Gateways of one environment behind which a server stands.
pub struct Fleet {
    pub environment: EnvironmentId,
    pub incarnation: IncarnationId,
}

impl Fleet {
    pub fn new() -> Self {
        Self { environment: EnvironmentId::generate(), incarnation: IncarnationId::generate() }
    }

    /// Waiting longer than usual, so that a machine under load does not decide a test.
    pub fn patient(url: String) -> SecondLevelSettings {
        SecondLevelSettings { budget: Duration::from_secs(2), ..SecondLevelSettings::new(vec![url]) }
    }

    pub fn gateway(&self, settings: &SecondLevelSettings) -> Rig {
        self.gateway_with(SecondLevel::start(settings).unwrap())
    }

    pub fn gateway_with(&self, second: Arc<SecondLevel>) -> Rig {
        let rig = Rig::with(Start { second_level: Some(second), ..Start::default() });
        rig.shared.serve_environment(self.environment);
        rig.shared.know_purges_from(0);
        let mut snapshot = (*rig.shared.snapshot()).clone();
        snapshot.incarnation = Some(self.incarnation);
        rig.shared.publish(snapshot);
        rig
    }
}

pub fn cached(settings: Value) -> Value {
    json!({ "policies": [{ "type": "cache", "settings": settings }] })
}

pub fn health(rig: &Rig) -> SecondLevelHealth {
    rig.shared.cache.second_level().unwrap().health()
}

pub async fn written(rig: &Rig, count: u64) {
    eventually("responses are written", || async { health(rig).written >= count }).await;
}

/// Answers with the number of the request, for a minute.
pub async fn counting() -> Upstream {
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    Upstream::new(move |_| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        async move { text(200, &[("cache-control", "max-age=60"), ("x-own", "\u{fc}")], number.to_string()) }
    })
    .await
}

pub fn is_shared(seen: &Seen) -> bool {
    let status = seen.header("cache-status");
    status.starts_with("sluice; hit; ttl=") && status.ends_with("; detail=L2")
}

pub fn purge(scope: PurgeScope) -> Change {
    Change::Purge(Purge { id: PurgeId::generate(), scope, tenant: None, soft: false, changed: false })
}
