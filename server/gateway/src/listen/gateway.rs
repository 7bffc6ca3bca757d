//! Starting and stopping: a listener and a runtime for each thread, on one address.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::runtime::LocalOptions;
use tokio::sync::watch;
use tokio::time::Instant;

use super::watch::Watch;
use super::{protocol, status};
use crate::shared::Shared;
use crate::upstream::{Resolver, SystemResolver, TlsConnectors};
use crate::warming;
use crate::worker::Worker;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4_096;
/// Time between two looks for counters that nobody needs, and for purged responses.
const COUNTERS_SWEPT: Duration = Duration::from_secs(30);
const PURGED_SWEPT: Duration = Duration::from_secs(2);
const AGED_SWEPT: Duration = Duration::from_secs(30);

/// How to serve.
pub struct GatewayOptions {
    /// Where clients call; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where `/healthz`, `/readyz` and `/metrics` answer.
    pub status_listen: SocketAddr,
    /// Where callers reach this gateway; the address that it listens on unless set.
    pub public_url: Option<String>,
    pub threads: usize,
    /// How long a client's connection may be open without a call.
    pub keep_alive: Duration,
    /// How long a client may take nothing of its answer.
    pub stalled: Duration,
    /// Looks upstream names up.
    pub resolver: Arc<dyn Resolver>,
    /// Certificate authorities of upstreams, beside the public ones.
    pub upstream_roots: Vec<CertificateDer<'static>>,
}

impl GatewayOptions {
    /// Serves on these addresses with one thread for each core.
    pub fn new(listen: SocketAddr, status_listen: SocketAddr) -> Self {
        Self {
            listen,
            status_listen,
            public_url: None,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            keep_alive: Duration::from_secs(75),
            stalled: Duration::from_secs(60),
            resolver: Arc::new(SystemResolver),
            upstream_roots: Vec::new(),
        }
    }
}

/// The data plane.
pub struct Gateway;

/// A data plane that serves. Dropping it stops it at once.
pub struct Running {
    /// Where clients call.
    pub address: SocketAddr,
    pub status_address: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Gateway {
    /// Binds and serves.
    ///
    /// # Errors
    /// When an address cannot be bound, a certificate authority is not one, or a thread cannot be started.
    pub fn start(options: GatewayOptions, shared: Arc<Shared>) -> io::Result<Running> {
        let GatewayOptions {
            listen,
            status_listen,
            public_url,
            threads,
            keep_alive,
            stalled,
            resolver,
            upstream_roots,
        } = options;
        let tls = TlsConnectors::new(&upstream_roots).map_err(io::Error::other)?;
        let (stop, stopped) = watch::channel(false);
        // Ports are taken before any thread starts, so that a taken one is one clear error.
        exclusive(listen)?;
        let mut listeners = vec![bind(listen)?];
        let address = listeners.first().map_or(Ok(listen), std::net::TcpListener::local_addr)?;
        for _ in 1..threads.max(1) {
            listeners.push(bind(address)?);
        }
        let status_listener = std::net::TcpListener::bind(status_listen)?;
        status_listener.set_nonblocking(true)?;
        let status_address = status_listener.local_addr()?;
        let mut running = Running { address, status_address, shared, stop, threads: Vec::new() };
        for (number, listener) in listeners.into_iter().enumerate() {
            let (shared, tls, resolver) = (Arc::clone(&running.shared), tls.clone(), Arc::clone(&resolver));
            let stopped = stopped.clone();
            let watch = move || Watch::new(keep_alive, stalled);
            let serve = move || serve_thread(listener, watch, shared, tls, resolver, stopped);
            running.threads.push(spawn(&format!("serve-{number}"), serve)?);
        }
        let own_url: Arc<str> = public_url.unwrap_or_else(|| format!("http://{address}")).into();
        let (shared, warmed_until) = (Arc::clone(&running.shared), stopped.clone());
        let jobs = shared.warming.open();
        let warm = move || {
            on_this_thread(async move {
                let worker = Worker::internal(shared, tls, resolver);
                warming::run(worker, own_url, jobs, warmed_until).await;
            });
        };
        running.threads.push(spawn("warm", warm)?);
        let shared = Arc::clone(&running.shared);
        let serve = move || {
            on_this_thread(async move {
                tokio::task::spawn_local(keep_house(Arc::clone(&shared)));
                status::serve(status_listener, shared, stopped).await;
            });
        };
        running.threads.push(spawn("status", serve)?);
        Ok(running)
    }
}

impl Running {
    /// Stops accepting, lets calls in flight finish for so long, and stops. Blocks: not for an asynchronous thread.
    pub fn stop(mut self, drain: Duration) {
        let _ = self.stop.send(true);
        let until = std::time::Instant::now() + drain;
        let is_open = || self.shared.stats.connections.load(Ordering::Relaxed) > 0;
        while is_open() && std::time::Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.shared.stopping.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        let _ = self.stop.send(true);
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}

/// Fails when another process has the port: with SO_REUSEPORT two gateways would share it and nobody would know.
fn exclusive(address: SocketAddr) -> io::Result<()> {
    if address.port() == 0 {
        return Ok(());
    }
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1)
}

fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Forgets limit counters that have refilled and responses that were purged or are too old, away from the threads that serve.
async fn keep_house(shared: Arc<Shared>) {
    let every = tokio::time::interval;
    let (mut counters, mut purged, mut aged) =
        (every(COUNTERS_SWEPT), every(PURGED_SWEPT), every(AGED_SWEPT));
    loop {
        tokio::select! {
            _ = counters.tick() => {
                shared.compiler.counters.sweep(shared.clock.now());
            }
            _ = purged.tick() => sweep(&shared, Shared::forget_purged).await,
            _ = aged.tick() => sweep(&shared, Shared::forget_aged).await,
        }
    }
}

/// A large cache takes long, and the status listener is on this thread.
async fn sweep(shared: &Arc<Shared>, forget: fn(&Shared)) {
    let shared = Arc::clone(shared);
    if tokio::task::spawn_blocking(move || forget(&shared)).await.is_err() {
        tracing::error!("responses could not be taken out of memory");
    }
}

fn on_this_thread(future: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    match runtime {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => tracing::error!(%error, "a thread cannot start"),
    }
}

fn serve_thread(
    listener: std::net::TcpListener,
    watch: impl FnOnce() -> Watch + 'static,
    shared: Arc<Shared>,
    tls: TlsConnectors,
    resolver: Arc<dyn Resolver>,
    stopped: watch::Receiver<bool>,
) {
    on_this_thread(async move {
        let worker = Worker::new(shared, tls, resolver);
        let watch = Rc::new(watch());
        tokio::task::spawn_local(Rc::clone(&watch).run(Rc::clone(&worker)));
        tokio::task::spawn_local(Rc::clone(&watch.departures).run());
        match TcpListener::from_std(listener) {
            Ok(listener) => accept(&worker, &watch, listener, stopped).await,
            Err(error) => tracing::error!(%error, "a thread cannot listen"),
        }
        drain(&worker).await;
    });
}

async fn accept(
    worker: &Rc<Worker>,
    watch: &Rc<Watch>,
    listener: TcpListener,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stopped| *stopped) => return watch.stop(),
        };
        match accepted {
            Ok((stream, peer)) => {
                let (worker, watch) = (Rc::clone(worker), Rc::clone(watch));
                tokio::task::spawn_local(protocol::serve(worker, watch, stream, peer));
            }
            // Out of descriptors, say: those in use will come back.
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

/// Lets the calls of this thread finish until the gateway says that it has waited long enough.
async fn drain(worker: &Worker) {
    let begun = Instant::now();
    let open = || worker.shared.stats.connections.load(Ordering::Relaxed) > 0;
    while open() && !worker.shared.stopping.load(Ordering::Relaxed) && begun.elapsed().as_secs() < 3_600 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
