//! Answers to preflights, and the marks that let pages read answers.

use http::header::{HeaderValue, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use sluice_policies::cors::CorsRule;

use super::Call;
use super::route::Matched;
use crate::body::Body;
use crate::compile::Route;
use crate::state::Snapshot;

/// The answer to a preflight on a route with CORS. Other preflights go on as plain requests.
pub(super) fn preflight(
    snapshot: &Snapshot,
    call: &mut Call,
    matched: &Matched,
    head: &Parts,
) -> Option<Response<Body>> {
    if !matched.preflight {
        return None;
    }
    let rule = rule(snapshot, matched.route())?;
    let origin = head.headers.get(ORIGIN)?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    *response.headers_mut() = rule.preflight(&head.headers, origin, &allowed(matched.route()));
    call.answered_preflight = true;
    Some(response)
}

/// Marks any answer on a route with CORS, refusals too: a page could not even read why.
pub(super) fn mark(snapshot: &Snapshot, call: &Call, headers: &mut HeaderMap) {
    if call.answered_preflight {
        return;
    }
    let route = call.api.as_ref().zip(call.route).and_then(|(api, index)| api.routes.get(index));
    // Where no route was found the environment's rule still lets a page read that.
    let rule = route.map_or(snapshot.settings.policies.cors.as_ref(), |route| rule(snapshot, route));
    if let Some(rule) = rule {
        rule.mark(call.origin.as_ref(), headers);
    }
}

/// Whether answers on the route are marked.
pub(super) fn applies(snapshot: &Snapshot, route: &Route) -> bool {
    rule(snapshot, route).is_some()
}

fn rule<'s>(snapshot: &'s Snapshot, route: &'s Route) -> Option<&'s CorsRule> {
    route.policies.cors.as_ref().or(snapshot.settings.policies.cors.as_ref())
}

fn allowed(route: &Route) -> HeaderValue {
    if route.methods.is_empty() {
        return HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
    }
    let mut methods: Vec<&str> = route.methods.iter().map(Method::as_str).collect();
    if methods.contains(&"GET") && !methods.contains(&"HEAD") {
        methods.push("HEAD");
    }
    HeaderValue::from_str(&methods.join(", ")).unwrap_or(HeaderValue::from_static("GET"))
}
