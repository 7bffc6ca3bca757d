//! What an upstream says before its answer (1xx): passed on at once, to whom it may be said, and never taken for the answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::support::{Rig, Start, eventually};

const EARLY: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
    HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nX-Own: 1\r\nConnection: X-Hop\r\nX-Hop: 1\r\nContent-Length: 9\r\n\r\n";
const PASSED_ON: &str = "HTTP/1.1 102 Processing\r\nvia: 1.1 sluice\r\n\r\n\
    HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\nx-own: 1\r\nvia: 1.1 sluice\r\n\r\n";

/// An upstream that says something before each answer, and answers as often as it is allowed to.
struct Hinting {
    address: SocketAddr,
    allowed: Arc<Semaphore>,
    asked: Arc<AtomicUsize>,
}

impl Hinting {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = Self { address, allowed: Arc::new(Semaphore::new(0)), asked: Arc::default() };
        let (allowed, asked) = (Arc::clone(&upstream.allowed), Arc::clone(&upstream.asked));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Self::serve(stream, Arc::clone(&allowed), Arc::clone(&asked)));
            }
        });
        upstream
    }

    async fn serve(
        mut stream: TcpStream,
        allowed: Arc<Semaphore>,
        asked: Arc<AtomicUsize>,
    ) -> std::io::Result<()> {
        let mut buffer = [0; 4096];
        while stream.read(&mut buffer).await? > 0 {
            asked.fetch_add(1, Ordering::SeqCst);
            stream.write_all(EARLY).await?;
            allowed.acquire().await.unwrap().forget();
            let answer = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=1, stale-while-revalidate=60\r\nContent-Length: 4\r\n\r\nlast";
            stream.write_all(answer).await?;
        }
        Ok(())
    }

    fn allow(&self, answers: usize) {
        self.allowed.add_permits(answers);
    }

    /// Once it has been asked so often.
    async fn was_asked(&self, times: usize) {
        eventually("asked", || async { self.asked.load(Ordering::SeqCst) == times }).await;
    }
}

/// A gateway with one thread, so that the second call comes on the upstream's connection of the first.
fn rig(upstream: &Hinting, definition: Value) -> Rig {
    let mut rig = Rig::with(Start { threads: 1, ..Start::default() });
    rig.api("early", upstream.address, definition);
    rig
}

/// A client's connection.
struct Client(TcpStream);

impl Client {
    async fn of(rig: &Rig) -> Self {
        Self(TcpStream::connect(rig.address()).await.unwrap())
    }

    async fn ask(&mut self, version: &str) {
        let request = format!("GET /acme/early/a {version}\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
        self.0.write_all(request.as_bytes()).await.unwrap();
    }

    /// What comes until this.
    async fn until(&mut self, end: &str) -> String {
        let mut said = String::new();
        let reading = async {
            while !said.ends_with(end) {
                said.push(self.0.read_u8().await.unwrap().into());
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(5), reading).await;
        assert!(in_time.is_ok(), "no {end:?} in {said:?}");
        said
    }

    async fn hears_nothing(&mut self) {
        let read = tokio::time::timeout(Duration::from_millis(200), self.0.read_u8()).await;
        assert!(read.is_err(), "{read:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_before_the_answer_goes_on_at_once() {
    let upstream = Hinting::new().await;
    let rig = rig(&upstream, json!({}));
    let mut client = Client::of(&rig).await;
    for _ in 0..2 {
        client.ask("HTTP/1.1").await;
        assert_eq!(client.until("x-own: 1\r\nvia: 1.1 sluice\r\n\r\n").await, PASSED_ON);
        client.hears_nothing().await;
        upstream.allow(1);
        let answer = client.until("last").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(!answer.contains("link") && !answer.contains("x-own"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_http_1_0_are_told_the_answer_only() {
    let upstream = Hinting::new().await;
    let rig = rig(&upstream, json!({}));
    let mut client = Client::of(&rig).await;
    client.ask("HTTP/1.0").await;
    upstream.was_asked(1).await;
    client.hears_nothing().await;
    upstream.allow(1);
    assert!(client.until("last").await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rules_remove_from_answers_is_not_said_before_them() {
    let upstream = Hinting::new().await;
    let rules = json!({ "response": { "remove": ["x-own"] } });
    let rig = rig(&upstream, json!({ "policies": [{ "type": "headers", "settings": rules }] }));
    let mut client = Client::of(&rig).await;
    client.ask("HTTP/1.1").await;
    upstream.allow(1);
    let said = client.until("last").await;
    assert!(said.contains("link: </a.css>") && !said.contains("x-own"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_with_a_body_is_told_to_go_on_by_the_gateway_alone() {
    let upstream = Hinting::new().await;
    let rig = rig(&upstream, json!({}));
    let mut client = Client::of(&rig).await;
    let head = b"POST /acme/early/a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    client.0.write_all(head).await.unwrap();
    let told = client.until("HTTP/1.1 100 Continue\r\n\r\n").await;
    assert_eq!(told, "HTTP/1.1 100 Continue\r\n\r\n");
    client.0.write_all(b"body").await.unwrap();
    upstream.was_asked(1).await;
    upstream.allow(2);
    let said = client.until("last").await;
    assert!(said.starts_with(PASSED_ON) && !said.contains("100 Continue"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_neither_stored_nor_said_by_a_refresh_behind_an_answer() {
    let upstream = Hinting::new().await;
    let rig = rig(&upstream, json!({ "policies": [{ "type": "cache", "settings": {} }] }));
    let mut client = Client::of(&rig).await;
    upstream.allow(1);
    client.ask("HTTP/1.1").await;
    assert!(client.until("last").await.starts_with(PASSED_ON));
    client.ask("HTTP/1.1").await;
    let hit = client.until("last").await;
    assert!(hit.starts_with("HTTP/1.1 200 OK\r\n") && hit.contains("sluice; hit"), "{hit}");

    tokio::time::sleep(Duration::from_millis(1_300)).await;
    client.ask("HTTP/1.1").await;
    assert!(client.until("last").await.starts_with("HTTP/1.1 200 OK\r\n"), "stale, at once");
    upstream.was_asked(2).await;
    client.hears_nothing().await;
    upstream.allow(1);
    client.ask("HTTP/1.1").await;
    let next = client.until("last").await;
    assert!(next.starts_with("HTTP/1.1 200 OK\r\n"), "nothing was left to be said before it: {next}");
}
