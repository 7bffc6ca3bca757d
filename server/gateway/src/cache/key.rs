//! What a stored response is found by.

use std::sync::LazyLock;

use crate::compile::Api;
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
