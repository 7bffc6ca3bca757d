//! A request that nobody has sent: what the pipeline would make of it before the cache, for people who ask.

use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderMap, Method};

use super::fields::Fields;
use super::route::Matched;
use super::{authenticate, path, transform};
use crate::compile::Api;
use crate::router::Found;
use crate::state::Snapshot;

/// What the cache would see of it.
pub(crate) struct Assumed {
    pub(crate) matched: Matched,
    /// Where the upstream would see it.
    pub(crate) path: Rc<str>,
    /// Without a key.
    pub(crate) query: Option<String>,
    /// There is `Authorization` or a cookie.
    pub(crate) personal: bool,
    /// Something is said to caches.
    pub(crate) to_caches: bool,
}

/// Of an API, what is below its base. None: the API has no route for it.
pub(crate) fn assume(
    snapshot: &Snapshot,
    api: &Arc<Api>,
    method: &Method,
    target: &str,
    headers: &HeaderMap,
) -> Option<Assumed> {
    let (raw, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let normal = path::normalise(raw).ok()?;
    let found = api.router.find(&api.routes, &path::for_matching(&normal), method, headers);
    let Found::Route(index) = found else { return None };
    let matched = Matched::of(api, index, &normal);
    let clean = authenticate::rule(snapshot, &matched).strip_query(query);
    let fields = Fields::of(headers);
    Some(Assumed {
        path: transform::path(&matched).ok()?,
        query: clean.unwrap_or_else(|| query.map(str::to_owned)),
        personal: fields.personal,
        to_caches: fields.steers_caches,
        matched,
    })
}
