//! Dependencies point one way (docs/architecture.md): each member may name only the members that this table gives
//! it, and the gateway never links the database layer, however indirectly.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process;
use crate::report::Outcome;
use crate::workspace::Workspace;

/// Member → the members that it may depend on (tests may use more).
const ALLOWED: &[(&str, &[&str])] = &[
    ("sluice-contract", &[]),
    ("sluice-policies", &["sluice-contract"]),
    ("sluice-advisor", &[]),
    ("sluice-import", &["sluice-contract"]),
    ("sluice-ai", &["sluice-contract"]),
    ("sluice-settings", &[]),
    ("sluice-gateway", &["sluice-contract", "sluice-policies", "sluice-settings", "sluice-ai"]),
    ("sluice-entity", &[]),
    ("sluice-migrations", &[]),
    ("sluice-store", &["sluice-contract", "sluice-policies", "sluice-entity", "sluice-migrations"]),
    (
        "sluice-control",
        &["sluice-advisor", "sluice-contract", "sluice-policies", "sluice-import", "sluice-store"],
    ),
    (
        "sluice",
        &[
            "sluice-contract",
            "sluice-control",
            "sluice-gateway",
            "sluice-settings",
            "sluice-store",
            "sluice-migrations",
        ],
    ),
    (
        "sluice-testkit",
        &["sluice-contract", "sluice-control", "sluice-gateway", "sluice-store", "sluice-migrations"],
    ),
    ("sluice-console", &["sluice-contract", "sluice-policies"]),
    ("xtask", &[]),
];

/// Crates that must not be in the gateway, by the beginning of their names.
const NOT_IN_THE_GATEWAY: [&str; 5] = ["sea-orm", "sqlx", "libsqlite3-sys", "sluice-store", "sluice-entity"];

pub fn check(workspace: &Workspace) -> Result<Outcome> {
    let metadata = process::output(process::cargo(&workspace.root).args([
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
        "--locked",
    ]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("`cargo metadata` printed no JSON")?;
    let mut problems = wrong_edges(&metadata, &ALLOWED.iter().copied().collect());
    problems.extend(linked_by_the_gateway(workspace)?);
    if problems.is_empty() { Ok(Outcome::Passed) } else { bail!("{}", problems.join("; ")) }
}

/// Each dependency of a member on a member that the table does not allow, and each member that it does not know.
fn wrong_edges(metadata: &Value, allowed: &BTreeMap<&str, &[&str]>) -> Vec<String> {
    let mut problems = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(allowed) = allowed.get(name) else {
            problems.push(format!(
                "{name} is not in the table of xtask/src/check/direction.rs: say what it may use"
            ));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let used = dependency["name"].as_str().unwrap_or_default();
            let is_member = dependency["path"].is_string();
            let for_tests = dependency["kind"] == "dev";
            if is_member && !for_tests && !allowed.contains(&used) {
                problems.push(format!("{name} must not depend on {used}"));
            }
        }
    }
    problems
}

fn linked_by_the_gateway(workspace: &Workspace) -> Result<Vec<String>> {
    let tree = process::output(process::cargo(&workspace.root).args([
        "tree",
        "--locked",
        "--package",
        "sluice-gateway",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]))?;
    let mut names: Vec<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| NOT_IN_THE_GATEWAY.iter().any(|start| name.starts_with(start)));
    Ok(names.into_iter().map(|name| format!("the gateway links {name}")).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn edges(dependency: Value) -> Vec<String> {
        let metadata = json!({ "packages": [{ "name": "a", "dependencies": [dependency] }] });
        wrong_edges(&metadata, &BTreeMap::from([("a", &["b"] as &[&str])]))
    }

    #[test]
    fn a_dependency_against_the_direction_is_named() {
        let problems = edges(json!({ "name": "c", "kind": null, "path": "/c" }));
        assert_eq!(problems, ["a must not depend on c"]);
    }

    #[test]
    fn an_allowed_member_a_registry_crate_and_a_test_dependency_pass() {
        assert!(edges(json!({ "name": "b", "kind": null, "path": "/b" })).is_empty());
        assert!(edges(json!({ "name": "c", "kind": null })).is_empty());
        assert!(edges(json!({ "name": "c", "kind": "dev", "path": "/c" })).is_empty());
    }

    #[test]
    fn a_member_that_the_table_does_not_know_is_named() {
        let metadata = json!({ "packages": [{ "name": "new", "dependencies": [] }] });
        assert!(wrong_edges(&metadata, &BTreeMap::new())[0].starts_with("new is not in the table"));
    }
}
