//! A gateway in this process, upstreams that say what they saw, and clients.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use sluice_contract::calls::Call;
use sluice_contract::environment::EnvironmentSettings;
use sluice_contract::guard::Guard;
use sluice_contract::ids::{
    ApiId, ApplicationId, CredentialId, IncarnationId, PlanId, SubscriptionId, TenantId,
};
use sluice_contract::journal::{Change, CredentialEntry, Position, SubscriptionEntry};
use sluice_contract::part::{ApiPart, PART_SCHEMA, Sha256Hash};
use sluice_gateway::cache::{Cache, CacheLimits, SecondLevel};
use sluice_gateway::telemetry::Recorders;
use sluice_gateway::{Gateway, GatewayOptions, Running, Shared};
use sluice_gateway::{Resolver, Resolving, SystemResolver};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub type Answer = Response<BoxBody<Bytes, std::io::Error>>;

/// A gateway for one test.
pub struct Rig {
    pub shared: Arc<Shared>,
    pub running: Running,
    pub tenant: TenantId,
    /// Of the parts that are released from now on.
    pub revision: u32,
    apis: HashMap<String, ApiId>,
    position: Position,
}

/// What is left of a gateway for its next life.
pub struct Former {
    tenant: TenantId,
    apis: HashMap<String, ApiId>,
}

/// Waits until it is so.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut is: impl FnMut() -> F) {
    let begun = std::time::Instant::now();
    while !is().await {
        assert!(begun.elapsed() < Duration::from_secs(30), "not so after 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How the gateway of a test differs from the usual.
pub struct Start {
    pub guard: Guard,
    pub resolver: Arc<dyn Resolver>,
    pub threads: usize,
    pub keep_alive: Duration,
    pub stalled: Duration,
    pub plain_keys: bool,
    pub roots: Vec<rustls::pki_types::CertificateDer<'static>>,
    pub cache: CacheLimits,
    /// What gateways share.
    pub second_level: Option<Arc<SecondLevel>>,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            guard: Guard::default().with_loopback(),
            resolver: Arc::new(SystemResolver),
            threads: 2,
            keep_alive: Duration::from_secs(75),
            stalled: Duration::from_secs(60),
            plain_keys: false,
            roots: Vec::new(),
            cache: CacheLimits::new(256 << 20),
            second_level: None,
        }
    }
}

impl Rig {
    pub fn start() -> Self {
        Self::with(Start::default())
    }

    pub fn with(start: Start) -> Self {
        let Start { guard, resolver, threads, keep_alive, stalled, plain_keys, roots, cache, second_level } =
            start;
        let cache = Cache::new(cache).with_second_level(second_level);
        let shared = Shared::new(Recorders::in_memory(), guard).with_plain_keys(plain_keys).with_cache(cache);
        let shared = Arc::new(shared);
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let options = GatewayOptions {
            threads,
            keep_alive,
            stalled,
            resolver,
            upstream_roots: roots,
            ..GatewayOptions::new(free, free)
        };
        let running = Gateway::start(options, Arc::clone(&shared)).unwrap();
        let mut snapshot = (*shared.snapshot()).clone();
        snapshot.incarnation = Some(IncarnationId::generate());
        shared.publish(snapshot);
        Self { shared, running, tenant: TenantId::generate(), revision: 1, apis: HashMap::new(), position: 0 }
    }

    /// An API for anybody at `/acme/{slug}` whose only upstream is this one; `definition` adds to it or replaces it.
    pub fn api(&mut self, slug: &str, upstream: SocketAddr, definition: Value) -> ApiId {
        let mut whole = json!({
            "access": "public",
            "routes": [{ "id": "all", "path": "/{*path}" }, { "id": "root", "path": "/" }],
            "upstreams": [{ "name": "main", "targets": [{ "url": format!("http://{upstream}") }] }],
        });
        for (name, value) in definition.as_object().unwrap() {
            whole[name] = value.clone();
        }
        let id = *self.apis.entry(slug.to_owned()).or_insert_with(ApiId::generate);
        let part = ApiPart {
            schema: PART_SCHEMA,
            tenant: self.tenant,
            tenant_slug: "acme".to_owned(),
            api: id,
            slug: slug.to_owned(),
            revision: self.revision,
            definition: serde_json::from_value(whole).unwrap(),
        };
        let api = self.shared.compiler.api(&part).unwrap();
        self.change(|snapshot, _| snapshot.set_api(api));
        id
    }

    /// The API of this name is the one that another gateway has, of the same tenant.
    pub fn adopt(&mut self, other: &Self, slug: &str, api: ApiId) {
        self.tenant = other.tenant;
        self.apis.insert(slug.to_owned(), api);
    }

    /// Stops it in order, as the program does.
    pub async fn stop(self) -> Former {
        let Self { shared, running, tenant, apis, .. } = self;
        let stop = move || {
            running.stop(Duration::from_secs(5));
            shared.cache.second_level().inspect(|second| second.close(Duration::from_secs(30)));
        };
        tokio::task::spawn_blocking(stop).await.unwrap();
        Former { tenant, apis }
    }

    /// Ends it as if its process were killed.
    pub fn kill(self) -> Former {
        let Self { tenant, apis, .. } = self;
        Former { tenant, apis }
    }

    /// Is the next life of that gateway.
    pub fn follow(&mut self, former: Former) {
        (self.tenant, self.apis) = (former.tenant, former.apis);
    }

    /// A key of an application with an approved subscription to these APIs.
    pub fn key(&mut self, key: &str, apis: &[ApiId]) -> CredentialEntry {
        let subscription = |api: &ApiId| SubscriptionEntry {
            subscription: SubscriptionId::generate(),
            api: *api,
            plan: PlanId::generate(),
            plan_name: "gold".to_owned(),
            suspended: false,
            policies: Vec::new(),
        };
        let entry = CredentialEntry {
            hash: Sha256Hash::of(key.as_bytes()),
            credential: CredentialId::generate(),
            application: ApplicationId::generate(),
            application_name: "app".to_owned(),
            tenant: self.tenant,
            expires_at: None,
            policies: Vec::new(),
            subscriptions: apis.iter().map(subscription).collect(),
        };
        self.apply(Change::CredentialSet(Box::new(entry.clone())));
        entry
    }

    pub fn settings(&mut self, settings: Value) {
        let settings: EnvironmentSettings = serde_json::from_value(settings).unwrap();
        self.apply(Change::SettingsSet(Box::new(settings)));
    }

    /// Makes a change of the journal true, as the link does.
    pub fn apply(&mut self, change: Change) {
        if let Change::Purge(purge) = &change {
            self.shared.purge(purge, self.position + 1);
        }
        self.change(|snapshot, shared| snapshot.apply(&change, None, &shared.compiler).unwrap());
    }

    fn change(&mut self, change: impl FnOnce(&mut sluice_gateway::state::Snapshot, &Shared)) {
        let mut next = (*self.shared.snapshot()).clone();
        change(&mut next, &self.shared);
        self.position += 1;
        next.position = self.position;
        self.shared.publish(next);
    }

    pub fn address(&self) -> SocketAddr {
        self.running.address
    }

    /// Sends a request without a body.
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Seen {
        self.send(Method::GET, path, headers, Bytes::new()).await
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Seen {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request = request.header("host", "gateway.test");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        Seen::of(exchange(self.address(), request).await).await
    }

    /// Writes bytes as they are and returns everything that comes back until the gateway closes (or a second passes).
    pub async fn raw(&self, bytes: &[u8]) -> String {
        self.raw_for(bytes, Duration::from_secs(1)).await
    }

    /// The same with another patience.
    pub async fn raw_for(&self, bytes: &[u8], patience: Duration) -> String {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(patience, stream.read_to_end(&mut answer)).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The calls recorded so far since the last time, once there are this many.
    pub async fn calls(&self, count: usize) -> Vec<Call> {
        let mut calls = Vec::new();
        for _ in 0..200 {
            calls.extend(self.shared.recorders.take_calls().unwrap());
            if calls.len() >= count {
                return calls;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("only {} of {count} calls were recorded", calls.len());
    }
}

/// A response, read whole.
#[derive(Debug)]
pub struct Seen {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    async fn of(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        Self { status: head.status, headers: head.headers, body }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {:?}", self.body))
    }

    /// The stable code of a problem, with what every problem has checked.
    pub fn code(&self) -> String {
        let problem = self.json();
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        assert_eq!(problem["status"], self.status.as_u16());
        problem["code"].as_str().unwrap().to_owned()
    }
}

pub async fn exchange(address: SocketAddr, request: Request<Full<Bytes>>) -> Response<Incoming> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender.send_request(request).await.unwrap()
}

/// An upstream.
pub struct Upstream {
    pub address: SocketAddr,
    pub requests: Arc<AtomicUsize>,
    pub connections: Arc<AtomicUsize>,
}

impl Upstream {
    /// Answers as the function says.
    pub async fn new<F, A>(answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        Self::serve(answer, None).await
    }

    /// Answers as the function says, over TLS.
    pub async fn tls<F, A>(answer: F, config: rustls::ServerConfig) -> Self
    where
        F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        Self::serve(answer, Some(tokio_rustls::TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn serve<F, A>(answer: F, tls: Option<tokio_rustls::TlsAcceptor>) -> Self
    where
        F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = Self { address, requests: Arc::default(), connections: Arc::default() };
        let (requests, connections) = (Arc::clone(&upstream.requests), Arc::clone(&upstream.connections));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (answer, requests) = (answer.clone(), Arc::clone(&requests));
                let service = service_fn(move |request| {
                    requests.fetch_add(1, Ordering::SeqCst);
                    let answer = answer(request);
                    async move { Ok::<_, std::convert::Infallible>(answer.await) }
                });
                let tls = tls.clone();
                tokio::spawn(async move {
                    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    match tls {
                        None => {
                            let _ =
                                server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
                        }
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            let _ = server.serve_connection(TokioIo::new(stream), service).await;
                        }
                    }
                });
            }
        });
        upstream
    }

    /// Says as JSON what it saw.
    pub async fn echo() -> Self {
        Self::new(|request: Request<Incoming>| async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let mut headers: HashMap<&str, Vec<&str>> = HashMap::new();
            for (name, value) in &head.headers {
                headers.entry(name.as_str()).or_default().push(value.to_str().unwrap());
            }
            let saw = json!({
                "method": head.method.as_str(),
                "path": head.uri.path(),
                "query": head.uri.query(),
                "version": format!("{:?}", head.version),
                "authority": head.uri.authority().map(|authority| authority.as_str()),
                "headers": headers,
                "body": String::from_utf8_lossy(&body),
            });
            text(200, &[("content-type", "application/json")], saw.to_string())
        })
        .await
    }

    pub fn count(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// A response with a body in memory.
pub fn text(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Full::new(body.into()).map_err(|never| match never {}).boxed()).unwrap()
}

/// An address where nobody listens.
pub async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    listener.local_addr().unwrap()
}

/// Resolves each name to the next of its addresses, then again to the last.
pub struct Rebinding(pub std::sync::Mutex<Vec<IpAddr>>);

impl Resolver for Rebinding {
    fn resolve(&self, _: &str) -> Resolving {
        let mut addresses = self.0.lock().unwrap();
        let address = if addresses.len() > 1 { addresses.remove(0) } else { addresses[0] };
        Box::pin(async move { Ok(vec![address]) })
    }
}

impl Seen {
    /// The code of a problem, else the status.
    pub fn code_or_status(&self) -> String {
        if self.header("content-type") == "application/problem+json" {
            self.code()
        } else {
            self.status.to_string()
        }
    }
}
