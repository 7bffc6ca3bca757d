//! Settings of the response cache.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_contract::problem::FieldProblem;
use sluice_contract::rest::policy_types::PolicyScope;

use super::downstream::Downstream;
use super::forbidden::{self, Forbidden};
use super::origin::{CallerDirectives, OriginSays, TtlRule, origin_says, status_problems};
use super::sharing::Sharing;
use crate::policy::Policy;

/// The longest time that can be set, a year, in seconds.
pub(super) const LONGEST_S: u64 = 31_536_000;

/// What is stored, for how long, and for whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cache {
    /// How long a response stays fresh when the upstream does not say, in seconds. Empty: what says nothing is not
    /// stored.
    #[schemars(title = "Time to live (seconds)", range(max = 31_536_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u64>,
    /// Where neither the upstream nor this policy says how long, guess from `Last-Modified`: a tenth of the time since
    /// then, at most a day.
    #[schemars(title = "Guess freshness")]
    pub heuristic: bool,
    /// Times to live for some responses; the first that covers a response counts, before the time to live above.
    #[schemars(title = "Times to live by response")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ttl_rules: Vec<TtlRule>,
    /// Whose word counts.
    #[schemars(title = "What the upstream says")]
    #[serde(alias = "override_origin", deserialize_with = "origin_says")]
    pub origin: OriginSays,
    /// No stored response stays fresh for less than this, in seconds, whoever says how long.
    #[schemars(title = "Shortest lifetime (seconds)", range(max = 31_536_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_ttl_s: Option<u64>,
    /// No response stays fresh for longer than this, in seconds, whoever says how long.
    #[schemars(title = "Longest lifetime (seconds)", range(max = 31_536_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ttl_s: Option<u64>,
    /// Shortens each lifetime by a random part of up to so many percent, so that what was stored together does not
    /// have to be fetched together.
    #[schemars(title = "Jitter (percent)", range(max = 50))]
    pub jitter_percent: u8,
    /// Nothing older than this is served from the store, in seconds: not while refreshing, not when the upstream is down,
    /// whatever anybody says.
    #[schemars(title = "Oldest data (seconds)", range(max = 31_536_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_s: Option<u64>,
    /// Nothing is stored and nothing stored is served: every call goes to the upstream. For data that must never be old.
    #[schemars(title = "Strong consistency")]
    pub strong_consistency: bool,
    /// A response whose `Age` cannot be read, or comes more than once, counts as old. Off: the field is ignored, or its
    /// first value counts, as RFC 9111 says.
    #[schemars(title = "An unreadable age is old")]
    pub unreadable_age_is_old: bool,
    /// Whether callers' `Cache-Control` counts.
    #[schemars(title = "Directives of callers")]
    pub caller_directives: CallerDirectives,
    /// How long after its time a response is still served while a new one is fetched in the background, in seconds, where
    /// the upstream does not say (`stale-while-revalidate`).
    #[schemars(title = "Serve stale while refreshing (seconds)", range(max = 31_536_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_while_revalidate_s: Option<u64>,
    /// How long after its time a response is still served in place of the upstream's 500, 502, 503 or 504, in seconds,
    /// where the upstream does not say (`stale-if-error`). Without it a response is served for a day if the upstream
    /// cannot be reached, and errors that it sends are passed on.
    #[schemars(title = "Serve stale on errors (seconds)", range(max = 31_536_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_if_error_s: Option<u64>,
    /// Statuses that the time to live above holds for.
    #[schemars(title = "Statuses")]
    pub statuses: Vec<u16>,
    /// Serve one caller's response to other callers. Off, each application has its own copies unless the upstream
    /// says `public` or `s-maxage`.
    #[schemars(title = "Share between callers")]
    pub shared: bool,
    /// Store responses with `Set-Cookie`, and the cookies with them. Off, such responses are stored only where the
    /// upstream says `public` or `s-maxage`, without the cookies.
    #[schemars(title = "Store cookies of responses")]
    pub store_set_cookie: bool,
    /// Request headers that make a different response, besides those that the upstream names in `Vary`.
    #[schemars(title = "Vary by headers")]
    pub vary_headers: Vec<String>,
    /// Which query parameters make a different response.
    #[schemars(title = "Query parameters in the key")]
    pub query: QueryKey,
    /// The order of query parameters makes no difference, but that of parameters with one name.
    #[schemars(title = "Ignore the order of parameters")]
    pub sort_query: bool,
    /// Cookies that make a different response, for everybody: those named here tell shared copies apart too.
    #[schemars(title = "Vary by cookies")]
    pub cookies: Vec<String>,
    /// Who gets copies of their own where responses are not shared.
    #[schemars(title = "Copies of their own for")]
    pub separate: Separate,
    /// Store responses to `POST` too, for searches and GraphQL: the request's body, of at most so many bytes, is part of
    /// the key. Empty: `POST` is never answered from the cache.
    #[schemars(title = "Cache POST up to a body of (bytes)", range(min = 1, max = 1_048_576))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_max_body_bytes: Option<u64>,
    /// Number that is part of the key: with the release that raises it, everything stored before is forgotten.
    #[schemars(title = "Epoch")]
    pub epoch: u32,
    /// Forget everything stored with each release, as if it raised the epoch.
    #[schemars(title = "Start anew with each release")]
    pub each_release: bool,
    /// Pass `Surrogate-Key` and `Cache-Tag` of responses on to callers. Off, they stay between the upstream and the cache.
    #[schemars(title = "Pass tags on to callers")]
    pub pass_tags: bool,
    /// Give responses an `ETag` whose upstream sends neither `ETag` nor `Last-Modified`, made of the stored bytes: callers that
    /// have them already get 304. The upstream never sees it.
    #[schemars(title = "Make ETags")]
    pub make_etags: bool,
    /// What browsers and other caches of callers are told by `Cache-Control` about responses that are stored here.
    #[schemars(title = "Cache-Control for browsers")]
    pub browsers: Downstream,
    /// What CDNs in front of the gateway are told about them by `CDN-Cache-Control` and `Surrogate-Control`.
    #[schemars(title = "Cache-Control for CDNs")]
    pub cdns: Downstream,
    /// A response that has any of this in its text or fields is not stored.
    #[schemars(title = "Never store what has")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forbidden: Vec<Forbidden>,
    /// So many bytes of a text are looked at for it, decoded. What is larger, or cannot be read, is not stored then.
    #[schemars(title = "Look at texts of up to (bytes)", range(min = 1, max = 67_108_864))]
    pub forbidden_max_bytes: u64,
    /// Whether the response to a change is stored in place of what it has changed.
    #[schemars(title = "Answers to changes")]
    pub write_through: WriteThrough,
    /// Bytes of the largest response that is stored.
    #[schemars(title = "Largest response (bytes)", range(min = 1))]
    pub max_body_bytes: u64,
    /// Settings that show one caller's data to others, each named here a second time; without it they are not saved. The
    /// console fills it in when a person confirms what would be shared.
    #[schemars(title = "Confirmed", extend("x-confirmation" = true))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub confirmed: Vec<Sharing>,
}

/// Which query parameters are part of the cache key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "mode", content = "names", deny_unknown_fields)]
pub enum QueryKey {
    /// All of them, as they stand.
    #[default]
    All,
    /// None: the query makes no difference.
    None,
    /// Only these.
    Only(Vec<String>),
    /// All but these.
    Except(Vec<String>),
}

/// Who gets copies of their own where responses are not shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Separate {
    /// Each caller: the application, and whatever else the request has for credentials (`Authorization`, cookies).
    #[default]
    Caller,
    /// Each application: its users share. A request without an application still gets copies by its credentials.
    Application,
}

/// Whether the response to a successful `PUT`, `POST` or `PATCH` answers later `GET`s of its URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WriteThrough {
    /// Only that of a `POST` which names its own URL in `Content-Location` and says how long it is fresh.
    #[default]
    Explicit,
    /// One that names its own URL in `Content-Location`, for as long as the response to a `GET` would be stored.
    Named,
    /// Every one: this upstream answers a change with what is there from now on.
    Always,
}

/// The largest request body that can be part of a key.
const MAX_POST_BODY: u64 = 1 << 20;

impl Default for Cache {
    fn default() -> Self {
        Self {
            ttl_s: None,
            heuristic: false,
            ttl_rules: Vec::new(),
            origin: OriginSays::Honour,
            min_ttl_s: None,
            max_ttl_s: None,
            jitter_percent: 0,
            oldest_s: None,
            strong_consistency: false,
            unreadable_age_is_old: false,
            caller_directives: CallerDirectives::Obey,
            stale_while_revalidate_s: None,
            stale_if_error_s: None,
            statuses: vec![200, 203, 204, 300, 301, 308],
            shared: false,
            store_set_cookie: false,
            vary_headers: Vec::new(),
            query: QueryKey::All,
            sort_query: false,
            cookies: Vec::new(),
            separate: Separate::Caller,
            post_max_body_bytes: None,
            epoch: 0,
            each_release: false,
            pass_tags: false,
            make_etags: false,
            browsers: Downstream::Keep,
            cdns: Downstream::Keep,
            forbidden: Vec::new(),
            forbidden_max_bytes: 1 << 20,
            write_through: WriteThrough::Explicit,
            max_body_bytes: 8 << 20,
            confirmed: Vec::new(),
        }
    }
}

impl Policy for Cache {
    const KIND: &'static str = "cache";
    const TITLE: &'static str = "Response cache";
    const DESCRIPTION: &'static str = "Stores responses to `GET` and serves them again by RFC 9111: freshness and \
        `Vary` as the upstream says, validation by `ETag` and `Last-Modified`, and `Cache-Status` on every response. \
        Equal requests that miss at the same time share one call to the upstream. The route's attachment replaces \
        the API's.";
    const SCOPES: &'static [PolicyScope] = &[PolicyScope::Api, PolicyScope::Route];

    fn example() -> Self {
        Self { ttl_s: Some(60), ..Self::default() }
    }

    fn problems(&self) -> Vec<FieldProblem> {
        let Self {
            ttl_s,
            heuristic: _,
            ttl_rules,
            origin,
            min_ttl_s,
            max_ttl_s,
            jitter_percent,
            oldest_s,
            strong_consistency: _,
            unreadable_age_is_old: _,
            caller_directives: _,
            stale_while_revalidate_s,
            stale_if_error_s,
            statuses,
            shared: _,
            store_set_cookie: _,
            vary_headers,
            query: _,
            sort_query: _,
            cookies,
            separate: _,
            post_max_body_bytes,
            epoch: _,
            each_release: _,
            pass_tags: _,
            make_etags: _,
            browsers,
            cdns,
            forbidden,
            forbidden_max_bytes,
            write_through: _,
            max_body_bytes,
            // Asked for by `said_once`.
            confirmed: _,
        } = self;
        let mut problems = Vec::new();
        let times = [
            ("/ttl_s", ttl_s),
            ("/min_ttl_s", min_ttl_s),
            ("/max_ttl_s", max_ttl_s),
            ("/oldest_s", oldest_s),
            ("/stale_while_revalidate_s", stale_while_revalidate_s),
            ("/stale_if_error_s", stale_if_error_s),
        ];
        for (pointer, seconds) in times {
            if seconds.is_some_and(|seconds| seconds > LONGEST_S) {
                let message = "A response is kept for at most a year (31,536,000 seconds).";
                problems.push(FieldProblem::new(pointer, "out_of_range", message));
            }
        }
        if *origin != OriginSays::Honour && ttl_s.is_none() && ttl_rules.is_empty() {
            let message = "Say for how long: to stand above the upstream, the policy needs a time to live.";
            problems.push(FieldProblem::new("/ttl_s", "required", message));
        }
        if min_ttl_s.zip(*max_ttl_s).is_some_and(|(least, most)| least > most) {
            let message = "The least time to live is longer than the longest.";
            problems.push(FieldProblem::new("/min_ttl_s", "out_of_range", message));
        }
        if *jitter_percent > 50 {
            let message = "Jitter takes at most half of a lifetime (50 percent).";
            problems.push(FieldProblem::new("/jitter_percent", "out_of_range", message));
        }
        for (i, rule) in ttl_rules.iter().enumerate() {
            problems.extend(rule.problems(&format!("/ttl_rules/{i}")));
        }
        problems.extend(status_problems(statuses, "/statuses"));
        for (i, name) in vary_headers.iter().enumerate() {
            if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
                let message = format!("`{name}` is not a header name.");
                problems.push(FieldProblem::new(format!("/vary_headers/{i}"), "invalid_header", message));
            }
        }
        for (i, name) in cookies.iter().enumerate() {
            // RFC 6265 §4.1.1: a cookie's name is a token, as a header's is.
            if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
                let message = format!("`{name}` is not a cookie's name.");
                problems.push(FieldProblem::new(format!("/cookies/{i}"), "invalid_cookie", message));
            }
        }
        if post_max_body_bytes.is_some_and(|bytes| !(1..=MAX_POST_BODY).contains(&bytes)) {
            let message = "A request body in the key has between 1 byte and 1 MiB.";
            problems.push(FieldProblem::new("/post_max_body_bytes", "out_of_range", message));
        }
        problems.extend(browsers.problems("/browsers"));
        problems.extend(cdns.problems("/cdns"));
        problems.extend(forbidden::problems(forbidden, "/forbidden"));
        if !(1..=forbidden::MOST_BYTES).contains(forbidden_max_bytes) {
            let message = "Between 1 byte and 64 MiB of a text are looked at.";
            problems.push(FieldProblem::new("/forbidden_max_bytes", "out_of_range", message));
        }
        if !(1..=1 << 30).contains(max_body_bytes) {
            let message = "The largest response is between 1 byte and 1 GiB.";
            problems.push(FieldProblem::new("/max_body_bytes", "out_of_range", message));
        }
        problems
    }

    fn said_once(&self) -> Vec<FieldProblem> {
        Cache::said_once(self)
    }
}
