//! Operations of each format become routes.

use serde_json::json;
use sluice_import::read;

use crate::{openapi, read_value};

#[test]
fn each_operation_becomes_a_route_named_by_its_operation_id() {
    let document = openapi(json!({
        "/pets/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": true}],
            "get": {
                "operationId": "getPet", "summary": "One pet", "description": "Says *which*.", "tags": ["pets"],
                "deprecated": true, "responses": {"200": {"description": "ok"}}
            },
            "delete": {"operationId": "deletePet", "responses": {}}
        }
    }));
    let imported = read_value(&document).unwrap();
    assert_eq!(imported.format, "OpenAPI 3.1.0");
    assert_eq!((&*imported.title, &*imported.version), ("Pets", "1.2"));
    let [get, delete] = &imported.definition.routes[..] else { panic!("{:?}", imported.definition.routes) };
    assert_eq!((&*get.id, &*get.path, &get.methods[..]), ("getPet", "/pets/{id}", &["GET".to_owned()][..]));
    assert_eq!((&*get.summary, &*get.description, get.deprecated), ("One pet", "Says *which*.", true));
    assert_eq!(get.tags, ["pets"]);
    assert!(get.imported);
    assert_eq!((&*delete.id, &delete.methods[..]), ("deletePet", &["DELETE".to_owned()][..]));
    assert!(imported.definition.problems().is_empty());
    assert!(imported.warnings.is_empty(), "{:?}", imported.warnings);
}

#[test]
fn yaml_reads_as_the_same_json_does() {
    let yaml = "
swagger: '2.0'
info: {title: Pets, version: 1.0}
host: pets.example.com
basePath: /v2
schemes: [http]
x-shared: &answer
  description: fine
paths:
  /pets:
    get:
      operationId: listPets
      description: |
        Two
        lines
      responses:
        200: *answer
        default: *answer
";
    let json = json!({
        "swagger": "2.0", "info": {"title": "Pets", "version": "1.0"}, "host": "pets.example.com", "basePath": "/v2",
        "schemes": ["http"],
        "paths": {"/pets": {"get": {"operationId": "listPets", "description": "Two\nlines\n",
            "responses": {"200": {"description": "fine"}, "default": {"description": "fine"}}}}}
    });
    let imported = read(yaml, None).unwrap();
    assert_eq!(imported, read_value(&json).unwrap());
    assert_eq!(imported.format, "Swagger 2.0");
    assert_eq!(imported.definition.upstreams[0].targets[0].url, "http://pets.example.com/v2");
}

#[test]
fn an_operation_without_an_id_gets_one_that_is_unique_and_stays_the_same() {
    let document = openapi(json!({
        "/users/{id}": {"get": {}},
        "/users/{id}/": {"get": {}},
        "/": {"post": {}}
    }));
    let imported = read_value(&document).unwrap();
    let ids: Vec<_> = imported.definition.routes.iter().map(|route| &*route.id).collect();
    assert_eq!(ids, ["post", "get-users-id", "get-users-id-2"]);
    assert_eq!(imported, read_value(&document).unwrap());
}

#[test]
fn an_id_that_is_there_twice_is_told_apart_with_a_warning() {
    let document = openapi(json!({"/a": {"get": {"operationId": "x"}}, "/b": {"get": {"operationId": "x"}}}));
    let imported = read_value(&document).unwrap();
    let ids: Vec<_> = imported.definition.routes.iter().map(|route| &*route.id).collect();
    assert_eq!(ids, ["x", "x-2"]);
    assert_eq!(imported.warnings[0].pointer, "/paths/~1b/get/operationId");
}

#[test]
fn a_parameter_marked_multi_segment_spans_segments() {
    let multi = json!([{"name": "path", "in": "path", "x-multi-segment": true},
                       {"name": "ref", "in": "query", "x-multi-segment": true}]);
    let document = openapi(json!({
        "/files/{path}": {"get": {"parameters": multi}},
        "/refs/{ref}": {"get": {"parameters": multi}},
        "/raw/{path}.txt": {"get": {"parameters": multi}},
        "/proxy/{rest+}": {"get": {}}
    }));
    let imported = read_value(&document).unwrap();
    let paths: Vec<_> = imported.definition.routes.iter().map(|route| &*route.path).collect();
    assert_eq!(paths, ["/files/{*path}", "/proxy/{*rest}", "/raw/{path}.txt", "/refs/{ref}"]);
}

#[test]
fn an_operation_overrides_what_its_path_says_of_a_parameter() {
    let document = openapi(json!({
        "/files/{path}": {
            "parameters": [{"name": "path", "in": "path", "x-multi-segment": true}],
            "get": {"operationId": "whole"},
            "put": {"operationId": "one", "parameters": [{"name": "path", "in": "path"}]}
        }
    }));
    let imported = read_value(&document).unwrap();
    let paths: Vec<_> = imported.definition.routes.iter().map(|route| (&*route.id, &*route.path)).collect();
    assert_eq!(paths, [("whole", "/files/{*path}"), ("one", "/files/{path}")]);
}

#[test]
fn segments_with_text_around_parameters_are_kept() {
    let document =
        openapi(json!({"/compare/{base}...{head}": {"get": {}}, "/m/{the model}:run": {"post": {}}}));
    let imported = read_value(&document).unwrap();
    let paths: Vec<_> = imported.definition.routes.iter().map(|route| &*route.path).collect();
    assert_eq!(paths, ["/compare/{base}...{head}", "/m/{the_model}:run"]);
}

#[test]
fn what_is_left_out_is_named() {
    let mut document = openapi(json!({"/a": {"get": {}}}));
    document["webhooks"] = json!({"pushed": {}});
    document["security"] = json!([{"key": []}]);
    let imported = read_value(&document).unwrap();
    let pointers: Vec<_> = imported.warnings.iter().map(|warning| &*warning.pointer).collect();
    assert_eq!(pointers, ["/webhooks", "/security"]);
}
