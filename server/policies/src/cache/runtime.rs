//! The cache policy as the gateway's cache asks it: which query belongs to the key, which headers vary, how long.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method, StatusCode};

use super::downstream::Telling;
use super::forbidden::ForbiddenRule;
use super::origin::{CallerDirectives, OriginSays, TtlRule};
use super::query::QueryRule;
use super::spec::{Cache, Separate, WriteThrough};
use crate::policy::Policy;
use crate::validate::SettingsError;

/// [`Cache`] as a gateway uses it.
#[derive(Clone, Debug)]
pub struct CacheRule {
    ttl: Option<Duration>,
    /// Guess a lifetime where nobody says one.
    pub heuristic: bool,
    ttl_rules: Vec<TtlRule>,
    pub origin: OriginSays,
    least: Duration,
    longest: Option<Duration>,
    jitter_percent: u8,
    /// Age past which nothing is served.
    pub oldest: Option<Duration>,
    /// Everything goes to the upstream.
    pub strong: bool,
    /// Distrusts a response whose `Age` cannot be read.
    pub unreadable_age_is_old: bool,
    /// Whether directives of requests count.
    pub obeys_callers: bool,
    /// Staleness that is served while a new response is fetched.
    pub while_revalidate: Option<Duration>,
    /// Staleness that is served in place of an error.
    pub if_error: Option<Duration>,
    statuses: Vec<u16>,
    pub shared: bool,
    pub store_set_cookie: bool,
    pub vary_headers: Vec<HeaderName>,
    query: QueryRule,
    /// Cookies that are part of the key.
    pub cookies: Vec<Box<str>>,
    pub separate: Separate,
    /// Bytes of the largest body of a `POST` that is part of a key; None: `POST` is not cached.
    pub post_max_body_bytes: Option<u64>,
    /// Part of the key: the policy's epoch, and what must not be stored. What was stored by other rules has not been looked at.
    pub generation: u64,
    /// The revision is part of the key.
    pub each_release: bool,
    /// Callers see the upstream's tags.
    pub pass_tags: bool,
    /// Responses without a validator get one.
    pub make_etags: bool,
    /// What caches downstream are told; None: what the upstream says.
    pub telling: Option<Telling>,
    /// What is not stored; None: nothing is looked for.
    pub forbidden: Option<Arc<ForbiddenRule>>,
    pub write_through: WriteThrough,
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
            ttl_rules,
            origin,
            min_ttl_s,
            max_ttl_s,
            jitter_percent,
            oldest_s,
            strong_consistency,
            unreadable_age_is_old,
            caller_directives,
            stale_while_revalidate_s,
            stale_if_error_s,
            statuses,
            shared,
            store_set_cookie,
            vary_headers,
            query,
            sort_query,
            cookies,
            separate,
            post_max_body_bytes,
            epoch,
            each_release,
            pass_tags,
            make_etags,
            browsers,
            cdns,
            forbidden,
            forbidden_max_bytes,
            write_through,
            max_body_bytes,
            // For people who save it: what was released is served.
            confirmed: _,
        } = settings;
        let name = |text: &String| {
            HeaderName::from_bytes(text.as_bytes())
                .map_err(|error| SettingsError { kind: Cache::KIND, reason: error.to_string() })
        };
        let forbidden = ForbiddenRule::compile(&forbidden, forbidden_max_bytes)
            .map_err(|reason| SettingsError { kind: Cache::KIND, reason })?;
        Ok(Self {
            ttl: ttl_s.map(Duration::from_secs),
            heuristic,
            ttl_rules,
            origin,
            least: min_ttl_s.map(Duration::from_secs).unwrap_or_default(),
            // What must not be served is not fresh.
            longest: max_ttl_s.into_iter().chain(oldest_s).min().map(Duration::from_secs),
            jitter_percent,
            oldest: oldest_s.map(Duration::from_secs),
            strong: strong_consistency,
            unreadable_age_is_old,
            obeys_callers: caller_directives == CallerDirectives::Obey,
            while_revalidate: stale_while_revalidate_s.map(Duration::from_secs),
            if_error: stale_if_error_s.map(Duration::from_secs),
            statuses,
            shared,
            store_set_cookie,
            vary_headers: vary_headers.iter().map(name).collect::<Result<_, _>>()?,
            query: QueryRule { chosen: query, sorted: sort_query },
            cookies: cookies.into_iter().map(String::into_boxed_str).collect(),
            separate,
            post_max_body_bytes,
            generation: u64::from(epoch) | forbidden.as_ref().map_or(0, |rule| u64::from(rule.id)) << 32,
            each_release,
            pass_tags,
            make_etags,
            telling: Telling::new(&browsers, &cdns),
            forbidden,
            write_through,
            max_body_bytes,
        })
    }

    /// How long the policy keeps such a response.
    pub fn ttl(&self, method: &Method, status: StatusCode, content_type: Option<&str>) -> Option<Duration> {
        let mut rules = self.ttl_rules.iter();
        match rules.find(|rule| rule.covers(status.as_u16(), method.as_str(), content_type)) {
            Some(rule) => Some(Duration::from_secs(rule.ttl_s)),
            None => self.ttl.filter(|_| self.statuses.contains(&status.as_u16())),
        }
    }

    /// A lifetime within the policy's bounds.
    pub fn bounded(&self, lifetime: Duration) -> Duration {
        let lifetime = lifetime.max(self.least);
        self.longest.map_or(lifetime, |longest| lifetime.min(longest))
    }

    /// A lifetime shortened by the policy's jitter; `draw` is any random number.
    pub fn jittered(&self, lifetime: Duration, draw: u64) -> Duration {
        let percent = u64::from(self.jitter_percent.min(100));
        let taken = (lifetime.as_millis() as u64).saturating_mul(percent) / 100;
        lifetime - Duration::from_millis(if taken == 0 { 0 } else { draw % (taken + 1) })
    }

    /// The part of the query that makes a different response.
    pub fn query_key<'q>(&self, query: Option<&'q str>) -> Cow<'q, str> {
        self.query.key(query.unwrap_or_default())
    }

    /// Appends the same to a key.
    pub fn write_query(&self, query: &str, key: &mut Vec<u8>) {
        self.query.write(query, key);
    }
}
