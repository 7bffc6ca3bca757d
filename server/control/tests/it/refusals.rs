//! Every operation of the OpenAPI document refuses strangers, members of other tenants, and the ids of other tenants.
//!
//! A new operation is tested here without anybody writing a test. What is exempt is listed, and the lists may only
//! shrink.

mod things;

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use http::{Method, header};
use serde_json::{Value, json};
use sluice_contract::rest::users::Role;
use sluice_testkit::{Client, Reply, each_database};

/// Operations that are for strangers.
const OPEN: [&str; 5] = ["accept_invitation", "complete_setup", "get_setup", "sign_in", "sign_out"];

/// Operations for everybody who is signed in, whatever their tenant.
const FOR_EVERYBODY: [&str; 4] = ["change_password", "get_about", "get_session", "list_policy_types"];

struct Operation {
    id: String,
    method: Method,
    path: String,
    /// What is required of the query.
    query: String,
    body: Option<Value>,
}

impl Operation {
    /// The path with its parameters filled in.
    fn filled(&self, values: &BTreeMap<&str, String>) -> String {
        let mut path = self.path.clone();
        for (name, value) in values {
            path = path.replace(&format!("{{{name}}}"), value);
        }
        while let Some((start, rest)) = path.split_once('{') {
            let (_, end) = rest.split_once('}').unwrap();
            path = format!("{start}{}{end}", uuid::Uuid::new_v4());
        }
        path + &self.query
    }

    /// What is wrong when another status comes back.
    async fn misfit(
        &self,
        client: &Client,
        values: &BTreeMap<&str, String>,
        expected: u16,
    ) -> Option<String> {
        let reply = self.send(client, &self.filled(values)).await;
        let text: String = reply.text().chars().take(300).collect();
        (reply.status != expected)
            .then(|| format!("{}: {} instead of {expected}: {text}", self.id, reply.status))
    }

    async fn send(&self, client: &Client, path: &str) -> Reply {
        let request = client.request(self.method.clone(), path).header(header::IF_MATCH, "\"1\"");
        match &self.body {
            Some(body) => client.send_json(request, body).await,
            None => client.send(request, Body::empty()).await,
        }
    }

    fn is_open(&self) -> bool {
        OPEN.contains(&self.id.as_str())
    }

    /// The parameters besides the tenant.
    fn parameters(&self) -> impl Iterator<Item = &str> {
        let names = self.path.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
        names.map(|(name, _)| name).filter(|name| *name != "tenant")
    }
}

fn document() -> Value {
    serde_json::to_value(sluice_control::document()).unwrap()
}

fn operations() -> Vec<Operation> {
    let document = document();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "put", "post", "delete", "patch"] {
            let Some(operation) = item.get(method) else { continue };
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            operations.push(Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                query: query(&document, operation),
                body: (!schema.is_null()).then(|| sample(&document, schema)),
            });
        }
    }
    assert!(operations.len() > 25, "the document is complete");
    operations
}

/// The required query parameters.
fn query(document: &Value, operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let required = parameters.filter(|p| p["in"] == "query" && p["required"] == true);
    let pairs: Vec<_> = required
        .map(|parameter| {
            let value = sample(document, &parameter["schema"]);
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{}={value}", parameter["name"].as_str().unwrap())
        })
        .collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// A body that fits the schema: what is required, and the first of each choice.
fn sample(document: &Value, schema: &Value) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).unwrap();
        return sample(document, target);
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(first) = schema[choice].as_array().and_then(|choices| choices.first()) {
            return sample(document, first);
        }
    }
    if let Some(all) = schema["allOf"].as_array() {
        let parts = all.iter().filter_map(|part| sample(document, part).as_object().cloned());
        return parts.flatten().collect::<serde_json::Map<_, _>>().into();
    }
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str()).unwrap_or("object");
    match kind {
        "string" => match schema["format"].as_str() {
            Some("uuid") => json!(uuid::Uuid::new_v4()),
            Some("date-time") => json!("2099-01-01T00:00:00Z"),
            _ => json!("sample"),
        },
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        "boolean" => json!(false),
        "array" => json!([]),
        _ => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let fields =
                required.map(|name| (name.to_owned(), sample(document, &schema["properties"][name])));
            Value::Object(fields.collect())
        }
    }
}

#[test]
fn operations_are_named_once_and_described() {
    let document = document();
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Some(id) = operation["operationId"].as_str() else { continue };
            assert!(ids.insert(id.to_owned()), "{id} is there twice");
            assert!(operation["summary"].is_string(), "{method} {path} says what it does");
            let says_open = operation["security"] == json!([{}]);
            assert_eq!(says_open, OPEN.contains(&id), "{id}: the document says whom it is for");
            assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{method} {path} has one tag");
        }
    }
    for exempt in OPEN.iter().chain(&FOR_EVERYBODY) {
        assert!(ids.contains(*exempt), "{exempt} is exempt but does not exist: shrink the list");
    }
}

#[tokio::test]
async fn no_operation_is_for_strangers() {
    each_database(|app| async move {
        let tenant = BTreeMap::from([("tenant", app.tenant.to_string())]);
        let mut wrong = Vec::new();
        for operation in operations().iter().filter(|operation| !operation.is_open()) {
            wrong.extend(operation.misfit(&app.stranger(), &tenant, 401).await);
            wrong.extend(operation.misfit(&app.with_token("slt_forged"), &tenant, 401).await);
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    })
    .await;
}

#[tokio::test]
async fn to_members_of_another_tenant_a_tenant_does_not_exist() {
    each_database(|app| async move {
        let other = app.another_tenant("other").await;
        let their_admin = app.member_of(other, &[Role::TenantAdmin]).await;
        let tenant = BTreeMap::from([("tenant", app.tenant.to_string())]);
        let mut wrong = Vec::new();
        for operation in operations() {
            if operation.is_open() || FOR_EVERYBODY.contains(&operation.id.as_str()) {
                continue;
            }
            let expected = if operation.path.contains("{tenant}") { 404 } else { 403 };
            wrong.extend(operation.misfit(&their_admin, &tenant, expected).await);
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    })
    .await;
}

#[tokio::test]
async fn things_of_another_tenant_do_not_exist_in_ones_own() {
    each_database(|app| async move {
        let things = things::make(&app).await;
        let other = app.another_tenant("other").await;
        let their_admin = app.member_of(other, &[Role::TenantAdmin]).await;
        let mut values = things.clone();
        values.insert("tenant", other.to_string());
        let mut wrong = Vec::new();
        for operation in operations().iter().filter(|operation| operation.path.contains("{tenant}")) {
            if operation.parameters().next().is_none() {
                continue;
            }
            let unknown = operation.parameters().filter(|name| !things.contains_key(name));
            wrong
                .extend(unknown.map(|name| format!("{}: make a {name} in refusals/things.rs", operation.id)));
            wrong.extend(operation.misfit(&their_admin, &values, 404).await);
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    })
    .await;
}
