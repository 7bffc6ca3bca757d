//! Paths and their operations to routes.

use std::collections::HashSet;

use serde_json::value::RawValue;
use sluice_contract::definition::{Route, Upstream};

use crate::Family;
use crate::findings::Findings;
use crate::raw::Object;
use crate::references::{Document, escape};
use crate::servers::Servers;
use crate::template;

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Every operation as a route, and the upstreams that they go to.
pub(crate) fn read(
    document: &Document<'_>,
    family: Family,
    servers: Servers,
    findings: &mut Findings,
) -> (Vec<Route>, Vec<Upstream>) {
    let mut reader = Reader { document, family, servers, ids: HashSet::new(), routes: Vec::new() };
    let paths = document.root().get("paths");
    if paths.is_none() {
        findings.problem("/paths", "required", "The document has no paths: there is nothing to import.");
    }
    if let Some(paths) = findings.object(paths, "/paths") {
        for (path, item) in paths.iter().filter(|(path, _)| !path.starts_with("x-")) {
            reader.path(path, item, findings);
        }
        if reader.routes.is_empty() {
            findings.warning("/paths", "The document has no operations.");
        }
    }
    (reader.routes, reader.servers.into_upstreams())
}

struct Reader<'d, 'a> {
    document: &'d Document<'a>,
    family: Family,
    servers: Servers,
    /// Ids that are taken.
    ids: HashSet<String>,
    routes: Vec<Route>,
}

/// What a path gives to each of its operations.
struct PathItem<'p> {
    path: &'p str,
    at: String,
    /// Parameters in the path: name and whether it spans segments.
    parameters: Vec<(String, bool)>,
    upstream: Option<String>,
}

impl<'a> Reader<'_, 'a> {
    fn path(&mut self, path: &str, item: &'a RawValue, findings: &mut Findings) {
        let at = format!("/paths/{}", escape(path));
        if !path.starts_with('/') {
            findings.problem(&at, "invalid_path", "A path starts with `/`.");
            return;
        }
        let Some(item) = self.document.object(item, &at, findings) else { return };
        let parameters = self.parameters(&item, &at, findings);
        let upstream = self.upstream(&item, &at, None, findings);
        let shared = PathItem { path, at, parameters, upstream };
        for method in METHODS {
            if let Some(operation) = item.get(method) {
                self.operation(&shared, method, operation, findings);
            }
        }
    }

    fn operation(&mut self, item: &PathItem<'_>, method: &str, value: &'a RawValue, findings: &mut Findings) {
        let at = format!("{}/{method}", item.at);
        let Some(operation) = findings.object(Some(value), &at) else { return };
        let mut parameters = self.parameters(&operation, &at, findings);
        // An operation's own parameter replaces the path's of the same name.
        for (name, multi) in &item.parameters {
            if !parameters.iter().any(|(own, _)| own == name) {
                parameters.push((name.clone(), *multi));
            }
        }
        self.check_responses(&operation, &at, findings);
        let upstream = self.upstream(&operation, &at, item.upstream.clone(), findings);
        let id = self.id(&operation, method, item.path, &at, findings);
        let Some(path) = template::convert(item.path, &parameters, &item.at, findings) else { return };
        self.routes.push(Route {
            id,
            summary: findings.string(operation.get("summary"), &format!("{at}/summary")).unwrap_or_default(),
            description: findings
                .string(operation.get("description"), &format!("{at}/description"))
                .unwrap_or_default(),
            tags: tags(&operation, &at, findings),
            deprecated: findings
                .boolean(operation.get("deprecated"), &format!("{at}/deprecated"))
                .unwrap_or_default(),
            methods: vec![method.to_ascii_uppercase()],
            path,
            headers: Vec::new(),
            upstream,
            access: None,
            policies: Vec::new(),
            imported: true,
        });
    }

    /// The parameters in the path among `parameters` of a path item or operation.
    fn parameters(&self, object: &Object<'a>, at: &str, findings: &mut Findings) -> Vec<(String, bool)> {
        let at = format!("{at}/parameters");
        let listed = findings.list(object.get("parameters"), &at).unwrap_or_default();
        let mut found = Vec::new();
        for (i, value) in listed.into_iter().enumerate() {
            let at = format!("{at}/{i}");
            let Some(parameter) = self.document.object(value, &at, findings) else { continue };
            let name = required_string(&parameter, "name", &at, findings);
            let place = required_string(&parameter, "in", &at, findings);
            let multi = findings
                .boolean(parameter.get("x-multi-segment"), &format!("{at}/x-multi-segment"))
                .unwrap_or_default();
            if let (Some(name), Some("path")) = (name, place.as_deref()) {
                found.push((name, multi));
            }
        }
        found
    }

    /// Responses are not taken over, but a document whose responses lead nowhere is refused while it can be mended.
    fn check_responses(&self, operation: &Object<'a>, at: &str, findings: &mut Findings) {
        let at = format!("{at}/responses");
        let Some(responses) = findings.object(operation.get("responses"), &at) else { return };
        for (status, response) in responses.iter().filter(|(status, _)| !status.starts_with("x-")) {
            self.document.object(response, &format!("{at}/{status}"), findings);
        }
    }

    fn upstream(
        &mut self,
        object: &Object<'a>,
        at: &str,
        inherited: Option<String>,
        findings: &mut Findings,
    ) -> Option<String> {
        if self.family == Family::Swagger2 {
            return inherited;
        }
        let at = format!("{at}/servers");
        match findings.list(object.get("servers"), &at) {
            Some(servers) if !servers.is_empty() => self.servers.for_route(&servers, &at, findings),
            _ => inherited,
        }
    }

    fn id(
        &mut self,
        operation: &Object<'a>,
        method: &str,
        path: &str,
        at: &str,
        findings: &mut Findings,
    ) -> String {
        let given = findings
            .string(operation.get("operationId"), &format!("{at}/operationId"))
            .map(|id| id.trim().to_owned())
            .filter(|id| !id.is_empty());
        let wanted = given.clone().unwrap_or_else(|| generated_id(method, path));
        let id = unused(wanted, &self.ids);
        if let Some(given) = given.filter(|given| given != &id) {
            let message = format!("Another operation is named `{given}`: this one becomes `{id}`.");
            findings.warning(format!("{at}/operationId"), message);
        }
        self.ids.insert(id.clone());
        id
    }
}

fn required_string(object: &Object<'_>, name: &str, at: &str, findings: &mut Findings) -> Option<String> {
    let at = format!("{at}/{name}");
    if object.get(name).is_none() {
        findings.problem(&at, "required", format!("A parameter needs `{name}`."));
    }
    findings.string(object.get(name), &at)
}

fn tags(operation: &Object<'_>, at: &str, findings: &mut Findings) -> Vec<String> {
    let at = format!("{at}/tags");
    let listed = findings.list(operation.get("tags"), &at).unwrap_or_default();
    let read = |(i, tag)| findings.string(Some(tag), &format!("{at}/{i}"));
    listed.into_iter().enumerate().filter_map(read).collect()
}

/// `get-users-id` for `GET /users/{id}`: the same for every import of the same operation.
fn generated_id(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    std::iter::once(method).chain(words).collect::<Vec<_>>().join("-")
}

fn unused(wanted: String, taken: &HashSet<String>) -> String {
    if !taken.contains(&wanted) {
        return wanted;
    }
    // Ends: at most as many numbers are taken as there are ids.
    (2..=taken.len() + 2).map(|n| format!("{wanted}-{n}")).find(|id| !taken.contains(id)).unwrap_or(wanted)
}
