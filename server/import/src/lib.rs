//! Import of OpenAPI 3.0, 3.1 and Swagger 2.0 documents, JSON or YAML, into the definition of an API.
//!
//! [`read()`] turns a document into routes and upstreams; [`merge()`] puts them into a draft without losing what people
//! have added to it. Nothing here touches the network, a file or a database.

mod findings;
mod merge;
mod operations;
mod raw;
mod references;
mod servers;
mod template;
mod yaml;

use sluice_contract::definition::ApiDefinition;
use sluice_contract::problem::FieldProblem;
use sluice_contract::rest::imports::ImportWarning;
use url::Url;

use crate::findings::Findings;
pub use crate::merge::{Merged, merge};
use crate::raw::{Object, text_of};
use crate::references::Document;

/// What a document says, as Sluice understands it.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// For example `OpenAPI 3.1.0`.
    pub format: String,
    pub title: String,
    /// Markdown.
    pub description: String,
    /// The document's own version of the API; empty when it has none.
    pub version: String,
    pub definition: ApiDefinition,
    /// What the document says and Sluice leaves out.
    pub warnings: Vec<ImportWarning>,
}

/// The document cannot be imported: everything that is wrong with it (at most 100 problems), each with its JSON
/// pointer into the document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the document has {} problem(s)", .problems.len())]
pub struct Malformed {
    pub problems: Vec<FieldProblem>,
}

/// Reads a document. Server addresses that are relative are taken from `fetched_from`, the address of the document.
///
/// # Errors
/// When the document is not well-formed; see [`Malformed`].
pub fn read(text: &str, fetched_from: Option<&Url>) -> Result<Imported, Malformed> {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with('{') {
        return read_json(text, fetched_from);
    }
    let json = yaml::to_json(text).map_err(|message| syntax(&message))?;
    read_json(&json, fetched_from)
}

fn read_json(text: &str, fetched_from: Option<&Url>) -> Result<Imported, Malformed> {
    // Reads every byte once, so that a syntax error anywhere is found before anything is interpreted.
    let raw: &serde_json::value::RawValue =
        serde_json::from_str(text).map_err(|error| syntax(&error.to_string()))?;
    let Some(root) = Object::of(raw) else {
        return Err(syntax("a document is an object with `openapi` or `swagger`, `info` and `paths`"));
    };
    let mut findings = Findings::default();
    let imported = read_root(&Document::new(root), fetched_from, &mut findings);
    let (problems, warnings) = findings.into_parts();
    match imported {
        Some(imported) if problems.is_empty() => Ok(Imported { warnings, ..imported }),
        _ => Err(Malformed { problems }),
    }
}

fn syntax(message: &str) -> Malformed {
    let message = format!("This is not a JSON or YAML document that can be read: {message}.");
    Malformed { problems: vec![FieldProblem::new("", "syntax", message)] }
}

/// Which family of the specification a document follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Swagger2,
    OpenApi3,
}

fn read_root(
    document: &Document<'_>,
    fetched_from: Option<&Url>,
    findings: &mut Findings,
) -> Option<Imported> {
    let (family, format) = read_format(document.root(), findings)?;
    let (title, description, version) = read_info(document.root(), findings);
    warn_of_what_is_left_out(document.root(), findings);
    let servers = match family {
        Family::Swagger2 => servers::of_swagger(document.root(), fetched_from, findings),
        Family::OpenApi3 => servers::of_openapi(document.root(), fetched_from, findings),
    };
    let (routes, upstreams) = operations::read(document, family, servers, findings);
    let definition = ApiDefinition { routes, upstreams, ..ApiDefinition::default() };
    Some(Imported { format, title, description, version, definition, warnings: Vec::new() })
}

fn read_format(root: &Object<'_>, findings: &mut Findings) -> Option<(Family, String)> {
    if let Some(version) = root.get("swagger").map(text_of) {
        if version == "2.0" || version == "2" {
            return Some((Family::Swagger2, "Swagger 2.0".to_owned()));
        }
        findings.problem("/swagger", "unsupported", format!("Swagger {version} is not supported: 2.0 is."));
        return None;
    }
    let Some(version) = root.get("openapi").map(text_of) else {
        let message = "This is no OpenAPI document: it has neither `openapi` nor `swagger`.";
        findings.problem("", "required", message);
        return None;
    };
    if ["3.0", "3.1"].iter().any(|known| version == *known || version.starts_with(&format!("{known}."))) {
        return Some((Family::OpenApi3, format!("OpenAPI {version}")));
    }
    let message = format!("OpenAPI {version} is not supported: 3.0 and 3.1 are.");
    findings.problem("/openapi", "unsupported", message);
    None
}

/// Title, description and version.
fn read_info(root: &Object<'_>, findings: &mut Findings) -> (String, String, String) {
    let Some(info) = findings.object(root.get("info"), "/info") else {
        if root.get("info").is_none() {
            findings.problem("/info", "required", "A document needs `info` with a title.");
        }
        return Default::default();
    };
    let title = findings.string(info.get("title"), "/info/title");
    if title.as_deref().is_none_or(|title| title.trim().is_empty())
        && info.get("title").is_none_or(raw::is_string)
    {
        findings.problem("/info/title", "required", "A document needs a title.");
    }
    let description = findings.string(info.get("description"), "/info/description");
    // Often a number in YAML (`version: 1.0`), which says the same.
    let version = info.get("version").map(text_of);
    (title.unwrap_or_default(), description.unwrap_or_default(), version.unwrap_or_default())
}

fn warn_of_what_is_left_out(root: &Object<'_>, findings: &mut Findings) {
    for name in ["webhooks", "x-webhooks"] {
        if root.get(name).is_some() {
            findings.warning(format!("/{name}"), "Webhooks are calls that the API makes: they are left out.");
        }
    }
    if root.get("security").is_some() || root.get("securityDefinitions").is_some() {
        let at = if root.get("security").is_some() { "/security" } else { "/securityDefinitions" };
        let message = "How the upstream authenticates its callers is left out: callers sign in to the gateway with \
                       the keys of their applications.";
        findings.warning(at, message);
    }
}
