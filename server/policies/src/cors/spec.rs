//! Settings of cross-origin resource sharing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_contract::problem::FieldProblem;
use sluice_contract::rest::policy_types::PolicyScope;

use crate::policy::Policy;

/// Which web pages of other origins may call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cors {
    /// Origins such as `https://app.example.com`; `https://*.example.com` for all below one; `*` for any.
    #[schemars(title = "Allowed origins")]
    pub origins: Vec<String>,
    /// Methods that pages may use; empty means what the route allows.
    #[schemars(title = "Allowed methods")]
    pub methods: Vec<String>,
    /// Request headers that pages may send; empty means any.
    #[schemars(title = "Allowed request headers")]
    pub headers: Vec<String>,
    /// Response headers that scripts may read, besides the safe ones.
    #[schemars(title = "Exposed response headers")]
    pub expose: Vec<String>,
    /// Let pages send cookies and other credentials. Needs named origins.
    #[schemars(title = "Allow credentials")]
    pub credentials: bool,
    /// Seconds for which browsers may keep the answer to a preflight.
    #[schemars(title = "Preflight lifetime (seconds)", range(max = 86_400))]
    pub max_age_s: u32,
}

impl Default for Cors {
    fn default() -> Self {
        Self {
            origins: vec!["*".to_owned()],
            methods: Vec::new(),
            headers: Vec::new(),
            expose: Vec::new(),
            credentials: false,
            max_age_s: 600,
        }
    }
}

impl Policy for Cors {
    const KIND: &'static str = "cors";
    const TITLE: &'static str = "Cross-origin requests (CORS)";
    const DESCRIPTION: &'static str = "Lets web pages of other origins call the API. Preflight requests are answered by \
        the gateway before authentication. The most specific attachment wins (route, then API, then environment).";
    const SCOPES: &'static [PolicyScope] = &[PolicyScope::Environment, PolicyScope::Api, PolicyScope::Route];

    fn example() -> Self {
        Self { origins: vec!["https://app.example.com".to_owned()], ..Self::default() }
    }

    fn problems(&self) -> Vec<FieldProblem> {
        let Self { origins, methods, headers, expose, credentials, max_age_s } = self;
        let mut problems = Vec::new();
        for (i, origin) in origins.iter().enumerate() {
            if let Some(message) = origin_problem(origin) {
                problems.push(FieldProblem::new(format!("/origins/{i}"), "invalid_origin", message));
            }
        }
        if *credentials && origins.iter().any(|origin| origin == "*") {
            let message = "Browsers refuse credentials with `*`: name the origins.";
            problems.push(FieldProblem::new("/credentials", "needs_origins", message));
        }
        for (i, method) in methods.iter().enumerate() {
            if http::Method::from_bytes(method.as_bytes()).is_err() {
                let message = format!("`{method}` is not a method.");
                problems.push(FieldProblem::new(format!("/methods/{i}"), "invalid_method", message));
            }
        }
        for (list, names) in [("headers", headers), ("expose", expose)] {
            for (i, name) in names.iter().enumerate() {
                if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
                    let message = format!("`{name}` is not a header name.");
                    problems.push(FieldProblem::new(format!("/{list}/{i}"), "invalid_header", message));
                }
            }
        }
        if *max_age_s > 86_400 {
            let message = "Browsers keep a preflight for at most a day (86,400 seconds).";
            problems.push(FieldProblem::new("/max_age_s", "out_of_range", message));
        }
        problems
    }
}

fn origin_problem(origin: &str) -> Option<String> {
    if origin == "*" || origin == "null" {
        return None;
    }
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    let valid = host.is_some_and(|host| {
        let name = host.strip_prefix("*.").unwrap_or(host);
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]_".contains(&b))
    });
    (!valid).then(|| format!("`{origin}` is not an origin: write `https://host` without a path."))
}
