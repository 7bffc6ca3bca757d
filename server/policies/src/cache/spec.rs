//! Settings of the response cache.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_contract::problem::FieldProblem;
use sluice_contract::rest::policy_types::PolicyScope;

use crate::policy::Policy;

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
    /// Use the time to live above whatever the upstream says, even `no-store` and `private`.
    #[schemars(title = "Override the upstream")]
    pub override_origin: bool,
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
    /// Request headers that make a different response, besides those that the upstream names in `Vary`.
    #[schemars(title = "Vary by headers")]
    pub vary_headers: Vec<String>,
    /// Which query parameters make a different response.
    #[schemars(title = "Query parameters in the key")]
    pub query: QueryKey,
    /// Bytes of the largest response that is stored.
    #[schemars(title = "Largest response (bytes)", range(min = 1))]
    pub max_body_bytes: u64,
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

impl Default for Cache {
    fn default() -> Self {
        Self {
            ttl_s: None,
            heuristic: false,
            override_origin: false,
            stale_while_revalidate_s: None,
            stale_if_error_s: None,
            statuses: vec![200, 203, 204, 300, 301, 308],
            shared: false,
            vary_headers: Vec::new(),
            query: QueryKey::All,
            max_body_bytes: 8 << 20,
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
            override_origin,
            stale_while_revalidate_s,
            stale_if_error_s,
            statuses,
            shared: _,
            vary_headers,
            query: _,
            max_body_bytes,
        } = self;
        let mut problems = Vec::new();
        let times = [
            ("/ttl_s", ttl_s),
            ("/stale_while_revalidate_s", stale_while_revalidate_s),
            ("/stale_if_error_s", stale_if_error_s),
        ];
        for (pointer, seconds) in times {
            if seconds.is_some_and(|seconds| seconds > 31_536_000) {
                let message = "A response is kept for at most a year (31,536,000 seconds).";
                problems.push(FieldProblem::new(pointer, "out_of_range", message));
            }
        }
        if *override_origin && ttl_s.is_none() {
            let message = "Say for how long: overriding the upstream needs a time to live.";
            problems.push(FieldProblem::new("/ttl_s", "required", message));
        }
        for (i, status) in statuses.iter().enumerate() {
            if !(200..600).contains(status) || matches!(status, 206 | 304) {
                let message = format!("`{status}` is not a status that can be stored whole.");
                problems.push(FieldProblem::new(format!("/statuses/{i}"), "invalid_status", message));
            }
        }
        for (i, name) in vary_headers.iter().enumerate() {
            if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
                let message = format!("`{name}` is not a header name.");
                problems.push(FieldProblem::new(format!("/vary_headers/{i}"), "invalid_header", message));
            }
        }
        if !(1..=1 << 30).contains(max_body_bytes) {
            let message = "The largest response is between 1 byte and 1 GiB.";
            problems.push(FieldProblem::new("/max_body_bytes", "out_of_range", message));
        }
        problems
    }
}
