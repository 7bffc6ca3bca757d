//! A real Redis.

use std::net::{SocketAddr, TcpListener as Listener};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::support::{Certified, eventually};

/// A Redis that keeps what it was told, also when it is killed.
pub struct Redis {
    process: Child,
    address: SocketAddr,
    /// Where TLS is spoken.
    pub secure: SocketAddr,
    pub certified: Certified,
    folder: TempDir,
    more: &'static [&'static str],
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Redis {
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// Its only user is without a password unless `more` settings say otherwise.
    pub async fn with(more: &'static [&'static str]) -> Self {
        let listeners = [(); 2].map(|()| Listener::bind(("127.0.0.1", 0)).unwrap());
        let [address, secure] = listeners.map(|listener| listener.local_addr().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let certified = Certified::in_folder(folder.path());
        let process = Self::run([address, secure], &certified, &folder, more);
        let redis = Self { process, address, secure, certified, folder, more };
        redis.answers().await;
        redis
    }

    fn run(
        [address, secure]: [SocketAddr; 2],
        certified: &Certified,
        folder: &TempDir,
        more: &[&str],
    ) -> Child {
        let kept = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""];
        let tls = ["--tls-auth-clients", "no", "--tls-cert-file"];
        Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &address.port().to_string()])
            .args(["--tls-port", &secure.port().to_string()])
            .args(tls)
            .arg(&certified.certificate)
            .arg("--tls-key-file")
            .arg(&certified.key)
            .arg("--tls-ca-cert-file")
            .arg(&certified.certificate)
            .arg("--dir")
            .arg(folder.path())
            .args(kept)
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    async fn answers(&self) {
        eventually("Redis answers", async || self.client().is_ok().then_some(())).await;
    }

    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub async fn come_back(&mut self) {
        self.process = Self::run([self.address, self.secure], &self.certified, &self.folder, self.more);
        self.answers().await;
    }

    /// How a source reads the stream of this one.
    pub fn stream(&self) -> Value {
        json!({
            "kind": "redis", "url": format!("redis://{}", self.address), "stream": "changes", "group": "sluice",
        })
    }

    fn client(&self) -> redis::RedisResult<redis::Connection> {
        let password = if self.more.contains(&"--requirepass") { ":s3cret@" } else { "" };
        let mut connection =
            redis::Client::open(format!("redis://{password}{}", self.address))?.get_connection()?;
        redis::cmd("PING").query::<()>(&mut connection)?;
        Ok(connection)
    }

    /// Asks for `words`.
    pub fn ask<T: redis::FromRedisValue>(&self, words: &str) -> T {
        let mut words = words.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        for word in words {
            command.arg(word);
        }
        command.query(&mut self.client().unwrap()).unwrap()
    }

    /// Adds an event; returns its id.
    pub fn add(&self, event: &str) -> String {
        self.add_as("event", event)
    }

    pub fn add_as(&self, field: &str, event: &str) -> String {
        let mut add = redis::cmd("XADD");
        add.arg("changes").arg("*").arg("at").arg("now").arg(field).arg(event);
        add.query(&mut self.client().unwrap()).unwrap()
    }

    pub fn product(&self, id: u32) -> String {
        self.add(&json!({"products": [{"id": id}]}).to_string())
    }

    /// Given out and not acknowledged.
    pub fn pending(&self) -> i64 {
        let (count, ..): (i64, redis::Value, redis::Value, redis::Value) =
            self.ask("XPENDING changes sluice");
        count
    }

    pub async fn until_acknowledged(&self) {
        eventually("all is acknowledged", async || (self.pending() == 0).then_some(())).await;
    }
}
