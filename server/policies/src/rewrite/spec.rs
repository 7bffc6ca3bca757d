//! Settings of the path rewrite.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_contract::path::{PathTemplate, Segment};
use sluice_contract::problem::FieldProblem;
use sluice_contract::rest::policy_types::PolicyScope;

use crate::policy::Policy;

/// The path that the upstream sees instead of the one that the caller asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rewrite {
    /// Path with the route's parameters in braces: `/v2/users/{id}`; `{*rest}` for one that spans segments. It is
    /// put below the target's own base path; the query stays.
    #[schemars(title = "Path")]
    pub path: String,
}

impl Policy for Rewrite {
    const KIND: &'static str = "rewrite";
    const TITLE: &'static str = "Path rewrite";
    const DESCRIPTION: &'static str = "Changes the path that the upstream sees. Parameters of the route can be used by \
        their names.";
    const SCOPES: &'static [PolicyScope] = &[PolicyScope::Route];

    fn example() -> Self {
        Self { path: "/v2/items/{id}".to_owned() }
    }

    fn problems(&self) -> Vec<FieldProblem> {
        match PathTemplate::parse(&self.path) {
            Ok(_) => Vec::new(),
            Err(error) => vec![FieldProblem::new("/path", "invalid_path", error.to_string())],
        }
    }
}

impl Rewrite {
    /// Names in the path that the route's own path does not have: they would stay empty.
    pub fn unknown_parameters(&self, route: &PathTemplate) -> Vec<String> {
        let Ok(template) = PathTemplate::parse(&self.path) else { return Vec::new() };
        let known: Vec<&str> = route.segments().iter().flat_map(names).collect();
        template
            .segments()
            .iter()
            .flat_map(names)
            .filter(|name| !known.contains(name))
            .map(str::to_owned)
            .collect()
    }
}

pub(crate) fn names(segment: &Segment) -> impl Iterator<Item = &str> {
    let names = match segment {
        Segment::Literal(_) => &[][..],
        Segment::Mixed { names, .. } => names,
        Segment::Parameter(name) | Segment::Multi(name) => std::slice::from_ref(name),
    };
    names.iter().map(String::as_str)
}
