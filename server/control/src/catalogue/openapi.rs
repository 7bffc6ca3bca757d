//! What is live of an API as an OpenAPI 3.1 document.

use serde_json::{Map, Value, json};
use sluice_contract::definition::Access;
use sluice_contract::path::{PathTemplate, Segment};
use sluice_contract::rest::catalogue::{CatalogueEntry, CatalogueRoute};

/// What a route for any method stands for: the methods that a document can name and a browser can send.
const ANY: [&str; 7] = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH"];

/// The document, with the gateways (`https://gateway.example.com`) that are known as servers.
pub(super) fn document(entry: &CatalogueEntry, gateways: &[String]) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": entry.api.name,
            "description": entry.api.description,
            "version": entry.revision.to_string(),
        },
        "servers": servers(entry, gateways),
        "paths": paths(&entry.routes),
        "components": {
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}},
        },
    })
}

fn servers(entry: &CatalogueEntry, gateways: &[String]) -> Vec<Value> {
    let hosts = entry.hosts.iter().map(|host| json!({ "url": format!("https://{host}") }));
    let shared = gateways.iter().map(|origin| json!({ "url": format!("{origin}{}", entry.base_path) }));
    let servers: Vec<_> = hosts.chain(shared).collect();
    if servers.is_empty() { vec![json!({ "url": entry.base_path })] } else { servers }
}

fn paths(routes: &[CatalogueRoute]) -> Map<String, Value> {
    let mut paths = Map::new();
    for route in routes {
        let Ok(template) = PathTemplate::parse(&route.path) else { continue };
        let path = paths.entry(path_of(&template)).or_insert_with(|| json!({}));
        let methods = route.methods.iter().map(String::as_str);
        let methods: Vec<_> = if route.methods.is_empty() { ANY.to_vec() } else { methods.collect() };
        let alone = methods.len() == 1;
        for method in methods {
            let method = method.to_ascii_lowercase();
            // Routes told apart by headers share path and method: a document has room for the first.
            if path.get(&method).is_none() {
                let id = if alone { route.id.clone() } else { format!("{}-{method}", route.id) };
                path[method] = operation(route, &template, id);
            }
        }
    }
    paths
}

fn operation(route: &CatalogueRoute, template: &PathTemplate, id: String) -> Value {
    let mut operation = json!({
        "operationId": id,
        "summary": route.summary,
        "description": route.description,
        "tags": route.tags,
        "parameters": template.segments().iter().flat_map(parameters).collect::<Vec<_>>(),
        "responses": {"default": {"description": "The API's answer"}},
    });
    if route.deprecated {
        operation["deprecated"] = json!(true);
    }
    if route.access == Access::Subscription {
        operation["security"] = json!([{ "key": [] }]);
    }
    operation
}

fn parameters(segment: &Segment) -> Vec<Value> {
    let one =
        |name: &String| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}});
    match segment {
        Segment::Literal(_) => Vec::new(),
        Segment::Parameter(name) => vec![one(name)],
        Segment::Mixed { names, .. } => names.iter().map(one).collect(),
        Segment::Multi(name) => {
            let mut parameter = one(name);
            parameter["x-multi-segment"] = json!(true);
            vec![parameter]
        }
    }
}

/// `{*rest}` is no OpenAPI: the parameter's own mark says it.
fn path_of(template: &PathTemplate) -> String {
    template.to_string().replace("{*", "{")
}
