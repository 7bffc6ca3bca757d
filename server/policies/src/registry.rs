//! The list of all policies: one line for each.

use serde_json::Value;
use sluice_contract::problem::FieldProblem;
use sluice_contract::rest::policy_types::{PolicyScope, PolicyType};

use crate::policy::Policy;
use crate::validate::settings_problems;

/// What the registry knows about a policy without its type.
pub(crate) struct Registered {
    pub(crate) kind: &'static str,
    pub(crate) scopes: &'static [PolicyScope],
    pub(crate) repeatable: bool,
    pub(crate) problems: fn(&Value) -> Vec<FieldProblem>,
    describe: fn() -> PolicyType,
}

macro_rules! policies {
    ($($policy:ty),+ $(,)?) => {
        static POLICIES: &[Registered] = &[$(Registered {
            kind: <$policy as Policy>::KIND,
            scopes: <$policy as Policy>::SCOPES,
            repeatable: <$policy as Policy>::REPEATABLE,
            problems: settings_problems::<$policy>,
            describe: describe::<$policy>,
        }),+];
    };
}

policies![
    crate::key_auth::KeyAuth,
    crate::rate_limit::RateLimit,
    crate::cache::Cache,
    crate::headers::Headers,
    crate::rewrite::Rewrite,
    crate::cors::Cors,
];

/// Every policy type with its schema, in the order in which the console offers them.
pub fn policy_types() -> Vec<PolicyType> {
    POLICIES.iter().map(|policy| (policy.describe)()).collect()
}

pub(crate) fn find(kind: &str) -> Option<&'static Registered> {
    POLICIES.iter().find(|policy| policy.kind == kind)
}

pub(crate) fn kinds() -> String {
    POLICIES.iter().map(|policy| policy.kind).collect::<Vec<_>>().join(", ")
}

fn describe<P: Policy>() -> PolicyType {
    PolicyType {
        kind: P::KIND.to_owned(),
        title: P::TITLE.to_owned(),
        description: P::DESCRIPTION.to_owned(),
        scopes: P::SCOPES.to_vec(),
        schema: schemars::schema_for!(P).to_value(),
        example: serde_json::to_value(P::example()).unwrap_or_default(),
    }
}

/// Where a policy may be attached; None for one that does not exist.
pub fn scopes(kind: &str) -> Option<&'static [PolicyScope]> {
    find(kind).map(|policy| policy.scopes)
}
