//! What a stored response is found by.

use std::sync::LazyLock;

use http::header::{AUTHORIZATION, COOKIE, HeaderValue};
use sluice_contract::ids::ApiId;
use sluice_contract::part::Sha256Hash;
use sluice_policies::cache::CacheRule;

use crate::compile::Api;
use crate::pipeline::{Authorised, Head};
use crate::router::Found;

/// The same in every thread, different in every process, so that nobody outside can aim at a bucket.
static HASHER: LazyLock<ahash::RandomState> = LazyLock::new(ahash::RandomState::new);

/// Hash of text.
pub fn hash(bytes: &[u8]) -> u64 {
    HASHER.hash_one(bytes)
}

/// Names a URL below its API's base: normalised path and the query that belongs to the key.
pub fn url(path: &str, query: &str) -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    let mut hasher = HASHER.build_hasher();
    hasher.write(path.as_bytes());
    hasher.write_u8(b'?');
    hasher.write(query.as_bytes());
    hasher.finish()
}

/// The API whose response has this key.
pub(super) fn api(key: &[u8]) -> Option<ApiId> {
    let id = key.first_chunk::<16>()?;
    Some(ApiId(uuid::Uuid::from_bytes(*id)))
}

/// The keys of a request: one for everybody, and one for callers who are told apart by it.
pub(super) struct Keys {
    pub(super) shared: Key,
    pub(super) caller: Option<Key>,
    /// Names the URL for purges.
    pub(super) url: u64,
}

/// A whole key and its hash.
pub(super) struct Key {
    pub(super) bytes: Box<[u8]>,
    pub(super) hash: u64,
}

impl Keys {
    /// Environment (a gateway has one), API, route, host, path after the request's transform, chosen query, caller.
    pub(super) fn new(authorised: &Authorised, head: &Head, rule: &CacheRule) -> Self {
        let matched = &authorised.matched;
        let query = rule.query_key(head.query.as_deref());
        let route = matched.route();
        let host = head.client_host.as_ref().map(HeaderValue::as_bytes).unwrap_or_default();
        let mut bytes = Vec::with_capacity(64 + route.id.len() + host.len() + head.path.len() + query.len());
        bytes.extend_from_slice(matched.api.id.0.as_bytes());
        for part in [route.id.as_bytes(), host, head.path.as_bytes(), query.as_bytes()] {
            // Lengths first: no part can pretend to be the beginning of the next.
            bytes.extend_from_slice(&(part.len() as u32).to_le_bytes());
            bytes.extend_from_slice(part);
        }
        let url = url(&matched.path, &query);
        let shared = Key::new(bytes.clone());
        let caller = identity(authorised, head).map(|identity| {
            bytes.extend_from_slice(&identity);
            Key::new(bytes)
        });
        Self { shared, caller, url }
    }

    /// The key under which the request's own response would be stored if it is not for everybody.
    pub(super) fn own(&self) -> &Key {
        self.caller.as_ref().unwrap_or(&self.shared)
    }
}

impl Key {
    fn new(bytes: Vec<u8>) -> Self {
        Self { hash: hash(&bytes), bytes: bytes.into_boxed_slice() }
    }
}

/// What tells callers apart: the application, and whatever else identifies a person to the upstream.
fn identity(authorised: &Authorised, head: &Head) -> Option<[u8; 32]> {
    let application = authorised.credential().map(|credential| credential.application);
    let personal = [AUTHORIZATION, COOKIE].map(|name| head.headers.get(name).map(HeaderValue::as_bytes));
    if personal == [None, None] {
        // No need to hash what is no secret.
        let mut identity = [0; 32];
        identity[..16].copy_from_slice(application?.0.as_bytes());
        return Some(identity);
    }
    let mut text = Vec::new();
    text.extend_from_slice(application.map(|id| *id.0.as_bytes()).as_ref().map_or(&[], |id| &id[..]));
    for part in personal {
        text.push(0);
        text.extend_from_slice(part.unwrap_or_default());
    }
    Some(Sha256Hash::of(&text).0)
}

/// The URLs that a purge of `path` (`/items?page=2`) covers: as it stands, and by the query rule of the route that answers it.
pub fn purged_urls(api: Option<&Api>, target: &str) -> Vec<u64> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let Ok(path) = crate::pipeline::path::normalise(path) else { return Vec::new() };
    let mut urls = vec![url(&path, query.unwrap_or_default())];
    let rule = api.and_then(|api| {
        let found = api.router.find(&api.routes, &path, &http::Method::GET, &http::HeaderMap::new());
        let Found::Route(index) = found else { return None };
        api.routes[index].policies.cache.as_ref()
    });
    if let Some(rule) = rule {
        urls.push(url(&path, &rule.query_key(query)));
    }
    urls
}
