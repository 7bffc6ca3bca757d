//! The status listener: alive, ready, metrics. On an address of its own, so that it is never open to clients.

mod second_level;

use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;

use sluice_contract::link::{CacheArriving, CacheHealth, CacheUse};

use crate::shared::Shared;

/// Serves until the gateway stops.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the status listener cannot start"),
    };
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request: Request<Incoming>| {
            let response = respond(&shared, request.uri().path());
            async move { Ok::<_, Infallible>(response) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(10))
            .serve_connection(TokioIo::new(stream), service);
        tokio::task::spawn_local(connection);
    }
}

fn respond(shared: &Shared, path: &str) -> Response<Full<Bytes>> {
    match path {
        "/healthz" => plain(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" if shared.is_ready() => plain(StatusCode::OK, "ready\n".to_owned()),
        "/readyz" => {
            let refused = shared.switches.refuse_all.load(Ordering::Relaxed);
            let why = if refused { "the configuration is too old" } else { "there is no configuration yet" };
            plain(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n"))
        }
        "/metrics" => plain(StatusCode::OK, metrics(shared)),
        _ => plain(StatusCode::NOT_FOUND, "there are /healthz, /readyz and /metrics\n".to_owned()),
    }
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// Prometheus' text format.
fn metrics(shared: &Shared) -> String {
    let snapshot = shared.peek();
    let stats = &shared.stats;
    let counters = [
        ("sluice_calls_total", "Calls accepted since start.", "counter", shared.recorders.accepted()),
        (
            "sluice_connections",
            "Open client connections.",
            "gauge",
            stats.connections.load(Ordering::Relaxed),
        ),
        (
            "sluice_connections_total",
            "Client connections since start.",
            "counter",
            stats.accepted.load(Ordering::Relaxed),
        ),
        (
            "sluice_malformed_total",
            "Connections ended for a head that is malformed, ambiguous or too large.",
            "counter",
            stats.malformed.load(Ordering::Relaxed),
        ),
        (
            "sluice_upstream_rests_total",
            "Times that a target failed so often that it was left alone.",
            "counter",
            stats.rested.load(Ordering::Relaxed),
        ),
        ("sluice_cache_entries", "Stored responses.", "gauge", shared.cache.entries()),
        ("sluice_cache_bytes", "Bytes of stored responses.", "gauge", shared.cache.bytes()),
        ("sluice_journal_position", "Journal position that is served.", "gauge", snapshot.position),
        ("sluice_apis", "APIs that are served.", "gauge", snapshot.apis.len() as u64),
        ("sluice_credentials", "Keys that are known.", "gauge", snapshot.credentials.len() as u64),
        ("sluice_ready", "Whether calls are served.", "gauge", u64::from(shared.is_ready())),
    ];
    let mut text = String::new();
    for (name, help, kind, value) in counters {
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
    }
    let _ = write!(
        text,
        "# HELP sluice_warming_urls_total URLs that were warmed; they are not among the calls.\n\
         # TYPE sluice_warming_urls_total counter\n"
    );
    for (outcome, count) in shared.warming.by_outcome() {
        let _ = writeln!(text, "sluice_warming_urls_total{{outcome=\"{outcome}\"}} {count}");
    }
    let untold = shared.changes.dropped();
    let _ = write!(
        text,
        "# HELP sluice_cache_untold_changes_total URLs that unsafe methods changed and that other gateways were not told of.\n\
         # TYPE sluice_cache_untold_changes_total counter\nsluice_cache_untold_changes_total {untold}\n"
    );
    first_level(&shared.cache.health(), &mut text);
    refused(shared.cache.refused(), &mut text);
    if let Some(second) = shared.cache.second_level() {
        second_level::write(&second.health(), &mut text);
    }
    text
}

fn first_level(health: &CacheHealth, text: &mut String) {
    let CacheHealth { capacity_bytes, eviction: _, api_share: _, tenant_share: _, evictions, arriving, apis } =
        health;
    let CacheArriving { bytes: arriving_bytes, max_bytes: _, crowded_out } = arriving;
    let _ = write!(
        text,
        "# HELP sluice_cache_capacity_bytes Bytes that stored responses may take.\n\
         # TYPE sluice_cache_capacity_bytes gauge\nsluice_cache_capacity_bytes {capacity_bytes}\n\
         # HELP sluice_cache_arriving_bytes Bytes of bodies that are on their way into the cache.\n\
         # TYPE sluice_cache_arriving_bytes gauge\nsluice_cache_arriving_bytes {arriving_bytes}\n\
         # HELP sluice_cache_crowded_out_total Responses that were not stored because too much was on its way in.\n\
         # TYPE sluice_cache_crowded_out_total counter\nsluice_cache_crowded_out_total {crowded_out}\n\
         # HELP sluice_cache_evictions_total Responses that left the memory of the cache.\n\
         # TYPE sluice_cache_evictions_total counter\n"
    );
    for (reason, count) in evictions.by_reason() {
        let _ = writeln!(text, "sluice_cache_evictions_total{{reason=\"{reason}\"}} {count}");
    }
    let _ = write!(
        text,
        "# HELP sluice_cache_api_bytes Bytes of stored responses by API, of the hundred that hold most.\n\
         # TYPE sluice_cache_api_bytes gauge\n"
    );
    for CacheUse { api, slug: _, tenant, entries: _, bytes, evictions: _ } in apis {
        let _ = writeln!(text, "sluice_cache_api_bytes{{tenant=\"{tenant}\",api=\"{api}\"}} {bytes}");
    }
}

/// Responses that the policy forbids to store for what they have.
fn refused(counts: impl Iterator<Item = (&'static str, u64)>, text: &mut String) {
    let _ = write!(
        text,
        "# HELP sluice_cache_forbidden_total Responses that were not stored for what they have.\n\
         # TYPE sluice_cache_forbidden_total counter\n"
    );
    for (reason, count) in counts {
        let _ = writeln!(text, "sluice_cache_forbidden_total{{reason=\"{reason}\"}} {count}");
    }
}
