//! Server addresses become upstreams.

use serde_json::{Value, json};
use sluice_import::{Imported, read};
use url::Url;

fn read_from(document: &Value, fetched_from: &str) -> Imported {
    read(&document.to_string(), Some(&Url::parse(fetched_from).unwrap())).unwrap()
}

fn targets(imported: &Imported) -> Vec<(&str, &str)> {
    let upstreams = imported.definition.upstreams.iter();
    upstreams.map(|upstream| (&*upstream.name, &*upstream.targets[0].url)).collect()
}

fn openapi(servers: Value) -> Value {
    json!({"openapi": "3.0.0", "info": {"title": "x"}, "servers": servers, "paths": {"/a": {"get": {}}}})
}

#[test]
fn the_first_server_becomes_the_target_with_its_variables_at_their_defaults() {
    let document = openapi(json!([
        {"url": "https://{region}.example.com:{port}/v1/?x=1", "variables": {"region": {"default": "eu"}, "port": {"default": "8443"}}},
        {"url": "https://staging.example.com"}
    ]));
    let imported = read(&document.to_string(), None).unwrap();
    assert_eq!(targets(&imported), [("default", "https://eu.example.com:8443/v1")]);
    assert_eq!(imported.warnings[0].pointer, "/servers/1");
}

#[test]
fn a_relative_server_is_taken_from_the_address_of_the_document() {
    let document = openapi(json!([{"url": "../api"}]));
    let imported = read_from(&document, "http://a.example.com:81/docs/v1/openapi.json");
    assert_eq!(targets(&imported), [("default", "http://a.example.com:81/docs/api")]);
    let no_servers = openapi(json!([]));
    let imported = read_from(&no_servers, "https://a.example.com/docs/openapi.json");
    assert_eq!(targets(&imported), [("default", "https://a.example.com")]);
}

#[test]
fn a_document_that_names_no_host_leaves_the_upstream_to_people() {
    let imported = read(&openapi(json!([{"url": "/v1"}])).to_string(), None).unwrap();
    assert!(imported.definition.upstreams.is_empty());
    assert_eq!(imported.warnings[0].pointer, "/servers/0/url");
}

#[test]
fn an_operation_with_a_server_of_its_own_gets_an_upstream_of_its_own() {
    let mut document = openapi(json!([{"url": "https://api.example.com"}]));
    document["paths"] = json!({
        "/a": {"get": {"operationId": "a"}},
        "/up": {"servers": [{"url": "https://uploads.example.com/"}],
                "post": {"operationId": "up"},
                "get": {"operationId": "same", "servers": [{"url": "https://api.example.com"}]}}
    });
    let imported = read(&document.to_string(), None).unwrap();
    assert_eq!(
        targets(&imported),
        [("default", "https://api.example.com"), ("uploads.example.com", "https://uploads.example.com")]
    );
    let route = |id: &str| imported.definition.routes.iter().find(|route| route.id == id).unwrap();
    assert_eq!(route("a").upstream, None);
    assert_eq!(route("up").upstream.as_deref(), Some("uploads.example.com"));
    assert_eq!(route("same").upstream, None);
    assert!(imported.definition.problems().is_empty());
}

#[test]
fn swagger_takes_what_it_does_not_say_from_the_address_of_the_document() {
    let document =
        json!({"swagger": "2.0", "info": {"title": "x"}, "basePath": "/v2", "paths": {"/a": {"get": {}}}});
    let imported = read_from(&document, "http://127.0.0.1:5000/spec.json");
    assert_eq!(targets(&imported), [("default", "http://127.0.0.1:5000/v2")]);
    let mut document = document;
    document["host"] = json!("api.example.com");
    assert_eq!(
        targets(&read(&document.to_string(), None).unwrap()),
        [("default", "https://api.example.com/v2")]
    );
}

#[test]
fn user_names_in_an_address_are_dropped_and_other_schemes_left_out() {
    let imported =
        read(&openapi(json!([{"url": "https://me:secret@a.example.com/"}])).to_string(), None).unwrap();
    assert_eq!(targets(&imported), [("default", "https://a.example.com")]);
    let imported = read(&openapi(json!([{"url": "wss://a.example.com/"}])).to_string(), None).unwrap();
    assert!(imported.definition.upstreams.is_empty());
    assert_eq!(imported.warnings.len(), 1);
}
