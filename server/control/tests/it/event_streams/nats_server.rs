//! A real server of NATS with JetStream.

use std::net::{SocketAddr, TcpListener as Listener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream::consumer::{AckPolicy, Info, PullConsumer, pull};
use async_nats::jetstream::{self, Context};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::support::{Certified, eventually};

/// One that keeps what it was told, also when it is killed.
pub struct NatsServer {
    process: Child,
    pub address: SocketAddr,
    pub certified: Certified,
    folder: TempDir,
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl NatsServer {
    /// With a stream `CHANGES` of `shop.>`.
    pub async fn start() -> Self {
        let server = Self::with("").await;
        server.make_stream().await;
        server
    }

    /// `more` settings, in which `{cert}` and `{key}` stand for the files of a certificate.
    pub async fn with(more: &str) -> Self {
        let address = Listener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let certified = Certified::in_folder(folder.path());
        let more = more
            .replace("{cert}", certified.certificate.to_str().unwrap())
            .replace("{key}", certified.key.to_str().unwrap());
        let settings = format!(
            "listen: \"{address}\"\njetstream {{ store_dir: \"{}\" }}\n{more}\n",
            folder.path().join("store").display()
        );
        std::fs::write(folder.path().join("server.conf"), settings).unwrap();
        let process = Self::run(&folder);
        let server = Self { process, address, certified, folder };
        server.listens().await;
        server
    }

    fn run(folder: &TempDir) -> Child {
        Command::new("nats-server")
            .arg("-c")
            .arg(folder.path().join("server.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    async fn listens(&self) {
        let connects = async || std::net::TcpStream::connect(self.address).ok().map(drop);
        eventually("NATS listens", connects).await;
    }

    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub async fn come_back(&mut self) {
        self.process = Self::run(&self.folder);
        self.listens().await;
    }

    /// How a source reads the stream of this one.
    pub fn stream(&self) -> Value {
        json!({
            "kind": "nats", "url": format!("nats://{}", self.address), "stream": "CHANGES",
            "subject": "shop.products", "group": "sluice",
        })
    }

    pub async fn context(&self) -> Context {
        self.context_of(ConnectOptions::new()).await
    }

    /// Once JetStream is ready.
    pub async fn context_of(&self, options: ConnectOptions) -> Context {
        let options = options.connection_timeout(Duration::from_secs(20)).retry_on_initial_connect();
        let client = options.connect(self.address.to_string()).await.unwrap();
        let answers = async || client.request("$JS.API.INFO", "".into()).await.ok().map(drop);
        eventually("JetStream answers", answers).await;
        jetstream::new(client)
    }

    pub async fn make_stream(&self) {
        make_stream(&self.context().await).await;
    }

    /// The consumer of its sources as they make it, but for how soon what was given out comes again.
    pub async fn impatient_consumer(&self) -> PullConsumer {
        let config = pull::Config {
            durable_name: Some("sluice".to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: Duration::from_secs(2),
            filter_subject: "shop.products".to_owned(),
            ..pull::Config::default()
        };
        let stream = self.context().await.get_stream("CHANGES").await.unwrap();
        stream.create_consumer(config).await.unwrap()
    }

    async fn consumer(&self) -> Info {
        self.context().await.get_stream("CHANGES").await.unwrap().consumer_info("sluice").await.unwrap()
    }

    /// Given out and not acknowledged.
    pub async fn given_out(&self) -> usize {
        self.consumer().await.num_ack_pending
    }

    /// How many wait for messages now.
    pub async fn asking(&self) -> usize {
        self.consumer().await.num_waiting
    }

    pub async fn add(&self, subject: &'static str, event: &str) {
        let context = self.context().await;
        context.publish(subject, event.to_owned().into()).await.unwrap().await.unwrap();
    }

    pub async fn product(&self, id: u32) {
        self.add("shop.products", &json!({"products": [{"id": id}]}).to_string()).await;
    }
}

pub async fn make_stream(context: &Context) {
    let config = jetstream::stream::Config {
        name: "CHANGES".to_owned(),
        subjects: vec!["shop.>".to_owned()],
        ..jetstream::stream::Config::default()
    };
    context.create_stream(config).await.unwrap();
}
