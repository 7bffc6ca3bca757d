//! Gateways that speak the link's protocol and serve nothing, and the control plane that they speak to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use sluice_contract::calls::BatchReceipt;
use sluice_contract::ids::{
    ApiId, ApplicationId, BootId, CredentialId, EnvironmentId, GatewayId, IncarnationId, ReleaseId, TenantId,
};
use sluice_contract::journal::{Change, CredentialEntry, Frame, Position, ReleasedApi, Snapshot};
use sluice_contract::link::{
    ACKNOWLEDGE_PATH, Acknowledgement, CALLS_PATH, ENROL_PATH, EnrolRequest, EnrolResponse, EnrolmentToken,
    FailedPart, HEARTBEAT_PATH, Heartbeat, JOURNAL_PATH, LostCalls, PROTOCOL, SESSION_PATH, SNAPSHOT_PATH,
    SessionRequest, SessionResponse,
};
use sluice_contract::part::Sha256Hash;
use sluice_contract::problem::Problem;
use sluice_contract::questions::Question;
use sluice_contract::rest::gateways::CreatedEnrolmentToken;
use sluice_control::App;
use sluice_store::{Store, environments, journal, parts};
use sluice_testkit::TestApp;
use tokio::net::TcpListener;

/// Nothing here takes long; a test that waits for longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// The control plane on a port of this machine.
pub(super) struct Served {
    pub app: TestApp,
    pub base: String,
    pub environment: EnvironmentId,
}

impl Served {
    pub(super) async fn start(app: TestApp) -> Self {
        let environment = environments::all(&app.app.store.read().clone()).await.unwrap()[0].id;
        let base = serve(&app.app).await;
        Self { app, base, environment }
    }

    pub(super) fn store(&self) -> &Store {
        &self.app.app.store
    }

    /// A fresh enrolment token, made through the admin API.
    pub(super) async fn token(&self) -> CreatedEnrolmentToken {
        let path = format!("/api/v1/environments/{}/enrolment-tokens", self.environment);
        self.app.admin.post(&path, &json!({"name": "fleet"})).await.expect(201).json()
    }

    /// A gateway that has enrolled and opened a session.
    pub(super) async fn gateway(&self) -> Simulated {
        let token = self.token().await;
        let mut gateway = Simulated::enrol(&self.base, &secret_of(&token), "worker").await.unwrap();
        gateway.open_session(Vec::new()).await.unwrap();
        gateway
    }

    pub(super) async fn append(&self, change: Change) -> Position {
        append(self.store(), self.environment, change).await
    }

    /// Releases a part of these bytes; returns the API, the part and the position.
    pub(super) async fn release(&self, api: ApiId, bytes: &[u8]) -> (Sha256Hash, Position) {
        let tx = self.store().begin().await.unwrap();
        let part = parts::put(&tx, bytes.to_vec()).await.unwrap();
        let released = ReleasedApi {
            api,
            tenant: TenantId::generate(),
            release: ReleaseId::generate(),
            revision: 1,
            part,
        };
        let position = journal::append(&tx, self.environment, Change::ApiReleased(released)).await.unwrap();
        tx.commit().await.unwrap();
        (part, position)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.app.app.stopping.cancel();
    }
}

/// Serves the app on a port; returns its address.
pub(super) async fn serve(app: &App) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let stop = app.stopping.clone().cancelled_owned();
    tokio::spawn(sluice_control::serve(app.clone(), listener, stop));
    format!("http://{address}")
}

pub(super) async fn append(store: &Store, environment: EnvironmentId, change: Change) -> Position {
    let tx = store.begin().await.unwrap();
    let position = journal::append(&tx, environment, change).await.unwrap();
    tx.commit().await.unwrap();
    position
}

pub(super) fn credential(key: &str) -> Change {
    Change::CredentialSet(Box::new(CredentialEntry {
        hash: Sha256Hash::of(key.as_bytes()),
        credential: CredentialId::generate(),
        application: ApplicationId::generate(),
        application_name: "shop".to_owned(),
        tenant: TenantId::generate(),
        expires_at: None,
        policies: Vec::new(),
        subscriptions: Vec::new(),
    }))
}

pub(super) fn secret_of(token: &CreatedEnrolmentToken) -> String {
    EnrolmentToken::decode(&token.token).unwrap().secret
}

/// A gateway.
#[derive(Clone)]
pub(super) struct Simulated {
    http: reqwest::Client,
    base: String,
    pub id: GatewayId,
    secret: String,
    pub boot: BootId,
    access_token: String,
    pub incarnation: IncarnationId,
}

impl Simulated {
    /// Enrols with the secret of a token.
    pub(super) async fn enrol(base: &str, secret: &str, name: &str) -> Result<Self, Problem> {
        let request = EnrolRequest {
            secret: secret.to_owned(),
            name: name.to_owned(),
            region: Some("test".to_owned()),
            protocol: PROTOCOL,
        };
        let http = client();
        let EnrolResponse { gateway, secret, environment: _ } =
            answer(http.post(format!("{base}{ENROL_PATH}")).json(&request)).await?;
        Ok(Self {
            http,
            base: base.to_owned(),
            id: gateway,
            secret,
            boot: BootId::generate(),
            access_token: String::new(),
            incarnation: IncarnationId::generate(),
        })
    }

    /// Opens a session, as a new life when it had one.
    pub(super) async fn open_session(&mut self, lost_before: Vec<LostCalls>) -> Result<(), Problem> {
        let request = SessionRequest {
            gateway: self.id,
            secret: self.secret.clone(),
            boot: self.boot,
            version: "0.1.0".to_owned(),
            protocol: PROTOCOL,
            public_url: Some("http://127.0.0.1:8000".to_owned()),
            lost_before,
        };
        let SessionResponse { access_token, incarnation, environment_name: _ } =
            answer(self.http.post(self.url(SESSION_PATH)).json(&request)).await?;
        (self.access_token, self.incarnation) = (access_token, incarnation);
        Ok(())
    }

    /// A gateway with another secret.
    pub(super) fn with_secret(mut self, secret: &str) -> Self {
        self.secret = secret.to_owned();
        self
    }

    /// The same gateway at another control plane.
    pub(super) fn at(mut self, base: &str) -> Self {
        self.base = base.to_owned();
        self
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        answer(self.http.get(self.url(path)).bearer_auth(&self.access_token)).await
    }

    pub(super) async fn post(&self, path: &str, body: &impl Serialize) -> Result<(), Problem> {
        let request = self.http.post(self.url(path)).bearer_auth(&self.access_token).json(body);
        let reply = request.send().await.unwrap();
        if reply.status() == 204 { Ok(()) } else { Err(reply.json().await.unwrap()) }
    }

    /// Sends a batch of calls as it is.
    pub(super) async fn send_calls(&self, encoding: &str, body: Vec<u8>) -> Result<BatchReceipt, Problem> {
        let request = self.http.post(self.url(CALLS_PATH)).bearer_auth(&self.access_token);
        answer(request.header("content-encoding", encoding).body(body)).await
    }

    /// The same gateway before it opened a session.
    pub(super) fn without_session(mut self) -> Self {
        self.access_token.clear();
        self
    }

    pub(super) async fn snapshot(&self) -> Snapshot {
        self.get(SNAPSHOT_PATH).await.unwrap()
    }

    pub(super) async fn acknowledge(
        &self,
        position: Position,
        failed: Vec<FailedPart>,
    ) -> Result<(), Problem> {
        let applied_at = sluice_store::now();
        let acknowledgement = Acknowledgement { incarnation: self.incarnation, position, applied_at, failed };
        self.post(ACKNOWLEDGE_PATH, &acknowledgement).await
    }

    pub(super) async fn heartbeat(&self, dropped_calls: u64) -> Result<(), Problem> {
        self.post(HEARTBEAT_PATH, &self.pulse(dropped_calls)).await
    }

    /// What it says of itself.
    pub(super) fn pulse(&self, dropped_calls: u64) -> Heartbeat {
        Heartbeat {
            boot: self.boot,
            position: 0,
            uptime_s: 5,
            memory_bytes: 30 << 20,
            cpu_ms: 100,
            connections: 1,
            calls: 2,
            cache_entries: 3,
            cache_bytes: 4,
            spooled_batches: 5,
            spooled_bytes: 6,
            dropped_calls,
            cache: None,
            cache_routes: BTreeMap::new(),
            second_level: None,
        }
    }

    /// Follows the journal after a position, as gateways do that do not know questions.
    pub(super) async fn follow(&self, from: Position) -> Result<Stream, Problem> {
        self.stream(&format!("?from={from}&incarnation={}", self.incarnation)).await
    }

    /// Follows the journal after a position and is asked questions.
    pub(super) async fn listen(&self, from: Position) -> Result<Stream, Problem> {
        self.stream(&format!("?from={from}&incarnation={}&questions=true", self.incarnation)).await
    }

    async fn stream(&self, query: &str) -> Result<Stream, Problem> {
        let url = format!("{}{query}", self.url(JOURNAL_PATH));
        let reply = self.http.get(url).bearer_auth(&self.access_token).send().await.unwrap();
        if reply.status() != 200 {
            return Err(reply.json().await.unwrap());
        }
        Ok(Stream { reply, read: Vec::new() })
    }
}

/// A journal stream.
pub(super) struct Stream {
    reply: reqwest::Response,
    read: Vec<u8>,
}

impl Stream {
    /// The next frame; None when the stream has ended.
    pub(super) async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let chunk = tokio::time::timeout(PATIENCE, self.reply.chunk()).await.expect("a sign of life");
            self.read.extend_from_slice(&chunk.ok().flatten()?);
        }
    }

    /// The next frame that is no heartbeat.
    pub(super) async fn news(&mut self) -> Option<Frame> {
        loop {
            match self.frame().await? {
                Frame::Heartbeat { .. } => {}
                frame => return Some(frame),
            }
        }
    }

    /// The next question, whatever comes before it.
    pub(super) async fn question(&mut self) -> Question {
        loop {
            match self.news().await {
                Some(Frame::Question(question)) => return *question,
                Some(_) => {}
                None => panic!("the stream has ended"),
            }
        }
    }

    /// The position of the next entry.
    pub(super) async fn entry(&mut self) -> Position {
        match self.news().await {
            Some(Frame::Entry(entry)) => entry.position,
            other => panic!("not an entry: {other:?}"),
        }
    }
}

fn client() -> reqwest::Client {
    // Fails when another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn answer<T: DeserializeOwned>(request: reqwest::RequestBuilder) -> Result<T, Problem> {
    let reply = request.send().await.unwrap();
    if reply.status().is_success() {
        Ok(reply.json().await.unwrap())
    } else {
        Err(reply.json().await.unwrap())
    }
}
