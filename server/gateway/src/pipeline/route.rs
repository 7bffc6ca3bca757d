//! Which API, and which of its routes.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use http::Method;
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN};

use super::failure::{Kind, Outcome};
use super::{Arrived, Call, path};
use crate::compile::{Api, Route, RoutePolicies};
use crate::router::Found;
use crate::state::Snapshot;

/// The route of a request.
#[derive(Clone)]
pub(crate) struct Matched {
    pub(crate) api: Arc<Api>,
    index: usize,
    /// Normalised path below the API's base: what the upstream sees.
    pub(crate) path: Rc<str>,
    /// Whether this is a preflight, matched by the method that it asks about.
    pub(crate) preflight: bool,
}

impl Matched {
    /// A route as [`find`] has it, of a path below the API's base that is normalised.
    pub(super) fn of(api: &Arc<Api>, index: usize, path: &str) -> Self {
        Self { api: Arc::clone(api), index, path: path.into(), preflight: false }
    }

    /// For the record.
    pub(super) fn note(&self, call: &mut Call) {
        call.api = Some(Arc::clone(&self.api));
        call.route = Some(self.index);
    }

    pub(crate) fn route(&self) -> &Route {
        &self.api.routes[self.index]
    }

    pub(crate) fn policies(&self) -> &RoutePolicies {
        &self.route().policies
    }
}

/// Finds it, and notes it for the record.
pub(super) fn find(snapshot: &Snapshot, call: &mut Call, arrived: &Arrived) -> Outcome<Matched> {
    let head = &arrived.head;
    let normal =
        path::normalise(head.uri.path()).map_err(|bad| Kind::BadRequest.because(format!("{bad}.")))?;
    // A preflight is about the method that it names, not about OPTIONS.
    let asked = (head.method == Method::OPTIONS && head.headers.contains_key(ORIGIN))
        .then(|| head.headers.get(ACCESS_CONTROL_REQUEST_METHOD))
        .flatten()
        .and_then(|method| Method::from_bytes(method.as_bytes()).ok());
    let method = asked.as_ref().unwrap_or(&head.method);

    let host = call.host.clone().filter(|_| snapshot.apis.some_have_hosts());
    let host = host_name(host.as_ref());
    let mut refused = None;
    for (api, below) in candidates(snapshot, &host, &normal) {
        match api.router.find(&api.routes, &path::for_matching(below), method, &head.headers) {
            Found::Route(index) => {
                let preflight = asked.is_some();
                let matched = Matched { api: Arc::clone(api), index, path: below.into(), preflight };
                matched.note(call);
                return Ok(matched);
            }
            Found::OtherMethods(methods) => {
                call.api = Some(Arc::clone(api));
                let detail = format!("{method} is not allowed here.");
                refused = Some(Kind::Method.because(detail).allow(&methods));
            }
            Found::Nothing => {
                call.api.get_or_insert_with(|| Arc::clone(api));
                refused.get_or_insert_with(|| Kind::NoRoute.because("No route of the API has this path."));
            }
        }
    }
    Err(refused.unwrap_or_else(|| {
        Kind::NoApi.because("An API answers under /{tenant}/{api}, or on a host of its own.")
    }))
}

/// The APIs that a request may be for, with the path below their base: those on the host itself come first.
fn candidates<'s, 'p>(
    snapshot: &'s Snapshot,
    host: &str,
    path: &'p str,
) -> impl Iterator<Item = (&'s Arc<Api>, &'p str)> {
    let own = snapshot.apis.on_host(host).iter().map(move |api| (api, path));
    let shared = base(path).and_then(|(slugs, below)| Some((snapshot.apis.at(slugs)?, below)));
    own.chain(shared)
}

/// `tenant/api` and the path below; `/` when there is none.
fn base(path: &str) -> Option<(&str, &str)> {
    let bytes = path.as_bytes();
    let first = memchr::memchr(b'/', bytes.get(1..)?)? + 1;
    let end = memchr::memchr(b'/', &bytes[first + 1..]).map_or(bytes.len(), |at| first + 1 + at);
    let below = if end == bytes.len() { "/" } else { &path[end..] };
    Some((&path[1..end], below))
}

/// The host of the request without port, in lower case.
fn host_name(host: Option<&HeaderValue>) -> Cow<'_, str> {
    let host = host.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = match memchr::memrchr(b':', host.as_bytes()) {
        Some(colon) if host[colon + 1..].bytes().all(|byte| byte.is_ascii_digit()) => &host[..colon],
        _ => host,
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_is_the_first_two_segments() {
        assert_eq!(base("/acme/orders/1/2"), Some(("acme/orders", "/1/2")));
        assert_eq!(base("/acme/orders/"), Some(("acme/orders", "/")));
        assert_eq!(base("/acme/orders"), Some(("acme/orders", "/")));
        assert_eq!(base("/acme"), None);
        assert_eq!(base("/"), None);
        assert_eq!(base("//acme/orders"), Some(("/acme", "/orders")));
    }
}
