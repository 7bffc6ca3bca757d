//! Serves one connection: HTTP/1.1, or HTTP/2 when the client begins with its preface (RFC 9113 §3.3).

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::connection::{Connection, ConnectionState};
use super::http1::{HeadLimits, Http1};
use super::stream::WatchedStream;
use super::watch::Watch;
use crate::body::ClientStream;
use crate::pipeline::{Arrived, answer};
use crate::worker::{LocalExecutor, Worker};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes by which the fields of an HTTP/2 request may be too large and still be answered with a problem.
const HEADERS_TO_REFUSE: u32 = 64 << 10;

/// Serves a connection until it ends, or until the gateway stops and its calls are done.
pub(super) async fn serve(worker: Rc<Worker>, watch: Rc<Watch>, mut tcp: TcpStream, peer: SocketAddr) {
    let state = Rc::new(ConnectionState::default());
    watch.add(Rc::clone(&state));
    let open = Open::count(&worker);
    let _ = tcp.set_nodelay(true);
    let first = tokio::select! {
        first = first_bytes(&mut tcp) => first,
        () = state.closing() => return state.ended.set(true),
    };
    if let Ok((first, http2)) = first {
        let connection = Rc::new(Connection::new(peer, Rc::clone(&state), Rc::clone(&watch.tick)));
        if !http2 {
            let mut http1 = Http1::new(&worker, &watch, connection, tcp, first, head_limits(&worker));
            // A task of its own is a small one: of a connection that has rested all that a request wakes has to be fetched.
            tokio::task::spawn_local(async move {
                serve_http1(&mut http1, &state).await;
                state.ended.set(true);
                drop(open);
            });
            return;
        }
        state.head_since.set(0);
        let stream = WatchedStream::new(tcp, first, Rc::clone(&state), Rc::clone(&watch.tick));
        serve_http2(&worker, stream, &state, connection).await;
    }
    state.ended.set(true);
    drop(open);
}

/// Reads until the protocol is clear.
async fn first_bytes(tcp: &mut TcpStream) -> io::Result<(BytesMut, bool)> {
    let mut first = BytesMut::with_capacity(2 << 10);
    while first.len() < PREFACE.len() && PREFACE.starts_with(&first) {
        if tcp.read_buf(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let http2 = first.starts_with(PREFACE);
    Ok((first, http2))
}

/// The environment's limits as they are now; they hold for the whole connection.
fn head_limits(worker: &Worker) -> HeadLimits {
    let limits = &worker.shared.peek().settings.limits;
    HeadLimits { bytes: limits.header_bytes as usize, fields: limits.header_count as usize }
}

async fn serve_http1(http1: &mut Http1, state: &ConnectionState) {
    let wire = http1.wire();
    let mut serving = std::pin::pin!(http1.serve());
    let mut finishing = false;
    poll_fn(|context| {
        while serving.as_mut().poll(context).is_pending() {
            ready!(state.poll_close(context));
            // A call in flight may finish, and a client that has begun to ask gets its answer.
            let is_used = state.busy.get() > 0 || state.head_since.get() > 0 || wire.is_behind();
            if finishing || !is_used || !state.stopping.get() {
                break;
            }
            finishing = true;
        }
        Poll::Ready(())
    })
    .await;
}

async fn serve_http2(
    worker: &Rc<Worker>,
    stream: WatchedStream,
    state: &ConnectionState,
    connection: Rc<Connection>,
) {
    let limits = worker.shared.peek().settings.limits.clone();
    let service = service(worker, connection);
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
        () = state.closing() => {}
    }
    let takes_nothing = state.blocked_since.get() != 0;
    if takes_nothing && !state.stopping.get() {
        return;
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

type Answer = Result<http::Response<crate::body::Body>, Infallible>;

/// Hands requests to the pipeline.
fn service(
    worker: &Rc<Worker>,
    connection: Rc<Connection>,
) -> impl Fn(http::Request<Incoming>) -> std::pin::Pin<Box<dyn Future<Output = Answer>>> + use<> {
    let worker = Rc::clone(worker);
    move |request| {
        let (worker, connection) = (Rc::clone(&worker), Rc::clone(&connection));
        let (head, body) = request.into_parts();
        let body = ClientStream::Http2(body);
        let arrived = Box::new(Arrived { head, body, upgrade: None, violation: None, words: None });
        Box::pin(async move { Ok(answer(worker, connection, arrived).await) })
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
