//! From a URL below an API's base to a request that a caller could have made, if it is worth making.

use std::sync::Arc;

use http::header::{CACHE_CONTROL, HOST, HeaderName, HeaderValue, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, Method, Request};
use sluice_contract::definition::Access;
use sluice_contract::warming::AsCallers;

use super::outcome::Outcome;
use crate::compile::Api;
use crate::pipeline::{X_FORWARDED_PROTO, path};
use crate::router::Found;

/// What upstreams see as the caller.
const AGENT: HeaderValue = HeaderValue::from_static("sluice-warming");

/// What the requests of a job have in common.
pub(super) struct Aim {
    api: Arc<Api>,
    /// What stands before the path: nothing on a host of the API's own.
    base: String,
    headers: HeaderMap,
}

impl Aim {
    /// `own_url` is where callers reach the gateway.
    pub(super) fn new(api: Arc<Api>, as_callers: AsCallers, own_url: &str, renew_s: u64) -> Self {
        let AsCallers { address, headers: fields } = as_callers;
        let own = url::Url::parse(own_url).ok();
        let said = address.and_then(|address| url::Url::parse(&address).ok());
        let (scheme, authority) = match (&said, api.hosts.first()) {
            (Some(said), _) => (said.scheme(), said.authority().to_owned()),
            (None, Some(host)) => (own.as_ref().map_or("http", url::Url::scheme), host.to_string()),
            (None, None) => {
                own.as_ref().map_or(("http", String::new()), |own| (own.scheme(), own.authority().to_owned()))
            }
        };
        let name = authority.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        let name = name.map_or(&*authority, |(name, _)| name);
        let is_own = api.hosts.iter().any(|host| **host == *name);
        let base = if is_own { String::new() } else { format!("/{}/{}", api.tenant_slug, api.slug) };
        let mut headers = HeaderMap::new();
        for field in fields {
            let name = HeaderName::from_bytes(field.name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&field.value)) {
                headers.append(name, value);
            }
        }
        headers.entry(USER_AGENT).or_insert(AGENT);
        headers.insert(HOST, HeaderValue::from_str(&authority).unwrap_or(HeaderValue::from_static("")));
        if scheme == "https" {
            headers.insert(X_FORWARDED_PROTO.clone(), HeaderValue::from_static("https"));
        }
        if let Some(fresh) = (renew_s > 0).then(|| HeaderValue::from_str(&format!("min-fresh={renew_s}"))) {
            headers.extend(fresh.ok().map(|fresh| (CACHE_CONTROL, fresh)));
        }
        Self { api, base, headers }
    }

    /// The head of the request.
    ///
    /// # Errors
    /// What to say of a URL for which no request is made.
    pub(super) fn at(&self, target: &str) -> Result<Parts, Outcome> {
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        // Before the base is put in front, so that no `..` leads out of the API.
        let path = path::normalise(path).map_err(|_| Outcome::invalid_path())?;
        self.worth(&path)?;
        let mut whole = format!("{}{path}", self.base);
        if let Some(query) = query {
            whole.push('?');
            whole.push_str(query);
        }
        let request = Request::builder().method(Method::GET).uri(whole).body(());
        let (mut head, ()) = request.map_err(|_| Outcome::invalid_path())?.into_parts();
        head.headers = self.headers.clone();
        Ok(head)
    }

    /// Whether what is stored for nobody in particular would be of use to callers of this route.
    fn worth(&self, path: &str) -> Result<(), Outcome> {
        let found =
            self.api.router.find(&self.api.routes, &path::for_matching(path), &Method::GET, &self.headers);
        // What has no route is answered by the pipeline, which says so.
        let Found::Route(index) = found else { return Ok(()) };
        let route = &self.api.routes[index];
        let Some(rule) = &route.policies.cache else { return Err(Outcome::Skipped("not_cached")) };
        if rule.strong {
            return Err(Outcome::Skipped("never_stored"));
        }
        if route.access != Access::Public && !rule.shared {
            return Err(Outcome::Skipped("not_shared"));
        }
        Ok(())
    }
}
