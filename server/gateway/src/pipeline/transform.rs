//! What the upstream sees of the request, and the caller of the response.

use std::rc::Rc;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, Response};

use tokio::sync::oneshot;

use super::failure::{Kind, Outcome};
use super::route::Matched;
use super::{Answer, Arrived, Authorised, Call, Hop, authenticate, cors, headers};
use sluice_policies::headers::HeaderRules;

use crate::body::Body;
use crate::listen::Upgraded;
use crate::state::Snapshot;

/// A request as the upstream will see it, but for what depends on the target.
pub(crate) struct Head {
    pub(crate) method: http::Method,
    /// Path (below the target's base path) and query.
    pub(crate) path: Rc<str>,
    pub(crate) query: Option<Box<str>>,
    pub(crate) headers: HeaderMap,
    /// What the client called the host.
    pub(crate) client_host: Option<HeaderValue>,
}

/// A client's wish to speak another protocol.
pub(crate) struct Wish {
    pub(crate) protocol: HeaderValue,
    pub(crate) connection: oneshot::Receiver<Upgraded>,
}

/// The wish for another protocol, when the request is one (RFC 9110 §7.8).
pub(super) fn wants_upgrade(arrived: &mut Arrived) -> Option<Wish> {
    arrived.upgrade.as_ref()?;
    let headers = &arrived.head.headers;
    let asks = headers.get_all(CONNECTION).iter().any(|value| {
        value.to_str().is_ok_and(|text| text.split(',').any(|one| one.trim().eq_ignore_ascii_case("upgrade")))
    });
    let protocol = headers.get(UPGRADE).filter(|_| asks)?.clone();
    // Clear-text HTTP/2 by upgrade is obsolete (RFC 9113 §3.1): the request is served as it is.
    if protocol.as_bytes().eq_ignore_ascii_case(b"h2c") {
        return None;
    }
    Some(Wish { protocol, connection: arrived.upgrade.take()? })
}

/// The request with the path that the upstream will see; headers are the client's still.
pub(super) fn head(call: &Call, authorised: &Authorised, arrived: &mut Arrived) -> Outcome<Head> {
    let Parts { method, headers, .. } = &mut arrived.head;
    Ok(Head {
        method: method.clone(),
        path: path(&authorised.matched)?,
        query: call.query().map(Box::from),
        client_host: call.host.clone(),
        headers: std::mem::take(headers),
    })
}

/// Makes the headers those that the upstream will see. What this hop adds comes apart where nothing of it depends on them:
/// no rule changes it, and nothing that was said of hops before goes with it.
pub(super) fn for_upstream(
    call: &Call,
    snapshot: &Snapshot,
    authorised: &Authorised,
    head: &mut Head,
) -> Option<Hop> {
    let headers = &mut head.headers;
    let trusted = call.worker.internal || snapshot.settings.trusts(call.peer);
    // `Host` stays until the target is known, which has a name of its own.
    headers::strip_request(headers, trusted);
    headers::strip_console_cookie(headers);
    authenticate::rule(snapshot, &authorised.matched).strip_headers(headers, authorised.key_place());
    call.trace.strip_state(headers);
    let rules = header_rules(snapshot, authorised);
    let hop = Hop::of(call, head.client_host.as_ref());
    if rules.is_none() && !trusted && !call.told.via {
        return Some(hop);
    }
    hop.add(headers);
    if let Some(rules) = rules {
        rules.request.apply(headers);
    }
    None
}

/// The path below the target's base: the one asked for, or what the rewrite makes of it.
pub(super) fn path(matched: &Matched) -> Outcome<Rc<str>> {
    let Some(rule) = &matched.policies().rewrite else { return Ok(Rc::clone(&matched.path)) };
    let merged = super::path::for_matching(&matched.path);
    let values = matched.route().template.matches(&merged).unwrap_or_default();
    let values: Vec<&str> = values.iter().map(|(_, value)| *value).collect();
    let mut path = String::new();
    rule.render(&values, &mut path);
    // A parameter cannot make the path climb: dots that it brought are gone, those that it makes here are resolved.
    match super::path::normalise(&path) {
        Ok(path) => Ok(path.into()),
        Err(bad) => Err(Kind::BadRequest.because(format!("{bad}."))),
    }
}

/// Makes the caller's response of the upstream's or the cache's.
pub(super) fn response(snapshot: &Snapshot, authorised: &Authorised, answer: Answer) -> Response<Body> {
    let Answer { mut head, lead, body } = answer;
    if lead.is_some() {
        return Response::from_parts(head, Body::new(body).behind(lead));
    }
    headers::add_via(&mut head.headers, head.version);
    if let Some(rules) = header_rules(snapshot, authorised) {
        rules.response.apply(&mut head.headers);
    }
    Response::from_parts(head, Body::new(body))
}

/// Whether some answers on the route have fields that others have not, by a policy.
pub(crate) fn changes_responses(snapshot: &Snapshot, authorised: &Authorised) -> bool {
    header_rules(snapshot, authorised).is_some() || cors::applies(snapshot, authorised.matched.route())
}

pub(super) fn header_rules<'s>(
    snapshot: &'s Snapshot,
    authorised: &'s Authorised,
) -> Option<&'s HeaderRules> {
    authorised.matched.policies().headers.as_ref().or(snapshot.settings.policies.headers.as_ref())
}

/// A path and query from parts that are known to be well-formed.
pub(crate) fn path_and_query(base: &str, path: &str, query: Option<&str>) -> Outcome<PathAndQuery> {
    let length = base.len() + path.len() + query.map_or(0, |query| query.len() + 1);
    let mut text = String::with_capacity(length);
    text.push_str(base);
    text.push_str(path);
    if let Some(query) = query {
        text.push('?');
        text.push_str(query);
    }
    PathAndQuery::from_maybe_shared(Bytes::from(text))
        .map_err(|error| Kind::BadRequest.because(format!("The path cannot be sent on: {error}.")))
}
