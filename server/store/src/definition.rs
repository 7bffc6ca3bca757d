//! What must hold of a definition before it is saved, and before it is released.

use sluice_contract::definition::{ApiDefinition, PolicyAttachment};
use sluice_contract::part::Sha256Hash;
use sluice_contract::problem::FieldProblem;
use sluice_contract::rest::policy_types::PolicyScope;

use crate::error::{Error, Result};

/// More routes than any description known to us by a factor of five.
const MOST_ROUTES: usize = 10_000;
/// Conflicts that are named in a refusal: the first tell what to mend.
const NAMED_CONFLICTS: usize = 5;

/// What can be saved: everything is well-formed and refers to what is there.
///
/// # Errors
/// [`Error::Invalid`] with every problem, each under `at`.
pub fn check(at: &str, definition: &ApiDefinition) -> Result<()> {
    let mut problems = definition.problems();
    problems.extend(sluice_policies::validate_definition(definition));
    problems.extend(host_problems(&definition.hosts));
    if definition.routes.len() > MOST_ROUTES {
        let message = format!("An API has at most {MOST_ROUTES} routes.");
        problems.push(FieldProblem::new("/routes", "too_many", message));
    }
    under(at, problems)
}

/// What can be served: beyond [`check`], every request has one route, and every route an upstream.
///
/// # Errors
/// [`Error::Invalid`], and the conflicts `no_routes`, `no_upstream` and `route_conflict`.
pub fn check_release(definition: &ApiDefinition) -> Result<()> {
    check("/definition", definition)?;
    if definition.routes.is_empty() {
        return Err(Error::conflict("no_routes", "The revision has no routes: there is nothing to serve."));
    }
    if definition.upstreams.is_empty() {
        let message = "The revision has no upstream: its routes lead nowhere. Add one with a target.";
        return Err(Error::conflict("no_upstream", message));
    }
    check_conflicts(definition)
}

fn check_conflicts(definition: &ApiDefinition) -> Result<()> {
    let conflicts = definition.conflicts();
    if conflicts.is_empty() {
        return Ok(());
    }
    let name = |route: &sluice_contract::definition::Route| {
        let methods = if route.methods.is_empty() { "ANY".to_owned() } else { route.methods.join(",") };
        format!("`{}` ({methods} {})", route.id, route.path)
    };
    let pairs = conflicts.iter().take(NAMED_CONFLICTS);
    let mut named: Vec<_> = pairs.map(|(a, b)| format!("{} and {}", name(a), name(b))).collect();
    if conflicts.len() > NAMED_CONFLICTS {
        named.push(format!("{} more", conflicts.len() - NAMED_CONFLICTS));
    }
    let message = format!("A request could match two routes, neither more specific: {}.", named.join("; "));
    Err(Error::conflict("route_conflict", message))
}

/// Policies of a plan or an application.
///
/// # Errors
/// [`Error::Invalid`] with every problem, under `/policies`.
pub fn check_policies(scope: PolicyScope, policies: &[PolicyAttachment]) -> Result<()> {
    under("", sluice_policies::validate_all(scope, policies, "/policies"))
}

/// The hash of a definition's canonical JSON: equal for equal definitions.
///
/// # Errors
/// When it cannot be JSON.
pub fn hash(definition: &ApiDefinition) -> Result<String> {
    // `serde_json::Value` keeps object keys sorted.
    let bytes = serde_json::to_vec(&serde_json::to_value(definition)?)?;
    Ok(Sha256Hash::of(&bytes).to_string())
}

fn under(at: &str, problems: Vec<FieldProblem>) -> Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    let prefixed = problems
        .into_iter()
        .map(|problem| FieldProblem { pointer: format!("{at}{}", problem.pointer), ..problem });
    Err(Error::Invalid(prefixed.collect()))
}

fn host_problems(hosts: &[String]) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    for (i, host) in hosts.iter().enumerate() {
        let at = format!("/hosts/{i}");
        if !is_host(host) {
            let message = "A host is lower-case labels with dots between, without port: api.example.com.";
            problems.push(FieldProblem::new(&at, "invalid_host", message));
        }
        if hosts[..i].contains(host) {
            problems.push(FieldProblem::new(&at, "not_unique", format!("`{host}` is there twice.")));
        }
    }
    problems
}

/// A name of at least two labels. A single label or an address could be the shared host's own.
fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        let letters = label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        letters && !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-')
    };
    let numeric = host.rsplit('.').next().is_none_or(|last| last.bytes().all(|b| b.is_ascii_digit()));
    host.len() <= 253 && host.contains('.') && !numeric && host.split('.').all(label)
}
