//! What a publisher edits and a gateway compiles: the definition of an API.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::path::PathTemplate;
use crate::problem::FieldProblem;

/// The definition of an API: its routes, upstreams and policies. Edited as a draft, frozen as a revision.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ApiDefinition {
    /// Who may call: subscribers (the default) or anybody.
    pub access: Access,
    /// Hosts of its own on which the API answers without the `/{tenant}/{api}` prefix.
    pub hosts: Vec<String>,
    /// What is matched, most specific first (order in the list does not matter).
    pub routes: Vec<Route>,
    /// Where calls go.
    pub upstreams: Vec<Upstream>,
    /// Policies for every route; a route's own attachment of the same type replaces the API's.
    pub policies: Vec<PolicyAttachment>,
}

/// Who may call an API or a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// A key of an application with an approved subscription.
    #[default]
    Subscription,
    /// Anybody.
    Public,
}

/// Method + path + header match, and where a matching request goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Unique within the API; the OpenAPI `operationId` where there is one. Names the operation in logs.
    pub id: String,
    /// One line for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// Markdown for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Groups routes in the reference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Whether consumers should stop using it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deprecated: bool,
    /// Upper-case methods; empty means any.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Path below the API's base: literals, `{name}` for one segment (or a part of one), `{*name}` for one or
    /// more segments. See [`PathTemplate`].
    pub path: String,
    /// Headers that must be present with these values for the route to match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderMatch>,
    /// Name of the upstream in this definition; none means the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Overrides the API's access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// Policies of this route only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyAttachment>,
    /// Came from an imported document: the next import removes it when its document no longer has it. Routes made by
    /// hand stay.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
}

/// A header that a request must carry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderMatch {
    /// Name, compared without case.
    pub name: String,
    /// Exact value; none means that presence is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Where a route's calls go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Unique within the API.
    pub name: String,
    /// Addresses, chosen by weighted round robin.
    pub targets: Vec<Target>,
    /// Which protocol to speak to the targets.
    #[serde(default)]
    pub protocol: UpstreamProtocol,
    /// What `Host` the targets see.
    #[serde(default)]
    pub host: HostHeader,
    /// How long to wait for what.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// When a target that fails is left alone; none (the default): never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<Breaker>,
}

/// Gives a target that fails the time to recover. Each gateway counts for itself. A failure is a target that cannot be
/// connected to, does not answer in time or not in HTTP, or answers 502, 503 or 504.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Breaker {
    /// After so many failures in a row no call is sent to the target.
    #[schema(minimum = 1, maximum = 1000)]
    pub failures: u32,
    /// For so many seconds; then one call tries, and the others follow when it is answered.
    #[schema(minimum = 1, maximum = 3600)]
    pub open_s: u32,
}

/// One address of an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// `http://` or `https://`, host, optional port and base path; no query, no user info.
    pub url: String,
    /// Share of calls relative to the other targets; 0 takes it out.
    #[serde(default = "one")]
    pub weight: u32,
    /// Where it stands (a zone or region label).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

fn one() -> u32 {
    1
}

/// Protocol towards an upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 (by ALPN on `https`, by prior knowledge on `http`).
    Http2,
}

/// What `Host` an upstream sees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "mode", content = "value")]
pub enum HostHeader {
    /// The target's own authority.
    #[default]
    Target,
    /// What the client sent.
    Client,
    /// A fixed one.
    Fixed(String),
}

/// How long to wait for what, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// TCP connect and TLS handshake.
    pub connect_ms: u64,
    /// From the end of the request head to the response head.
    pub first_byte_ms: u64,
    /// Between two pieces of a body, either way.
    pub idle_ms: u64,
    /// The whole exchange; none (the default) leaves streams alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_ms: Option<u64>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect_ms: 2_000, first_byte_ms: 30_000, idle_ms: 60_000, total_ms: None }
    }
}

/// One policy with its settings, attached to an environment, API, route, plan or application.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyAttachment {
    /// The policy's type: `rate-limit`, `cache`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// Off keeps the settings but does nothing.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Settings by the type's JSON Schema (`GET /api/v1/policy-types`).
    #[serde(default)]
    pub settings: Value,
}

fn yes() -> bool {
    true
}

impl ApiDefinition {
    /// Checks everything that can be checked without looking outside of the definition: names, references,
    /// path templates, targets. Policy settings are checked by the `policies` crate.
    pub fn problems(&self) -> Vec<FieldProblem> {
        let mut problems = Vec::new();
        self.check_upstreams(&mut problems);
        self.check_routes(&mut problems);
        problems
    }

    /// Pairs of routes of which neither is more specific, so that a request could match both.
    pub fn conflicts(&self) -> Vec<(&Route, &Route)> {
        crate::path::conflicts(&self.routes)
    }

    fn check_upstreams(&self, problems: &mut Vec<FieldProblem>) {
        for (i, upstream) in self.upstreams.iter().enumerate() {
            let at = format!("/upstreams/{i}");
            if upstream.name.trim().is_empty() {
                problems.push(FieldProblem::new(
                    format!("{at}/name"),
                    "required",
                    "An upstream needs a name.",
                ));
            }
            if self.upstreams[..i].iter().any(|other| other.name == upstream.name) {
                problems.push(FieldProblem::new(
                    format!("{at}/name"),
                    "not_unique",
                    format!("There are two upstreams named `{}`.", upstream.name),
                ));
            }
            if upstream.targets.is_empty() {
                problems.push(FieldProblem::new(
                    format!("{at}/targets"),
                    "required",
                    "An upstream needs at least one target.",
                ));
            }
            if let Some(breaker) = upstream.breaker {
                let mut check = |field: &str, value: u32, most: u32| {
                    if !(1..=most).contains(&value) {
                        let message = format!("Between 1 and {most}.");
                        problems.push(FieldProblem::new(
                            format!("{at}/breaker/{field}"),
                            "out_of_range",
                            message,
                        ));
                    }
                };
                check("failures", breaker.failures, 1_000);
                check("open_s", breaker.open_s, 3_600);
            }
            for (j, target) in upstream.targets.iter().enumerate() {
                if let Err(message) = target.check() {
                    problems.push(FieldProblem::new(format!("{at}/targets/{j}/url"), "invalid_url", message));
                }
            }
        }
    }

    fn check_routes(&self, problems: &mut Vec<FieldProblem>) {
        let mut ids = std::collections::HashSet::new();
        for (i, route) in self.routes.iter().enumerate() {
            let at = format!("/routes/{i}");
            if route.id.trim().is_empty() {
                problems.push(FieldProblem::new(format!("{at}/id"), "required", "A route needs an id."));
            }
            if !ids.insert(route.id.as_str()) {
                problems.push(FieldProblem::new(
                    format!("{at}/id"),
                    "not_unique",
                    format!("There are two routes with the id `{}`.", route.id),
                ));
            }
            if let Err(error) = PathTemplate::parse(&route.path) {
                problems.push(FieldProblem::new(format!("{at}/path"), "invalid_path", error.to_string()));
            }
            for (j, method) in route.methods.iter().enumerate() {
                if method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') {
                    problems.push(FieldProblem::new(
                        format!("{at}/methods/{j}"),
                        "invalid_method",
                        "A method is upper-case letters, such as GET.",
                    ));
                }
            }
            if let Some(name) = &route.upstream
                && !self.upstreams.iter().any(|upstream| &upstream.name == name)
            {
                problems.push(FieldProblem::new(
                    format!("{at}/upstream"),
                    "unknown_upstream",
                    format!("There is no upstream named `{name}` in this API."),
                ));
            }
        }
    }
}

impl Target {
    fn check(&self) -> Result<(), String> {
        let rest = self
            .url
            .strip_prefix("http://")
            .or_else(|| self.url.strip_prefix("https://"))
            .ok_or("A target starts with http:// or https://.")?;
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.is_empty() {
            return Err("A target needs a host.".to_owned());
        }
        if authority.contains('@') {
            return Err("A target must not carry a user name or password.".to_owned());
        }
        if rest.contains(['?', '#']) || rest.contains(char::is_whitespace) {
            return Err("A target has no query, fragment or spaces.".to_owned());
        }
        Ok(())
    }
}
