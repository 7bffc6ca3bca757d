//! What a stored response is found by.

mod read;

use std::cell::Cell;
use std::hash::{BuildHasher as _, Hasher as _};
use std::ops::Range;
use std::sync::LazyLock;

use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE, HeaderValue};
use sha2::{Digest as _, Sha256};
use sluice_contract::ids::{ApiId, ApplicationId};
use sluice_policies::cache::{CacheRule, Separate};

use crate::compile::Api;
pub(super) use read::{Parts, application_of, read, route};

/// The same in every thread, different in every process, so that nobody outside can aim at a bucket.
static HASHER: LazyLock<ahash::RandomState> = LazyLock::new(ahash::RandomState::new);

/// Hash of text.
pub fn hash(bytes: &[u8]) -> u64 {
    HASHER.hash_one(bytes)
}

/// Names a URL below its API's base: normalised path and the query that belongs to the key.
pub fn url(path: &str, query: &str) -> u64 {
    hash_url(path.as_bytes(), query.as_bytes())
}

fn hash_url(path: &[u8], query: &[u8]) -> u64 {
    let mut hasher = HASHER.build_hasher();
    hasher.write(path);
    hasher.write_u8(b'?');
    hasher.write(query);
    hasher.finish()
}

/// Names what is below something that is named already.
pub(super) fn hash_below(above: u64, name: &str) -> u64 {
    HASHER.hash_one((above, name))
}

/// The API whose response has this key.
pub(super) fn api(key: &[u8]) -> Option<ApiId> {
    let id = key.first_chunk::<16>()?;
    Some(ApiId(uuid::Uuid::from_bytes(*id)))
}

/// The keys of a request: one for everybody, and one for callers who are told apart by it. The second is the first with
/// more behind it, so that both are made in one pass, in memory that the thread uses again for its next request.
#[derive(Clone)]
pub(super) struct Keys {
    text: Vec<u8>,
    shared_end: usize,
    shared_hash: u64,
    caller_hash: Option<u64>,
    has_credentials: bool,
    /// Where the chosen query stands in the text.
    query: Range<usize>,
}

/// A whole key and its hash.
#[derive(Clone, Copy)]
pub(super) struct Key<'k> {
    pub(super) bytes: &'k [u8],
    pub(super) hash: u64,
}

/// What tells a request's response from others, but for the caller.
pub(super) struct Named<'r> {
    pub(super) api: ApiId,
    /// The revision, where each release starts anew.
    pub(super) revision: Option<u32>,
    pub(super) route: &'r str,
    pub(super) https: bool,
    pub(super) host: &'r [u8],
    pub(super) path: &'r str,
    pub(super) query: Option<&'r str>,
    pub(super) headers: &'r HeaderMap,
    /// Of a `POST`: what its body says.
    pub(super) body: Option<Digest>,
}

/// Who asks, where that matters.
#[derive(Clone, Copy, Default)]
pub(super) struct Who<'r> {
    pub(super) application: Option<ApplicationId>,
    /// A key that goes on to the upstream unchecked.
    pub(super) forwarded_key: Option<&'r HeaderValue>,
    /// There is `Authorization` or a cookie.
    pub(super) personal: bool,
}

/// SHA-256.
pub(super) type Digest = [u8; 32];

/// The beginning of a SHA-256 as hexadecimal digits: what people know a key by, the same on every gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ShortDigest([u8; 16]);

impl ShortDigest {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self::beginning(&Sha256::digest(bytes).into())
    }

    pub(super) fn beginning(digest: &Digest) -> Self {
        let mut digits = [0; 16];
        crate::hex::encode(&digest[..8], &mut digits);
        Self(digits)
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

thread_local! {
    /// The text of the last request's keys, to be written over.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Keys {
    /// API, epoch, scheme, method and body, route, host, path after the request's transform, chosen query, chosen cookies;
    /// then the caller. A gateway has one environment, and an API one tenant.
    pub(super) fn new(named: &Named<'_>, who: Who<'_>, rule: &CacheRule) -> Self {
        let Named { api, revision, route, https, host, path, query, headers, body } = named;
        let mut text = SPARE.take();
        text.clear();
        text.extend_from_slice(api.0.as_bytes());
        text.push(u8::from(*https) | u8::from(body.is_some()) << 1 | u8::from(revision.is_some()) << 2);
        text.extend_from_slice(&rule.generation.to_le_bytes());
        text.extend_from_slice(&revision.unwrap_or_default().to_le_bytes());
        text.extend_from_slice(body.as_ref().map_or(&[], |body| &body[..]));
        for part in [route.as_bytes(), host, path.as_bytes()] {
            frame(part, &mut text);
        }
        let query = write_query(*query, rule, &mut text);
        for name in &rule.cookies {
            write_cookies(headers, name, &mut text);
        }
        let shared_end = text.len();
        let shared_hash = hash(&text);
        let caller = identity(who, headers, rule.separate);
        let has_credentials = caller.is_some()
            && (who.application.is_some()
                || who.forwarded_key.is_some()
                || headers.contains_key(AUTHORIZATION));
        let caller_hash = caller.map(|identity| {
            text.extend_from_slice(&identity);
            HASHER.hash_one((shared_hash, identity))
        });
        Self { text, shared_end, shared_hash, caller_hash, has_credentials, query }
    }

    pub(super) fn shared(&self) -> Key<'_> {
        Key { bytes: &self.text[..self.shared_end], hash: self.shared_hash }
    }

    /// None: nothing tells callers apart.
    pub(super) fn caller(&self) -> Option<Key<'_>> {
        Some(Key { bytes: &self.text, hash: self.caller_hash? })
    }

    /// Whether the caller is told apart by more than cookies.
    pub(super) fn has_credentials(&self) -> bool {
        self.has_credentials
    }

    /// The key under which the request's own response would be stored if it is not for everybody.
    pub(super) fn own(&self) -> Key<'_> {
        self.caller().unwrap_or_else(|| self.shared())
    }

    /// The chosen part of the query.
    pub(super) fn query(&self) -> &[u8] {
        &self.text[self.query.clone()]
    }

    /// Names the URL for purges; `path` is what the client asked for below the API's base.
    pub(super) fn url(&self, path: &str) -> u64 {
        hash_url(path.as_bytes(), self.query())
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        SPARE.set(std::mem::take(&mut self.text));
    }
}

/// Length first: no part can pretend to be the beginning of the next.
fn frame(part: &[u8], text: &mut Vec<u8>) {
    text.extend_from_slice(&(part.len() as u32).to_le_bytes());
    text.extend_from_slice(part);
}

/// `/a` and `/a?` are two resources (RFC 3986 §6.2.3): no query is not an empty one.
fn write_query(query: Option<&str>, rule: &CacheRule, text: &mut Vec<u8>) -> Range<usize> {
    let at = text.len();
    text.extend_from_slice(&u32::MAX.to_le_bytes());
    let begin = text.len();
    if let Some(query) = query {
        rule.write_query(query, text);
        let length = (text.len() - begin) as u32;
        text[at..begin].copy_from_slice(&length.to_le_bytes());
    }
    begin..text.len()
}

/// Every value of a cookie in its order, and an end that is no length.
fn write_cookies(headers: &HeaderMap, name: &str, text: &mut Vec<u8>) {
    for line in headers.get_all(COOKIE) {
        for pair in line.as_bytes().split(|&byte| byte == b';') {
            let pair = pair.trim_ascii();
            let (found, value) = match memchr::memchr(b'=', pair) {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &[][..]),
            };
            if found.trim_ascii() == name.as_bytes() {
                frame(value, text);
            }
        }
    }
    text.extend_from_slice(&u32::MAX.to_le_bytes());
}

/// What tells callers apart: the application, and whatever else identifies a person to the upstream.
fn identity(who: Who<'_>, headers: &HeaderMap, separate: Separate) -> Option<Digest> {
    let application = who.application.map(|id| *id.0.as_bytes());
    let by_application = separate == Separate::Application && application.is_some();
    if by_application || (!who.personal && who.forwarded_key.is_none()) {
        // No need to hash what is no secret. Nothing hashes to so many zeros.
        let mut identity = [0; 32];
        identity[..16].copy_from_slice(&application?);
        return Some(identity);
    }
    let mut hash = Sha256::new();
    hash.update(application.unwrap_or_default());
    let mut add = |value: &[u8]| {
        hash.update((value.len() as u64).to_le_bytes());
        hash.update(value);
    };
    // All lines: HTTP/2 may send a cookie in pieces.
    for name in [AUTHORIZATION, COOKIE] {
        let lines = headers.get_all(&name);
        add(&(lines.iter().count() as u64).to_le_bytes());
        lines.iter().for_each(|line| add(line.as_bytes()));
    }
    if let Some(key) = who.forwarded_key {
        add(key.as_bytes());
    }
    Some(hash.finalize().into())
}

/// Path and query of the URLs that a purge of `path` (`/items?page=2`) covers: as it stands, and by the query rules of the routes
/// that may answer it.
pub fn purged_urls(api: Option<&Api>, target: &str) -> Vec<(String, String)> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let Ok(path) = crate::pipeline::path::normalise(path) else { return Vec::new() };
    let as_it_stands = query.unwrap_or_default().to_owned();
    let rules = api.into_iter().flat_map(|api| rules_of(api, &path));
    let mut queries: Vec<String> = rules.map(|rule| rule.query_key(query).into_owned()).collect();
    queries.push(as_it_stands);
    queries.sort();
    queries.dedup();
    queries.into_iter().map(|query| (path.to_string(), query)).collect()
}

/// By which responses to `GET` of a path below the API's base are stored, whatever headers the request had.
pub(super) fn rules_of<'a>(api: &'a Api, path: &str) -> impl Iterator<Item = &'a CacheRule> {
    let path = crate::pipeline::path::for_matching(path);
    let routes = api.router.all(&api.routes, &path, &http::Method::GET);
    routes.into_iter().filter_map(|index| api.routes[index].policies.cache.as_ref())
}

#[cfg(test)]
mod tests;
