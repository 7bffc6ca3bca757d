//! What happens to a call, from its head to its record: one function, [`decide`], that reads top to bottom.

mod address;
mod admit;
mod again;
mod assume;
mod authenticate;
mod authorise;
mod call;
mod cors;
mod failure;
mod fields;
mod forward;
mod forwarded;
mod headers;
mod hop;
mod interim;
mod let_in;
mod limit;
pub mod path;
mod request_id;
mod respond;
mod resting;
mod route;
mod trace;
mod transform;
mod upgrade;

use std::rc::Rc;

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use tokio::sync::oneshot;

use crate::body::{Body, ClientStream, RequestBody};
use crate::listen::{Connection, Upgraded, Violation};
use crate::state::Snapshot;
use crate::worker::Worker;

pub(crate) use address::{X_FORWARDED_PROTO, is_https, stands_for_https};
pub(crate) use again::{Repeats, Seen, answer_again, remember};
pub(crate) use assume::{Assumed, assume};
pub(crate) use authenticate::rule as key_rule;
pub(crate) use authorise::Authorised;
pub(crate) use call::Call;
pub(crate) use failure::Outcome;
pub use failure::{Failure, Kind};
use fields::Fields;
pub(crate) use forward::{Answer, Fetched, Outbound, fetch, forward};
pub(crate) use forwarded::Client;
pub(crate) use headers::add_via;
pub(crate) use hop::Hop;
pub(crate) use let_in::{Applicant, let_in};
pub(crate) use limit::{RATE_FIELDS, RateFields};
pub(crate) use request_id::{REQUEST_ID, RequestId};
pub(crate) use transform::changes_responses;

/// A request whose body has not been read.
pub(crate) struct Arrived {
    pub(crate) head: Parts,
    pub(crate) body: ClientStream,
    /// The connection itself, when the client asks for another protocol on it and the answer agrees.
    pub(crate) upgrade: Option<oneshot::Receiver<Upgraded>>,
    /// Why the head cannot be believed.
    pub(crate) violation: Option<Violation>,
    /// The head as it was written, where what it means should be remembered.
    pub(crate) words: Option<Bytes>,
}

impl Arrived {
    /// A request that the gateway makes itself.
    pub(crate) fn without_body(head: Parts) -> Self {
        Self { head, body: ClientStream::Nothing, upgrade: None, violation: None, words: None }
    }
}

/// Answers a request, whatever becomes of it.
pub(crate) async fn answer(
    worker: Rc<Worker>,
    connection: Rc<Connection>,
    mut arrived: Box<Arrived>,
) -> Response<Body> {
    // Request id and trace context first: every answer and every record carries them, those of errors too.
    let fields = Fields::of(&arrived.head.headers);
    let words = arrived.words.take().filter(|_| fields.is_of_no_other_call());
    let mut call = Call::begin(&worker, &connection, &arrived.head, &fields);
    call.words = words;
    let snapshot = worker.snapshot();
    let outcome = decide(&mut call, &snapshot, &connection, arrived).await;
    let response = outcome.unwrap_or_else(|failure| respond::with_failure(&mut call, failure));
    // Recording the call is the last stage: it happens when the last byte of the answer leaves.
    respond::finish(call, &snapshot, response)
}

/// The pipeline. Its order is the design's: each stage may rely on those above it, and nothing that costs more comes
/// before something cheaper that could refuse.
///
/// Where further stages belong: address rules and limits before authentication, after the address; concurrency, quota and
/// budget with the rate; request filtering and validation before the request's transform; prompt, guard and model choice
/// of AI APIs before the cache; compression after the response's transform.
async fn decide(
    call: &mut Call,
    snapshot: &Snapshot,
    connection: &Connection,
    mut arrived: Box<Arrived>,
) -> Outcome<Response<Body>> {
    // Framing, sizes and times: before anything is believed that the message says.
    admit::ready(&call.worker)?;
    admit::framing(call, &arrived)?;
    admit::sizes(snapshot, call, &arrived)?;

    // Who is calling, by address: limits before authentication and forwarding headers need it.
    call.client = address::client(snapshot, connection, &arrived.head.headers);

    // Route before anything that a route can set.
    let matched = route::find(snapshot, call, &arrived)?;

    // CORS before authentication: browsers send preflights without credentials, and must be able to read refusals.
    if let Some(answer) = cors::preflight(snapshot, call, &matched, &arrived.head) {
        return Ok(answer);
    }

    // Authentication before authorisation: whose right it is decides which right.
    let caller = authenticate::caller(snapshot, call, &matched, &arrived.head)?;
    let authorised = authorise::authorise(call, matched, caller)?;

    // Limits after authorisation, so that strangers cannot use up what callers have paid for.
    limit::take(snapshot, call, &authorised)?;

    // The request's path is transformed before the cache, whose key is of what the upstream would see; its headers only
    // when it goes to the upstream, so that a hit does not pay for them.
    call.mark("decide");
    let wants = transform::wants_upgrade(&mut arrived);
    let head = transform::head(call, &authorised, &mut arrived)?;
    let limits = &snapshot.settings.limits;
    let idle = std::time::Duration::from_millis(limits.body_idle_ms);
    let body = std::mem::replace(&mut arrived.body, ClientStream::Nothing);
    let body = RequestBody::of(body, limits.body_bytes, idle, Rc::clone(&call.body_in));
    drop(arrived);
    let outbound = Outbound { head, body };

    // Another protocol on this connection is neither cached nor changed.
    if let Some(wants) = wants {
        return Box::pin(upgrade::tunnel(call, snapshot, &authorised, outbound, wants)).await;
    }

    // Cache before the upstream; it stores what the upstream said, before any change for one caller.
    let answer = match authorised.cache_rule() {
        Some(rule) => crate::cache::serve(call, snapshot, &authorised, rule, outbound).await?,
        None => {
            let answer = forward(call, snapshot, &authorised, outbound).await?;
            crate::cache::invalidate(call, &authorised, answer.head.status, &answer.head.headers);
            call.passed_no_cache(&answer.head.headers);
            answer
        }
    };

    // The response's transform after the cache: one stored response serves routes and callers that change it differently.
    Ok(transform::response(snapshot, &authorised, answer))
}
