//! The control plane's gateway API over real sockets, with switches for faults. It keeps the rules of the contract:
//! consecutive positions, sessions, a watermark for each boot.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame as BodyFrame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::de::DeserializeOwned;
use sluice_contract::calls::{BatchReceipt, CallBatch};
use sluice_contract::environment::EnvironmentSettings;
use sluice_contract::ids::{ApiId, BootId, EnvironmentId, GatewayId, IncarnationId, ReleaseId, TenantId};
use sluice_contract::journal::{Change, CredentialEntry, Entry, Frame, Position, ReleasedApi, Snapshot};
use sluice_contract::link::{
    ACKNOWLEDGE_PATH, ANSWERS_PATH, Acknowledgement, CALLS_PATH, CHANGED_PATH, ChangedUrls, ENROL_PATH,
    EnrolRequest, EnrolResponse, EnrolmentToken, HEARTBEAT_PATH, Heartbeat, JOURNAL_PATH, LostCalls,
    PARTS_PATH, SESSION_PATH, SNAPSHOT_PATH, SessionRequest, SessionResponse,
};
use sluice_contract::part::{ApiPart, Sha256Hash};
use sluice_contract::problem::Problem;
use sluice_contract::questions::{Answer, Question};
use sluice_contract::rollup::Cell;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;

const SECRET: &str = "enrolment secret";
/// The contract says at least every second; tests are in a hurry.
const HEARTBEAT: Duration = Duration::from_millis(100);

type AnyBody = BoxBody<Bytes, Infallible>;

/// A control plane.
pub struct FakeControl {
    shared: Arc<Shared>,
    runtime: Runtime,
    server: Option<JoinHandle<()>>,
    tls: Option<(TlsAcceptor, Sha256Hash)>,
    address: SocketAddr,
}

struct Shared {
    state: Mutex<State>,
    /// Head of the journal, to wake streams.
    head: watch::Sender<Position>,
}

/// Everything that it knows and was told.
#[derive(Default)]
pub struct State {
    pub incarnation: Option<IncarnationId>,
    pub entries: Vec<Entry>,
    pub compacted_to: Position,
    pub parts: HashMap<Sha256Hash, Bytes>,
    /// The folded state.
    pub apis: BTreeMap<ApiId, ReleasedApi>,
    pub credentials: HashMap<Sha256Hash, CredentialEntry>,
    pub settings: EnvironmentSettings,

    pub gateways: HashMap<GatewayId, String>,
    pub enrolments: Vec<EnrolRequest>,
    pub sessions: Vec<SessionRequest>,
    pub tokens: HashSet<String>,
    pub acknowledgements: Vec<Acknowledgement>,
    /// Questions that are still to be asked, of whoever listens; and answers.
    pub questions: Vec<Question>,
    pub answers: Vec<Answer>,
    pub heartbeats: Vec<Heartbeat>,
    pub changed: Vec<ChangedUrls>,
    pub snapshots_served: usize,
    pub parts_served: Vec<Sha256Hash>,
    pub stored: HashMap<BootId, u64>,
    pub batches: Vec<CallBatch>,
    pub losses: HashMap<BootId, u64>,

    /// Parts that are answered with this status instead.
    pub broken_parts: HashMap<Sha256Hash, u16>,
    /// Parts whose answer never comes.
    pub hanging_parts: HashSet<Sha256Hash>,
    /// Sessions are refused with this status and code.
    pub refuse_sessions: Option<(u16, &'static str)>,
    /// What has changed is answered with the last of these, once each.
    pub refuse_changed: Vec<u16>,
    /// Batches are stored but their receipts are lost: this many.
    pub lose_receipts: usize,
    /// Entries are on their way and do not arrive.
    pub hold_entries: bool,
}

impl FakeControl {
    /// Without TLS, on loopback.
    pub fn start() -> Self {
        Self::with_tls(None)
    }

    /// With a fresh self-signed certificate.
    pub fn start_tls() -> Self {
        let certified = rcgen::generate_simple_self_signed(vec!["control.sluice".to_owned()]).unwrap();
        let der: CertificateDer<'static> = certified.cert.der().clone();
        let fingerprint = Sha256Hash::of(&der);
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
        let config =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![der], key)
                .unwrap();
        Self::with_tls(Some((TlsAcceptor::from(Arc::new(config)), fingerprint)))
    }

    fn with_tls(tls: Option<(TlsAcceptor, Sha256Hash)>) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let state = State { incarnation: Some(IncarnationId::generate()), ..State::default() };
        let shared = Arc::new(Shared { state: Mutex::new(state), head: watch::Sender::new(0) });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut control = Self { shared, runtime, server: None, tls, address };
        control.up();
        control
    }

    /// What it knows and was told.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }

    /// A token to enrol with.
    pub fn token(&self) -> EnrolmentToken {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        EnrolmentToken {
            secret: SECRET.to_owned(),
            url: format!("{scheme}://{}", self.address),
            fingerprint: self.tls.as_ref().map(|(_, fingerprint)| *fingerprint),
        }
    }

    /// Dies: every connection breaks.
    pub fn down(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            let _ = self.runtime.block_on(server);
        }
    }

    /// Comes back on the same port.
    pub fn up(&mut self) {
        let listener = self.runtime.block_on(async {
            loop {
                match TcpListener::bind(self.address).await {
                    Ok(listener) => return listener,
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        });
        self.address = listener.local_addr().unwrap();
        let shared = Arc::clone(&self.shared);
        let tls = self.tls.as_ref().map(|(acceptor, _)| acceptor.clone());
        self.server = Some(self.runtime.spawn(serve(listener, tls, shared)));
    }

    /// Adds to the journal. Returns the position.
    pub fn append(&self, change: Change) -> Position {
        let mut state = self.state();
        let position = state.head() + 1;
        state.fold(&change);
        state.entries.push(Entry { position, at: Utc::now(), change });
        drop(state);
        self.shared.head.send_replace(position);
        position
    }

    /// Asks whoever listens.
    pub fn ask(&self, question: Question) {
        let mut state = self.state();
        state.questions.push(question);
        let head = state.head();
        drop(state);
        self.shared.head.send_replace(head);
    }

    /// Lets entries arrive, or not.
    pub fn hold_entries(&self, hold: bool) {
        let mut state = self.state();
        state.hold_entries = hold;
        let head = state.head();
        drop(state);
        self.shared.head.send_replace(head);
    }

    /// Keeps a part, releases it. Returns the position and the part's hash.
    pub fn release(&self, part: &ApiPart) -> (Position, Sha256Hash) {
        let (bytes, hash) = part.canonical().unwrap();
        self.state().parts.insert(hash, bytes.into());
        (self.release_hash(part.api, hash), hash)
    }

    /// Releases whatever has this hash.
    pub fn release_hash(&self, api: ApiId, part: Sha256Hash) -> Position {
        let tenant = TenantId(Uuid::nil());
        self.append(Change::ApiReleased(ReleasedApi {
            api,
            tenant,
            release: ReleaseId::generate(),
            revision: 1,
            part,
        }))
    }

    /// Another life of the database: positions begin again with one entry that stands for the state.
    pub fn restore_backup(&self) {
        let mut state = self.state();
        state.incarnation = Some(IncarnationId::generate());
        state.entries.clear();
        state.compacted_to = 0;
        drop(state);
        self.append(Change::SettingsSet(Box::default()));
    }

    /// Forgets entries up to the head.
    pub fn compact(&self) {
        let mut state = self.state();
        state.compacted_to = state.head();
    }
}

impl State {
    /// Position of the newest entry.
    pub fn head(&self) -> Position {
        self.entries.last().map_or(0, |entry| entry.position)
    }

    /// Position that was last acknowledged.
    pub fn acknowledged(&self) -> Position {
        self.acknowledgements.last().map_or(0, |ack| ack.position)
    }

    /// Calls in all batches, and traffic counted by their rollups.
    pub fn calls(&self) -> (u64, u64) {
        let calls = self.batches.iter().map(|batch| batch.calls.len() as u64).sum();
        let deltas = self.batches.iter().flat_map(|batch| &batch.rollups);
        let traffic = deltas.filter(|delta| matches!(delta.cell, Cell::Traffic { .. }));
        (calls, traffic.map(|delta| delta.counts.calls).sum())
    }

    fn fold(&mut self, change: &Change) {
        match change.clone() {
            Change::ApiReleased(released) => _ = self.apis.insert(released.api, released),
            Change::ApiWithdrawn { api } => _ = self.apis.remove(&api),
            Change::CredentialSet(entry) => _ = self.credentials.insert(entry.hash, *entry),
            Change::CredentialRemoved { hash } => _ = self.credentials.remove(&hash),
            Change::SettingsSet(settings) => self.settings = *settings,
            Change::Purge(_) => {}
        }
    }

    fn store(&mut self, batch: CallBatch) -> BatchReceipt {
        let stored = self.stored.entry(batch.boot).or_default();
        let boot = batch.boot;
        if batch.sequence > *stored {
            *stored = batch.sequence;
            self.batches.push(batch);
        }
        BatchReceipt { boot, stored: self.stored[&boot] }
    }

    fn snapshot(&mut self) -> Snapshot {
        self.snapshots_served += 1;
        Snapshot {
            incarnation: self.incarnation.unwrap(),
            position: self.head(),
            settings: self.settings.clone(),
            apis: self.apis.values().cloned().collect(),
            credentials: self.credentials.values().cloned().collect(),
            purges: self.purges(),
            purges_from: self.compacted_to,
        }
    }

    fn purges(&self) -> Vec<Entry> {
        let kept = self.entries.iter().filter(|entry| entry.position > self.compacted_to);
        kept.filter(|entry| matches!(entry.change, Change::Purge(_))).cloned().collect()
    }
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    // Dropped with the server, which ends every connection.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((tcp, _)) = listener.accept().await else { return };
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        connections.spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&shared), request));
            let http = hyper::server::conn::http1::Builder::new();
            match tls {
                None => _ = http.serve_connection(TokioIo::new(tcp), service).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(tcp).await {
                        let _ = http.serve_connection(TokioIo::new(stream), service).await;
                    }
                }
            }
        });
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<AnyBody>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let path = head.uri.path().to_owned();
    let open = [ENROL_PATH, SESSION_PATH].contains(&path.as_str());
    let token = head.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !open && !shared.state.lock().unwrap().tokens.contains(token) {
        return Ok(problem(401, "session_expired"));
    }
    let response = match (&head.method, path.as_str()) {
        (&Method::POST, ENROL_PATH) => enrol(&shared, &json(&body)),
        (&Method::POST, SESSION_PATH) => open_session(&shared, json(&body)),
        (&Method::GET, JOURNAL_PATH) => journal(shared, head.uri.query().unwrap_or_default()),
        (&Method::GET, SNAPSHOT_PATH) => reply(&shared.state.lock().unwrap().snapshot()),
        (&Method::POST, ACKNOWLEDGE_PATH) => {
            shared.state.lock().unwrap().acknowledgements.push(json(&body));
            empty(204)
        }
        (&Method::POST, HEARTBEAT_PATH) => {
            shared.state.lock().unwrap().heartbeats.push(json(&body));
            empty(204)
        }
        (&Method::POST, ANSWERS_PATH) => {
            shared.state.lock().unwrap().answers.push(json(&body));
            empty(204)
        }
        (&Method::POST, CHANGED_PATH) => changed(&shared, json(&body)),
        (&Method::POST, CALLS_PATH) => calls(&shared, &body),
        (&Method::GET, path) if path.starts_with(PARTS_PATH) => part(&shared, path).await,
        _ => problem(404, "not_found"),
    };
    Ok(response)
}

fn enrol(shared: &Shared, request: &EnrolRequest) -> Response<AnyBody> {
    let mut state = shared.state.lock().unwrap();
    state.enrolments.push(request.clone());
    if request.secret != SECRET {
        return problem(401, "invalid_enrolment_token");
    }
    let (gateway, secret) = (GatewayId::generate(), Uuid::new_v4().to_string());
    state.gateways.insert(gateway, secret.clone());
    reply(&EnrolResponse { gateway, secret, environment: EnvironmentId(Uuid::nil()) })
}

fn open_session(shared: &Shared, request: SessionRequest) -> Response<AnyBody> {
    let mut state = shared.state.lock().unwrap();
    if let Some((status, code)) = state.refuse_sessions {
        return problem(status, code);
    }
    if state.gateways.get(&request.gateway) != Some(&request.secret) {
        return problem(401, sluice_contract::link::UNKNOWN_GATEWAY);
    }
    for LostCalls { boot, count } in request.lost_before.iter().copied() {
        state.losses.insert(boot, count);
    }
    state.sessions.push(request);
    let access_token = Uuid::new_v4().to_string();
    state.tokens.insert(format!("Bearer {access_token}"));
    let incarnation = state.incarnation.unwrap();
    reply(&SessionResponse { access_token, incarnation, environment_name: "Production".to_owned() })
}

fn changed(shared: &Shared, told: ChangedUrls) -> Response<AnyBody> {
    let mut state = shared.state.lock().unwrap();
    state.changed.push(told);
    match state.refuse_changed.pop() {
        Some(status) => problem(status, "refused"),
        None => empty(204),
    }
}

fn journal(shared: Arc<Shared>, query: &str) -> Response<AnyBody> {
    let parameter = |name: &str| {
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap().to_owned()
    };
    let from: Position = parameter("from").parse().unwrap();
    let incarnation: IncarnationId = parameter("incarnation").parse().unwrap();
    assert_eq!(parameter("questions"), "true", "the gateway says that it knows questions");
    let (lines, body) = mpsc::channel(1_000);
    tokio::spawn(async move { stream(shared, incarnation, from, lines).await });
    Response::new(Lines(body).boxed())
}

async fn stream(
    shared: Arc<Shared>,
    incarnation: IncarnationId,
    mut from: Position,
    lines: mpsc::Sender<Bytes>,
) {
    let mut heads = shared.head.subscribe();
    let hello = {
        let state = shared.state.lock().unwrap();
        if state.incarnation != Some(incarnation) || from < state.compacted_to {
            Frame::SnapshotRequired { reason: "compacted".to_owned() }
        } else {
            Frame::Hello { incarnation, head: state.head() }
        }
    };
    let ends = matches!(hello, Frame::SnapshotRequired { .. });
    if lines.send(line(&hello)).await.is_err() || ends {
        return;
    }
    loop {
        let (new, head): (Vec<Entry>, _) = {
            let state = shared.state.lock().unwrap();
            if state.incarnation != Some(incarnation) {
                return;
            }
            let new = state.entries.iter().filter(|entry| entry.position > from && !state.hold_entries);
            (new.cloned().collect(), state.head())
        };
        for entry in new {
            from = entry.position;
            if lines.send(line(&Frame::Entry(entry))).await.is_err() {
                return;
            }
        }
        let questions = std::mem::take(&mut shared.state.lock().unwrap().questions);
        for question in questions {
            if lines.send(line(&Frame::Question(Box::new(question)))).await.is_err() {
                return;
            }
        }
        if let Err(_elapsed) = tokio::time::timeout(HEARTBEAT, heads.changed()).await
            && lines.send(line(&Frame::Heartbeat { head })).await.is_err()
        {
            return;
        }
    }
}

async fn part(shared: &Shared, path: &str) -> Response<AnyBody> {
    let hash: Sha256Hash = path.rsplit('/').next().unwrap().parse().unwrap();
    if shared.state.lock().unwrap().hanging_parts.contains(&hash) {
        tokio::time::sleep(Duration::from_secs(3_600)).await;
    }
    let mut state = shared.state.lock().unwrap();
    if let Some(status) = state.broken_parts.get(&hash) {
        return problem(*status, "broken");
    }
    state.parts_served.push(hash);
    match state.parts.get(&hash) {
        Some(bytes) => Response::new(Full::new(bytes.clone()).boxed()),
        None => problem(404, "not_found"),
    }
}

fn calls(shared: &Shared, body: &[u8]) -> Response<AnyBody> {
    let mut state = shared.state.lock().unwrap();
    let receipt = state.store(CallBatch::from_wire(body).unwrap());
    if state.lose_receipts > 0 {
        state.lose_receipts -= 1;
        return problem(503, "unavailable");
    }
    reply(&receipt)
}

fn json<T: DeserializeOwned>(body: &[u8]) -> T {
    serde_json::from_slice(body).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(body)))
}

fn line(frame: &Frame) -> Bytes {
    let mut line = serde_json::to_vec(frame).unwrap();
    line.push(b'\n');
    line.into()
}

fn reply(value: &impl serde::Serialize) -> Response<AnyBody> {
    Response::new(Full::new(Bytes::from(serde_json::to_vec(value).unwrap())).boxed())
}

fn empty(status: u16) -> Response<AnyBody> {
    let mut response = Response::new(Full::new(Bytes::new()).boxed());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

fn problem(status: u16, code: &str) -> Response<AnyBody> {
    let mut response = reply(&Problem::new(status, code, "Fault"));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

/// A body of lines that may never end.
struct Lines(mpsc::Receiver<Bytes>);

impl Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|line| line.map(|line| Ok(BodyFrame::data(line))))
    }
}

/// A time that does not matter.
pub fn some_time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}
