//! Serves one connection: HTTP/1.1, or HTTP/2 when the client begins with its preface (RFC 9113 §3.3).

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::connection::{Connection, ConnectionState};
use super::framing::HeadLimits;
use super::stand_in;
use super::stream::ClientStream;
use super::watch::Watch;
use crate::pipeline::answer;
use crate::worker::{LocalExecutor, Worker};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Header fields that hyper reads unless told otherwise, for which it has room without clearing memory for each
/// request. A lower limit is the framing's to hold.
const USUAL_HEADERS: usize = 100;
/// Bytes by which the fields of an HTTP/2 request may be too large and still be answered with a problem.
const HEADERS_TO_REFUSE: u32 = 64 << 10;
/// hyper's least.
const MIN_BUFFER: usize = 8_192;

/// Serves a connection until it ends, or until the gateway stops and its calls are done.
pub(super) async fn serve(worker: Rc<Worker>, watch: Rc<Watch>, mut tcp: TcpStream, peer: SocketAddr) {
    let state = Arc::new(ConnectionState::default());
    watch.add(Arc::clone(&state));
    let stats = Open::count(&worker);
    let _ = tcp.set_nodelay(true);
    let first = tokio::select! {
        first = first_bytes(&mut tcp) => first,
        () = state.close.notified() => return state.ended.store(true, Ordering::Relaxed),
    };
    if let Ok((prefix, http2)) = first {
        let (state, tick) = (Arc::clone(&state), Arc::clone(&watch.tick));
        if http2 {
            state.head_since.store(0, Ordering::Relaxed);
            let stream = ClientStream::http2(tcp, prefix, Arc::clone(&state), tick);
            serve_http2(&worker, &watch, stream, &state, peer).await;
        } else {
            let limits = head_limits(&worker);
            let stream = ClientStream::http1(tcp, prefix, Arc::clone(&state), tick, limits);
            serve_http1(&worker, &watch, stream, limits, &state, peer).await;
        }
    }
    if state.is_bad() {
        worker.shared.stats.malformed.fetch_add(1, Ordering::Relaxed);
    }
    state.ended.store(true, Ordering::Relaxed);
    drop(stats);
}

/// Reads until the protocol is clear.
async fn first_bytes(tcp: &mut TcpStream) -> io::Result<(Bytes, bool)> {
    let mut first = BytesMut::with_capacity(4 << 10);
    while first.len() < PREFACE.len() && PREFACE.starts_with(&first) {
        if tcp.read_buf(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let http2 = first.starts_with(PREFACE);
    Ok((first.freeze(), http2))
}

/// The environment's limits as they are now; they hold for the whole connection.
fn head_limits(worker: &Worker) -> HeadLimits {
    let limits = &worker.shared.peek().settings.limits;
    HeadLimits { bytes: limits.header_bytes as usize, fields: limits.header_count as usize }
}

async fn serve_http1(
    worker: &Rc<Worker>,
    watch: &Rc<Watch>,
    stream: ClientStream,
    limits: HeadLimits,
    state: &Arc<ConnectionState>,
    peer: SocketAddr,
) {
    let service = service(worker, watch, peer, state);
    let mut builder = http1::Builder::new();
    if limits.fields > USUAL_HEADERS {
        builder.max_headers(limits.fields);
    }
    // The watch closes slow and idle connections: hyper's own timer would cost each request one.
    let connection = builder
        .header_read_timeout(None)
        // Whoever has too much is refused before; the request in its place has to fit.
        .max_buf_size((limits.bytes + stand_in::EXTRA).max(MIN_BUFFER))
        .serve_connection(TokioIo::new(stream), service_fn(service))
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = state.close.notified() => {}
    }
    if state.stopping.load(Ordering::Relaxed) {
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

async fn serve_http2(
    worker: &Rc<Worker>,
    watch: &Rc<Watch>,
    stream: ClientStream,
    state: &Arc<ConnectionState>,
    peer: SocketAddr,
) {
    let limits = worker.shared.peek().settings.limits.clone();
    let service = service(worker, watch, peer, state);
    let connection = http2::Builder::new(LocalExecutor)
        .timer(TokioTimer::new())
        // The pipeline holds the limit, with an answer that says so; this is only the bound of what is read for that.
        .max_header_list_size(limits.header_bytes.saturating_add(HEADERS_TO_REFUSE))
        .max_concurrent_streams(256)
        .keep_alive_interval(Duration::from_secs(30))
        .adaptive_window(true)
        .serve_connection(TokioIo::new(stream), service_fn(service));
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = state.close.notified() => {}
    }
    let takes_nothing = state.blocked_since.load(Ordering::Relaxed) != 0;
    if takes_nothing && !state.stopping.load(Ordering::Relaxed) {
        return;
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

type Answer = Result<http::Response<crate::body::Body>, Infallible>;

/// Hands requests to the pipeline.
fn service(
    worker: &Rc<Worker>,
    watch: &Rc<Watch>,
    peer: SocketAddr,
    state: &Arc<ConnectionState>,
) -> impl Fn(http::Request<Incoming>) -> std::pin::Pin<Box<dyn Future<Output = Answer>>> + use<> {
    let connection = Rc::new(Connection::new(peer, Arc::clone(state), Arc::clone(&watch.tick)));
    let worker = Rc::clone(worker);
    move |request| {
        let (worker, connection) = (Rc::clone(&worker), Rc::clone(&connection));
        Box::pin(async move { Ok(answer(worker, connection, request).await) })
    }
}

/// Counts a connection while it is open.
struct Open(Rc<Worker>);

impl Open {
    fn count(worker: &Rc<Worker>) -> Self {
        worker.shared.stats.connections.fetch_add(1, Ordering::Relaxed);
        worker.shared.stats.accepted.fetch_add(1, Ordering::Relaxed);
        Self(Rc::clone(worker))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.shared.stats.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
