//! Unsafe methods that succeed make what is stored of the same URLs unusable (RFC 9111 §4.4).

use http::header::{CONTENT_LOCATION, HeaderValue, LOCATION};
use http::uri::Authority;
use http::{HeaderMap, Method, StatusCode, Uri};

use super::key;
use crate::pipeline::{Authorised, Call, path};

/// Forgets the request's URL, and those that the response names on the same host; other gateways are told. The operation need not
/// be cached itself: what counts is whether the `GET` of a URL is.
pub(crate) fn invalidate(call: &Call, authorised: &Authorised, status: StatusCode, response: &HeaderMap) {
    let succeeded = status.is_success() || status.is_redirection();
    if call.method.is_safe() || !succeeded {
        return;
    }
    forget(call, authorised, &authorised.matched.path, call.query());
    for name in [LOCATION, CONTENT_LOCATION] {
        if let Some(uri) = response.get(name).and_then(|value| named(authorised, value)) {
            for path in same_host(call, authorised, &uri) {
                forget(call, authorised, &path, uri.query());
            }
        }
    }
}

/// What a field names, by itself or seen from the URL that was asked for (RFC 3986 §5.2). None: nothing else than that.
pub(super) fn named(authorised: &Authorised, value: &HeaderValue) -> Option<Uri> {
    let reference = value.to_str().ok()?.split('#').next().filter(|text| !text.is_empty())?;
    let path = &*authorised.matched.path;
    let absolute = if reference.starts_with("//") {
        format!("http:{reference}")
    } else if reference.starts_with('/') || has_scheme(reference) {
        reference.to_owned()
    } else if reference.starts_with('?') {
        format!("{path}{reference}")
    } else {
        let (folder, _) = path.rsplit_once('/')?;
        format!("{folder}/{reference}")
    };
    absolute.parse().ok()
}

/// Only before the path: a query may name a URL.
fn has_scheme(reference: &str) -> bool {
    reference.split_once("://").is_some_and(|(scheme, _)| !scheme.contains(['/', '?']))
}

/// Forgets a URL as it stands, and by what belongs to the key of it.
fn forget(call: &Call, authorised: &Authorised, path: &str, query: Option<&str>) {
    let api = &authorised.matched.api;
    let rules = authorised.cache_rule().into_iter().chain(key::rules_of(api, path));
    let mut keys: Vec<_> = rules.map(|rule| rule.query_key(query)).collect();
    if keys.is_empty() {
        return;
    }
    let query = query.unwrap_or_default();
    keys.push(query.into());
    keys.sort();
    keys.dedup();
    let shared = &call.worker.shared;
    keys.iter().for_each(|key| shared.purge_changed(api, path, key));
    shared.changes.note(api.id, path, query);
}

/// Its path below the API's base, when the URI is on the host that the client or the gateway asked.
pub(super) fn same_host(call: &Call, authorised: &Authorised, uri: &Uri) -> Vec<String> {
    let upstream = authorised.matched.route().upstream.as_ref();
    let targets = || upstream.iter().flat_map(|upstream| &upstream.targets);
    if let Some(authority) = uri.authority() {
        let client = call.host.as_ref().is_some_and(|host| is_same(host, authority));
        if !client && !targets().any(|target| is_same(&target.authority, authority)) {
            return Vec::new();
        }
    }
    let Ok(whole) = path::normalise(uri.path()) else { return Vec::new() };
    let api = &authorised.matched.api;
    let base = format!("/{}/{}", api.tenant_slug, api.slug);
    // The upstream may name it in its own space or in the gateway's: all are forgotten.
    let bases = targets().map(|target| &*target.base_path).chain([&*base, ""]);
    let mut paths: Vec<_> = bases.filter_map(|base| below(&whole, base)).map(str::to_owned).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// What is left of a path below a base.
fn below<'p>(path: &'p str, base: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(base)?;
    Some(if rest.is_empty() { "/" } else { rest }).filter(|rest| rest.starts_with('/'))
}

/// Hosts have no case (RFC 3986 §6.2.2.1).
fn is_same(host: &HeaderValue, authority: &Authority) -> bool {
    host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes())
}

/// Whether a method can be answered from the cache at all.
pub(super) fn is_cacheable(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}
