//! Balance, connect, retry: from a request to an upstream's response head.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{Request, Uri, response};

use super::failure::{Failure, Kind, Outcome};
use super::transform::{Head, path_and_query};
use super::{Authorised, Call, headers, interim, resting, transform};
use crate::body::{BodyFault, Origin, RequestBody, UpstreamBody};
use crate::cache::Lead;
use crate::compile::{HostRule, Target, Upstream};
use crate::state::Snapshot;
use crate::upstream::{ConnectError, Outgoing, SendError, Sent, send};

/// A request on its way to an upstream.
pub(crate) struct Outbound {
    pub(crate) head: Head,
    pub(crate) body: RequestBody,
}

/// What an upstream, or the cache, says; fields for one hop are gone.
pub(crate) struct Answer {
    pub(crate) head: response::Parts,
    /// Further fields, for a client of HTTP/1.
    pub(crate) lead: Option<Lead>,
    pub(crate) body: Origin,
}

impl Answer {
    pub(crate) fn new(head: response::Parts, body: Origin) -> Self {
        Self { head, lead: None, body }
    }
}

/// A response's body that nobody has begun to read.
pub(crate) enum Fetched {
    Empty,
    /// All of it has arrived.
    Here(Bytes),
    Body(Box<UpstreamBody>),
}

impl Fetched {
    /// Bytes that are announced.
    pub(crate) fn announced(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Here(bytes) => Some(bytes.len() as u64),
            Self::Body(body) => body.size_hint().exact(),
        }
    }

    pub(crate) fn into_origin(self) -> Origin {
        match self {
            Self::Empty => Origin::Empty,
            Self::Here(bytes) => Origin::Full(bytes),
            Self::Body(body) => Origin::Upstream(body),
        }
    }
}

/// Sends the request to an upstream and waits for the response head.
pub(crate) async fn forward(
    call: &mut Call,
    snapshot: &Snapshot,
    authorised: &Authorised,
    outbound: Outbound,
) -> Outcome<Answer> {
    let (head, body) = fetch(call, snapshot, authorised, outbound).await?;
    Ok(Answer::new(head, body.into_origin()))
}

/// Like [`forward`], with the body apart.
pub(crate) async fn fetch(
    call: &mut Call,
    snapshot: &Snapshot,
    authorised: &Authorised,
    outbound: Outbound,
) -> Outcome<(response::Parts, Fetched)> {
    let (sent, upstream) = exchange(call, snapshot, authorised, outbound, None).await?;
    let (mut head, body) = sent.into_parts(upstream.timeouts.idle);
    headers::strip_response(&mut head.headers);
    let body = match body.into_here() {
        Ok(bytes) if bytes.is_empty() => Fetched::Empty,
        Ok(bytes) => Fetched::Here(bytes),
        Err(body) if body.is_end_stream() => Fetched::Empty,
        Err(body) => Fetched::Body(Box::new(body)),
    };
    Ok((head, body))
}

/// Tries the targets in turn: a target that cannot be connected to has seen nothing, so another may be tried.
pub(super) async fn exchange(
    call: &mut Call,
    snapshot: &Snapshot,
    authorised: &Authorised,
    outbound: Outbound,
    upgrade: Option<&HeaderValue>,
) -> Outcome<(Sent, Arc<Upstream>)> {
    let upstream = Arc::clone(authorised.matched.route().upstream.as_ref().ok_or_else(no_target)?);
    let Outbound { mut head, body } = outbound;
    let hop = transform::for_upstream(call, snapshot, authorised, &mut head);
    let mut outgoing = Box::new(Outgoing { request: request(&mut head, body, upgrade), hop });
    let mut last = None;
    for (index, target) in upstream.order() {
        if let Some(left) = target.is_left_alone(call) {
            last.get_or_insert_with(|| resting::failure(left));
            continue;
        }
        call.trying(&upstream, index);
        aim(&mut outgoing.request, &head, &upstream, target)?;
        let before = call.worker.shared.clock.now();
        let early = |status, headers| interim::pass_on(call, snapshot, authorised, status, headers);
        match send(&call.worker, target, &upstream.timeouts, outgoing, &call.body_in, &early).await {
            Ok(sent) => {
                call.mark("upstream");
                call.answered(before);
                target.answered(call, sent.head.status);
                return Ok((sent, Arc::clone(&upstream)));
            }
            Err(SendError::Connect(error, unsent)) => {
                target.failed_to_connect(call, &error);
                last = Some(cannot_connect(&error, target));
                outgoing = unsent;
            }
            Err(error) => {
                call.mark("upstream");
                if call.body_in.fault.get().is_none() {
                    target.failed(call);
                }
                return Err(broken(call, error, target));
            }
        }
    }
    call.mark("upstream");
    Err(last.unwrap_or_else(no_target))
}

fn no_target() -> Box<Failure> {
    Kind::NoTarget.because("No target of the route's upstream has a share of the calls.")
}

/// The request but for what depends on the target.
fn request(head: &mut Head, body: RequestBody, upgrade: Option<&HeaderValue>) -> Request<RequestBody> {
    let mut request = Request::new(body);
    *request.method_mut() = head.method.clone();
    *request.headers_mut() = std::mem::take(&mut head.headers);
    if let Some(protocol) = upgrade {
        let headers = request.headers_mut();
        headers.insert(http::header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(http::header::UPGRADE, protocol.clone());
    }
    request
}

/// Gives the request the target's path and host.
fn aim(request: &mut Request<RequestBody>, head: &Head, upstream: &Upstream, target: &Target) -> Outcome<()> {
    let path = path_and_query(&target.base_path, &head.path, head.query.as_deref())?;
    let mut uri = http::uri::Parts::default();
    uri.path_and_query = Some(path);
    if target.pool.http2 {
        uri.scheme = Some(if target.pool.tls { http::uri::Scheme::HTTPS } else { http::uri::Scheme::HTTP });
        uri.authority = http::uri::Authority::try_from(target.authority.as_bytes()).ok();
    }
    *request.uri_mut() = Uri::from_parts(uri)
        .map_err(|error| Kind::BadRequest.because(format!("The path cannot be sent on: {error}.")))?;
    let host = match &upstream.host {
        HostRule::Target => &target.authority,
        HostRule::Fixed(host) => host,
        HostRule::Client => head.client_host.as_ref().unwrap_or(&target.authority),
    };
    request.headers_mut().insert(HOST, host.clone());
    Ok(())
}

fn cannot_connect(error: &ConnectError, target: &Target) -> Box<Failure> {
    let kind = match error {
        ConnectError::Unresolvable { .. } => Kind::Unresolvable,
        ConnectError::Forbidden(_) => Kind::Forbidden,
        ConnectError::Refused(_) => Kind::Refused,
        ConnectError::Tls(_) => Kind::Tls,
        ConnectError::TimedOut(_) => Kind::ConnectTimeout,
    };
    tracing::debug!(target: "sluice::upstream", url = %target.url, %error, "cannot connect");
    // What the network answered is the operator's business; the caller learns its kind.
    match error {
        ConnectError::Unresolvable { name, .. } => kind.because(format!("`{name}` does not resolve.")),
        ConnectError::Forbidden(_) => kind.because("An administrator has to allow the upstream's network."),
        _ => kind.because(""),
    }
}

/// The request was on its way: what became of it is not known, so it is not sent again.
fn broken(call: &Call, error: SendError, target: &Target) -> Box<Failure> {
    if let Some(fault) = call.body_in.fault.get() {
        let kind = match fault {
            BodyFault::TooLarge => Kind::BodyTooLarge,
            BodyFault::TimedOut => Kind::BodyTimeout,
            BodyFault::Broken => Kind::BadRequest,
        };
        return kind.because(format!("{fault}.")).closing();
    }
    match error {
        SendError::TimedOut => Kind::Timeout.because(""),
        SendError::Malformed(error) => {
            tracing::debug!(target: "sluice::upstream", url = %target.url, %error, "malformed response");
            Kind::BadResponse.because("")
        }
        SendError::Closed(error) => {
            tracing::debug!(target: "sluice::upstream", url = %target.url, %error, "closed");
            Kind::Closed.because("")
        }
        SendError::Connect(error, _) => cannot_connect(&error, target),
    }
}
