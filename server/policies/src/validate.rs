//! Checks attachments before they are saved: the type is known, may stand there, and its settings are right.

use serde_json::Value;
use sluice_contract::definition::{ApiDefinition, PolicyAttachment, Route};
use sluice_contract::path::PathTemplate;
use sluice_contract::problem::FieldProblem;
use sluice_contract::rest::policy_types::PolicyScope;

use crate::policy::Policy;
use crate::registry;
use crate::rewrite::Rewrite;

/// Settings that do not fit their policy, as a gateway reports it.
#[derive(Debug, thiserror::Error)]
#[error("policy `{kind}`: {reason}")]
pub struct SettingsError {
    pub kind: &'static str,
    pub reason: String,
}

/// Reads and checks settings as the policy's own type.
///
/// # Errors
/// Names the first problem.
pub fn parse<P: Policy>(settings: &Value) -> Result<P, SettingsError> {
    let error = |problem: FieldProblem| SettingsError {
        kind: P::KIND,
        reason: format!("{}: {}", problem.pointer, problem.message),
    };
    let policy: P = read(settings).map_err(error)?;
    match policy.problems().into_iter().next() {
        Some(problem) => Err(error(problem)),
        None => Ok(policy),
    }
}

/// What is wrong with one attachment; pointers are relative to the attachment (`/type`, `/settings/...`).
pub fn validate(kind: &str, scope: PolicyScope, settings: &Value) -> Vec<FieldProblem> {
    let Some(policy) = registry::find(kind) else {
        let message = format!("There is no policy `{kind}`; there are {}.", registry::kinds());
        return vec![FieldProblem::new("/type", "unknown_policy", message)];
    };
    if !policy.scopes.contains(&scope) {
        let message = format!("`{kind}` cannot be attached here.");
        return vec![FieldProblem::new("/type", "wrong_scope", message)];
    }
    (policy.problems)(settings).into_iter().map(|problem| under("/settings", problem)).collect()
}

/// What is wrong with the attachments of one place; pointers begin with `at`, for example `/policies`.
pub fn validate_all(scope: PolicyScope, attachments: &[PolicyAttachment], at: &str) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    for (i, attachment) in attachments.iter().enumerate() {
        let PolicyAttachment { kind, enabled: _, settings } = attachment;
        let at = format!("{at}/{i}");
        problems.extend(validate(kind, scope, settings).into_iter().map(|problem| under(&at, problem)));
        let repeatable = registry::find(kind).is_none_or(|policy| policy.repeatable);
        if !repeatable && attachments[..i].iter().any(|other| &other.kind == kind) {
            let message = format!("`{kind}` is attached twice in one place; keep one of them.");
            problems.push(FieldProblem::new(format!("{at}/type"), "not_unique", message));
        }
    }
    problems
}

/// What is wrong with the policies of an API and its routes; pointers are relative to the definition.
pub fn validate_definition(definition: &ApiDefinition) -> Vec<FieldProblem> {
    let mut problems = validate_all(PolicyScope::Api, &definition.policies, "/policies");
    for (i, route) in definition.routes.iter().enumerate() {
        let at = format!("/routes/{i}/policies");
        problems.extend(validate_all(PolicyScope::Route, &route.policies, &at));
        problems.extend(rewrite_problems(route, &at));
    }
    problems
}

/// A rewrite may only use what its route's own path has.
fn rewrite_problems(route: &Route, at: &str) -> Vec<FieldProblem> {
    let Ok(template) = PathTemplate::parse(&route.path) else { return Vec::new() };
    let rewrites = route.policies.iter().enumerate().filter(|(_, policy)| policy.kind == Rewrite::KIND);
    rewrites
        .filter_map(|(i, policy)| Some((i, read::<Rewrite>(&policy.settings).ok()?)))
        .flat_map(|(i, rewrite)| {
            rewrite.unknown_parameters(&template).into_iter().map(move |name| {
                let message = format!("The route's path has no parameter `{name}`.");
                FieldProblem::new(format!("{at}/{i}/settings/path"), "unknown_parameter", message)
            })
        })
        .collect()
}

pub(crate) fn settings_problems<P: Policy>(settings: &Value) -> Vec<FieldProblem> {
    match read::<P>(settings) {
        Ok(policy) => [policy.problems(), policy.said_once()].concat(),
        Err(problem) => vec![problem],
    }
}

/// An attachment without settings means the defaults.
fn read<P: Policy>(settings: &Value) -> Result<P, FieldProblem> {
    let empty = Value::Object(serde_json::Map::new());
    let settings = if settings.is_null() { &empty } else { settings };
    serde_path_to_error::deserialize(settings).map_err(|error| {
        let pointer = pointer(error.path());
        FieldProblem::new(pointer, "invalid", error.into_inner().to_string())
    })
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter().fold(String::new(), |mut pointer, segment| {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
        pointer
    })
}

fn under(prefix: &str, problem: FieldProblem) -> FieldProblem {
    FieldProblem { pointer: format!("{prefix}{}", problem.pointer), ..problem }
}
