//! Settings of the request rate limit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_contract::problem::FieldProblem;
use sluice_contract::rest::policy_types::PolicyScope;

use crate::policy::Policy;

/// How many requests are allowed in how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// How many requests are allowed in one period.
    #[schemars(title = "Requests", range(min = 1, max = 1_000_000_000))]
    pub requests: u64,
    /// Length of a period in seconds.
    #[schemars(title = "Period (seconds)", range(min = 1, max = 2_678_400))]
    #[serde(default = "minute")]
    pub period_s: u64,
    /// How many requests may come at once. Empty: as many as are allowed in a period.
    #[schemars(title = "Burst", range(min = 1))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u64>,
    /// Whom the limit counts. On a plan and an application it always counts that subscription or application.
    #[schemars(title = "Counted for")]
    #[serde(default)]
    pub per: CountedFor,
}

fn minute() -> u64 {
    60
}

/// Whom a limit on an environment, API or route counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CountedFor {
    /// Each caller by itself: its application, or its address where no key is needed.
    #[default]
    Caller,
    /// All callers together.
    Everyone,
}

impl Policy for RateLimit {
    const KIND: &'static str = "rate-limit";
    const TITLE: &'static str = "Rate limit";
    const DESCRIPTION: &'static str = "Allows a number of requests in a period, refilled evenly; more get `429` with \
        `Retry-After`. Limits of the environment, the API (or the route, which replaces the API's), the plan and the \
        application all hold at once. Each gateway counts for itself.";
    const SCOPES: &'static [PolicyScope] = &[
        PolicyScope::Environment,
        PolicyScope::Api,
        PolicyScope::Route,
        PolicyScope::Plan,
        PolicyScope::Application,
    ];
    const REPEATABLE: bool = true;

    fn example() -> Self {
        Self { requests: 60, period_s: 60, burst: None, per: CountedFor::Caller }
    }

    fn problems(&self) -> Vec<FieldProblem> {
        let Self { requests, period_s, burst, per: _ } = self;
        let mut problems = Vec::new();
        if !(1..=1_000_000_000).contains(requests) {
            problems.push(FieldProblem::new(
                "/requests",
                "out_of_range",
                "Allow 1 to 1,000,000,000 requests.",
            ));
        }
        if !(1..=2_678_400).contains(period_s) {
            let message = "A period is 1 second to 31 days (2,678,400 seconds).";
            problems.push(FieldProblem::new("/period_s", "out_of_range", message));
        }
        if burst.is_some_and(|burst| !(1..=1_000_000_000).contains(&burst)) {
            problems.push(FieldProblem::new(
                "/burst",
                "out_of_range",
                "A burst is 1 to 1,000,000,000 requests.",
            ));
        }
        problems
    }
}
