//! Documents in, definitions out: through `read` and `merge` only.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails, in helpers too")]

mod malformed;
mod merging;
mod reading;
mod references;
mod servers;

use serde_json::{Value, json};
use sluice_import::{Imported, Malformed, read};

/// An OpenAPI 3.1 document with these paths.
fn openapi(paths: Value) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Pets", "version": "1.2"},
        "servers": [{"url": "https://pets.example.com/v1/"}],
        "paths": paths
    })
}

fn read_value(document: &Value) -> Result<Imported, Malformed> {
    read(&document.to_string(), None)
}

/// Pointer and code of each problem of a document that must be refused.
fn problems(document: &Value) -> Vec<(String, String)> {
    let Malformed { problems } = read_value(document).unwrap_err();
    problems.into_iter().map(|problem| (problem.pointer, problem.code)).collect()
}
