//! The cache policy as the gateway's cache asks it: which query belongs to the key, which headers vary, how long.

use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderName, StatusCode};

use super::spec::{Cache, QueryKey};
use crate::policy::Policy;
use crate::validate::SettingsError;

/// [`Cache`] as a gateway uses it.
#[derive(Clone, Debug)]
pub struct CacheRule {
    ttl: Option<Duration>,
    /// Guess a lifetime where nobody says one.
    pub heuristic: bool,
    pub override_origin: bool,
    /// Staleness that is served while a new response is fetched.
    pub while_revalidate: Option<Duration>,
    /// Staleness that is served in place of an error.
    pub if_error: Option<Duration>,
    statuses: Vec<u16>,
    pub shared: bool,
    pub vary_headers: Vec<HeaderName>,
    query: QueryKey,
    pub max_body_bytes: u64,
}

impl CacheRule {
    /// Prepares the settings.
    ///
    /// # Errors
    /// When a header's name is not one.
    pub fn compile(settings: Cache) -> Result<Self, SettingsError> {
        let Cache {
            ttl_s,
            heuristic,
            override_origin,
            stale_while_revalidate_s,
            stale_if_error_s,
            statuses,
            shared,
            vary_headers,
            query,
            max_body_bytes,
        } = settings;
        let name = |text: &String| {
            HeaderName::from_bytes(text.as_bytes())
                .map_err(|error| SettingsError { kind: Cache::KIND, reason: error.to_string() })
        };
        Ok(Self {
            ttl: ttl_s.map(Duration::from_secs),
            heuristic,
            override_origin,
            while_revalidate: stale_while_revalidate_s.map(Duration::from_secs),
            if_error: stale_if_error_s.map(Duration::from_secs),
            statuses,
            shared,
            vary_headers: vary_headers.iter().map(name).collect::<Result<_, _>>()?,
            query,
            max_body_bytes,
        })
    }

    /// How long the policy keeps a response of this status.
    pub fn ttl(&self, status: StatusCode) -> Option<Duration> {
        self.ttl.filter(|_| self.statuses.contains(&status.as_u16()))
    }

    /// The part of the query that makes a different response.
    pub fn query_key<'q>(&self, query: Option<&'q str>) -> Cow<'q, str> {
        let query = query.unwrap_or_default();
        match &self.query {
            QueryKey::All => Cow::Borrowed(query),
            QueryKey::None => Cow::Borrowed(""),
            QueryKey::Only(names) => select(query, |name| names.iter().any(|kept| kept == name)),
            QueryKey::Except(names) => select(query, |name| !names.iter().any(|left_out| left_out == name)),
        }
    }
}

fn select(query: &str, keep: impl Fn(&str) -> bool) -> Cow<'_, str> {
    let name = |pair: &str| keep(pair.split('=').next().unwrap_or_default());
    if query.split('&').all(name) {
        return Cow::Borrowed(query);
    }
    Cow::Owned(query.split('&').filter(|pair| name(pair)).collect::<Vec<_>>().join("&"))
}
