//! Sending one request to one target, on an idle connection or a new one.

use std::rc::Rc;
use std::task::{Poll, ready};
use std::time::Duration;

use http::{HeaderMap, Method, Request, StatusCode, Uri, response};
use tokio::time::Instant;

use super::arriving::{Arriving, ExchangeError};
use super::connect::{ConnectError, Connection, connect};
use super::http1::{Failed, Http1};
use super::outgoing::Outgoing;
use super::pool::{DOUBTFUL, Http2, Lease};
use crate::body::{BodyWatch, RequestBody, UpstreamBody};
use crate::compile::{Target, Timeouts};
use crate::worker::Worker;

/// An upstream's response head; the body may still be on its way.
pub(crate) struct Sent {
    pub(crate) head: response::Parts,
    pub(crate) body: Arriving,
    /// End of the whole exchange.
    pub(crate) deadline: Option<Instant>,
}

/// Why there is no response.
pub(crate) enum SendError {
    /// Nothing was sent: the request can go to another target.
    Connect(ConnectError, Box<Outgoing>),
    /// No response head in time.
    TimedOut,
    /// The connection was closed before the response head.
    Closed(ExchangeError),
    /// What came back is not HTTP.
    Malformed(ExchangeError),
}

/// One try on one connection.
enum Tried<B> {
    Sent(response::Parts, B),
    /// The connection was dead: the request is unsent, or may be sent again.
    Again(Box<Outgoing>),
    Failed(SendError),
}

impl Sent {
    /// Head and body, apart.
    pub(crate) fn into_parts(self, idle: Duration) -> (http::response::Parts, UpstreamBody) {
        (self.head, UpstreamBody::new(self.body, idle, self.deadline))
    }
}

/// Sends a request (with an absolute URI and a `Host`) to a target. `early` is told what an upstream of HTTP/1.1 says before
/// its response.
pub(crate) async fn send(
    worker: &Rc<Worker>,
    target: &Target,
    timeouts: &Timeouts,
    mut request: Box<Outgoing>,
    watch: &BodyWatch,
    early: &dyn Fn(StatusCode, HeaderMap),
) -> Result<Sent, SendError> {
    let deadline = timeouts.total.map(|total| Instant::now() + total);
    let patience = Patience { first_byte: timeouts.first_byte, deadline, watch, early };
    if target.pool.http2
        && let Some(connection) = worker.pools.http2(target.slot)
    {
        match Box::pin(patience.http2(connection, request)).await {
            Tried::Sent(head, body) => return Ok(Sent { head, body: Arriving::Http2(body), deadline }),
            Tried::Again(unsent) => request = unsent,
            Tried::Failed(error) => return Err(error),
        }
    }
    while let Some((mut connection, idle)) = worker.pools.take(target.slot) {
        match patience.http1(&mut connection, request, idle > DOUBTFUL).await {
            Tried::Sent(head, ()) => return Ok(leased(worker, target, connection, head, deadline)),
            Tried::Again(unsent) => request = unsent,
            Tried::Failed(error) => return Err(error),
        }
    }
    // Seldom needed and large: a box of its own keeps the future of every call small.
    Box::pin(send_anew(worker, target, timeouts, &patience, request)).await
}

async fn send_anew(
    worker: &Rc<Worker>,
    target: &Target,
    timeouts: &Timeouts,
    patience: &Patience<'_>,
    request: Box<Outgoing>,
) -> Result<Sent, SendError> {
    let deadline = patience.deadline;
    let connection = match connect(worker, &target.pool, timeouts.connect).await {
        Ok(connection) => connection,
        Err(error) => return Err(SendError::Connect(error, request)),
    };
    let unsent = |request| {
        let error = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        SendError::Connect(ConnectError::Refused(error), request)
    };
    match connection {
        Connection::Http2(connection) => {
            worker.pools.keep_http2(target.slot, connection.clone());
            match patience.http2(connection, request).await {
                Tried::Sent(head, body) => Ok(Sent { head, body: Arriving::Http2(body), deadline }),
                Tried::Again(request) => Err(unsent(request)),
                Tried::Failed(error) => Err(error),
            }
        }
        Connection::Http1(mut connection) => match patience.http1(&mut connection, request, false).await {
            Tried::Sent(head, ()) => Ok(leased(worker, target, connection, head, deadline)),
            Tried::Again(request) => Err(unsent(request)),
            Tried::Failed(error) => Err(error),
        },
    }
}

fn leased(
    worker: &Rc<Worker>,
    target: &Target,
    connection: Box<Http1>,
    head: response::Parts,
    deadline: Option<Instant>,
) -> Sent {
    let body = Arriving::on(Lease::new(&worker.pools, target.slot, connection));
    Sent { head, body, deadline }
}

/// How long to wait for a response head.
struct Patience<'w> {
    first_byte: Duration,
    deadline: Option<Instant>,
    watch: &'w BodyWatch,
    early: &'w dyn Fn(StatusCode, HeaderMap),
}

/// A wait for a response head.
struct Wait {
    /// Bytes of the request's body that had been taken when it began.
    bytes: u64,
    until: Instant,
}

impl Patience<'_> {
    async fn http1(&self, connection: &mut Http1, request: Box<Outgoing>, doubtful: bool) -> Tried<()> {
        // A copy costs something, so it is kept only where it is likely to be needed.
        let copy = (doubtful && replayable(&request.request)).then(|| Box::new(request.copy()));
        let mut request = Some(request);
        let mut wait = self.begin();
        let sending = std::future::poll_fn(|context| {
            if let Some(request) = request.take() {
                connection.begin(request, context)?;
            }
            if let Poll::Ready(head) = connection.poll_head(self.early, context) {
                return Poll::Ready(head.map(Some).map_err(Failed::Failed));
            }
            loop {
                ready!(connection.timer().poll_until(wait.until, context));
                if self.is_over(&mut wait) {
                    return Poll::Ready(Ok(None));
                }
            }
        });
        match (sending.await, copy) {
            (Ok(Some(head)), _) => Tried::Sent(head, ()),
            (Ok(None), _) => Tried::Failed(SendError::TimedOut),
            (Err(Failed::Unsent(request)), _) => Tried::Again(request),
            (Err(Failed::Failed(error)), Some(copy)) if error.is_closed() => Tried::Again(copy),
            (Err(Failed::Failed(error)), _) if error.is_malformed() => {
                Tried::Failed(SendError::Malformed(error.into()))
            }
            (Err(Failed::Failed(error)), _) => Tried::Failed(SendError::Closed(error.into())),
        }
    }

    async fn http2(&self, mut connection: Http2, outgoing: Box<Outgoing>) -> Tried<hyper::body::Incoming> {
        let mut request = outgoing.into_request();
        // HTTP/2 has the authority in its pseudo field.
        if let Some(host) = request.headers_mut().remove(http::header::HOST) {
            with_authority(&mut request, &host);
        }
        *request.version_mut() = http::Version::HTTP_2;
        match self.wait(connection.try_send_request(request)).await {
            Some(Ok(response)) => {
                let (head, body) = response.into_parts();
                Tried::Sent(head, body)
            }
            Some(Err(mut error)) => match error.take_message() {
                Some(request) => Tried::Again(Box::new(Outgoing { request, hop: None })),
                None => Tried::Failed(failed(error.into_error())),
            },
            None => Tried::Failed(SendError::TimedOut),
        }
    }

    async fn wait<F: Future>(&self, sending: F) -> Option<F::Output> {
        let (mut sending, mut wait) = (std::pin::pin!(sending), self.begin());
        loop {
            if let Ok(done) = tokio::time::timeout_at(wait.until, sending.as_mut()).await {
                return Some(done);
            }
            if self.is_over(&mut wait) {
                return None;
            }
        }
    }

    fn begin(&self) -> Wait {
        let until = Instant::now() + self.first_byte;
        let until = self.deadline.map_or(until, |deadline| deadline.min(until));
        Wait { bytes: self.watch.bytes.get(), until }
    }

    /// Whether a wait that has come to its end was the last; while the request's body is still moving, it has not begun.
    fn is_over(&self, wait: &mut Wait) -> bool {
        let past_deadline = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let over = past_deadline || self.watch.bytes.get() == wait.bytes;
        *wait = self.begin();
        over
    }
}

/// RFC 9110 §9.2.2: only what has the same effect twice is sent twice.
fn replayable(request: &Request<RequestBody>) -> bool {
    request.body().is_empty() && request.method().is_idempotent() && request.method() != Method::CONNECT
}

fn with_authority(request: &mut Request<RequestBody>, host: &http::HeaderValue) {
    let mut parts = request.uri().clone().into_parts();
    if let Ok(authority) = http::uri::Authority::try_from(host.as_bytes()) {
        parts.authority = Some(authority);
        parts.scheme.get_or_insert(http::uri::Scheme::HTTP);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
}

fn failed(error: hyper::Error) -> SendError {
    if error.is_parse() { SendError::Malformed(error.into()) } else { SendError::Closed(error.into()) }
}
