//! Settings of key authentication.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_contract::problem::FieldProblem;
use sluice_contract::rest::policy_types::PolicyScope;

use crate::policy::Policy;

/// Where an API key may stand in a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KeyAuth {
    /// Name of the request header that carries the key.
    #[schemars(title = "Header")]
    pub header: String,
    /// Also accept the key as `Authorization: Bearer <key>`.
    #[schemars(title = "Accept bearer token")]
    pub bearer: bool,
    /// Name of a query parameter that may carry the key. It is removed before the call goes to the upstream and
    /// never reaches the cache key or the log, but proxies and browsers on the way may keep it: prefer the header.
    #[schemars(title = "Query parameter")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Pass the key on to the upstream instead of removing it.
    #[schemars(title = "Forward the key")]
    pub forward: bool,
}

impl Default for KeyAuth {
    fn default() -> Self {
        Self { header: "x-api-key".to_owned(), bearer: false, query: None, forward: false }
    }
}

impl Policy for KeyAuth {
    const KIND: &'static str = "key-auth";
    const TITLE: &'static str = "Key authentication";
    const DESCRIPTION: &'static str = "Says where callers put their API key. Without this policy an API that needs a \
        subscription takes the key from the `X-API-Key` header. The most specific attachment wins (route, then API, \
        then environment).";
    const SCOPES: &'static [PolicyScope] = &[PolicyScope::Environment, PolicyScope::Api, PolicyScope::Route];

    fn example() -> Self {
        Self { bearer: true, ..Self::default() }
    }

    fn problems(&self) -> Vec<FieldProblem> {
        let Self { header, bearer: _, query, forward: _ } = self;
        let mut problems = Vec::new();
        match http::HeaderName::from_bytes(header.as_bytes()) {
            Err(_) => problems.push(FieldProblem::new(
                "/header",
                "invalid_header",
                "A header name is letters, digits and hyphens.",
            )),
            Ok(name) if name == http::header::AUTHORIZATION => problems.push(FieldProblem::new(
                "/header",
                "invalid_header",
                "Switch on the bearer token instead of naming `Authorization`.",
            )),
            Ok(_) => {}
        }
        let plain = |name: &String| {
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        };
        if query.as_ref().is_some_and(|name| !plain(name)) {
            let message = "A query parameter's name is letters, digits, `_`, `-` and `.`.";
            problems.push(FieldProblem::new("/query", "invalid_name", message));
        }
        problems
    }
}
