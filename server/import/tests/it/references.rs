//! References are followed where they matter; loops and dead ends are named.

use serde_json::json;
use sluice_import::read;

use crate::{openapi, problems, read_value};

#[test]
fn parameters_and_path_items_are_found_by_reference() {
    let mut document = openapi(json!({
        "/files/{path}": {"$ref": "#/components/pathItems/files"},
        "/other/{path}": {"get": {"operationId": "other",
            "parameters": [{"$ref": "#/paths/~1files2~1%7Bpath%7D/parameters"},
                           {"$ref": "#/components/parameters/path"}]}}
    }));
    document["paths"]["/files2/{path}"] = json!({"parameters": {"name": "unused", "in": "query"}});
    document["components"] = json!({
        "pathItems": {"files": {"get": {"operationId": "files", "parameters": [{"$ref": "#/components/parameters/p"}]}}},
        "parameters": {
            "p": {"$ref": "#/components/parameters/path"},
            "path": {"name": "path", "in": "path", "x-multi-segment": true}
        }
    });
    document["paths"]["/files2/{path}"]["parameters"] = json!([]);
    document["paths"]["/other/{path}"]["get"]["parameters"][0] = json!({"$ref": "#/components/parameters/p"});
    let imported = read_value(&document).unwrap();
    let paths: Vec<_> = imported.definition.routes.iter().map(|route| (&*route.id, &*route.path)).collect();
    assert_eq!(paths, [("files", "/files/{*path}"), ("other", "/other/{*path}")]);
}

#[test]
fn a_reference_loop_is_refused_and_names_its_references() {
    let mut document =
        openapi(json!({"/a": {"get": {"parameters": [{"$ref": "#/components/parameters/a"}]}}}));
    document["components"] = json!({"parameters": {
        "a": {"$ref": "#/components/parameters/b"}, "b": {"$ref": "#/components/parameters/a"}
    }});
    assert_eq!(
        problems(&document),
        [("/paths/~1a/get/parameters/0/$ref".to_owned(), "reference_loop".to_owned())]
    );
    let message = &read_value(&document).unwrap_err().problems[0].message;
    assert!(
        message.contains("#/components/parameters/a → #/components/parameters/b → #/components/parameters/a"),
        "{message}"
    );
}

#[test]
fn loops_of_path_items_and_responses_are_refused_too() {
    let mut document = openapi(json!({
        "/self": {"$ref": "#/paths/~1self"},
        "/a": {"get": {"responses": {"200": {"$ref": "#/components/responses/r"}}}}
    }));
    document["components"] = json!({"responses": {"r": {"$ref": "#/components/responses/r"}}});
    assert_eq!(
        problems(&document),
        [
            ("/paths/~1a/get/responses/200/$ref".to_owned(), "reference_loop".to_owned()),
            ("/paths/~1self/$ref".to_owned(), "reference_loop".to_owned()),
        ]
    );
}

#[test]
fn a_schema_may_refer_to_itself() {
    let mut document = openapi(json!({
        "/tree": {"get": {"operationId": "tree", "responses": {"200": {"description": "ok", "content":
            {"application/json": {"schema": {"$ref": "#/components/schemas/Node"}}}}}}}
    }));
    document["components"] = json!({"schemas": {"Node": {"type": "object", "properties":
        {"children": {"type": "array", "items": {"$ref": "#/components/schemas/Node"}}}}}});
    assert_eq!(read_value(&document).unwrap().definition.routes[0].id, "tree");
}

#[test]
fn a_reference_to_nothing_is_a_problem_and_one_to_another_document_a_warning() {
    let document = openapi(json!({
        "/a": {"get": {"parameters": [{"$ref": "#/components/parameters/none"}, {"$ref": 7}]}},
        "/b": {"$ref": "other.yaml#/paths/~1b"}
    }));
    assert_eq!(
        problems(&document),
        [
            ("/paths/~1a/get/parameters/0/$ref".to_owned(), "dangling_reference".to_owned()),
            ("/paths/~1a/get/parameters/1/$ref".to_owned(), "wrong_type".to_owned()),
        ]
    );
    let document = openapi(json!({"/a": {"get": {}}, "/b": {"$ref": "other.yaml#/paths/~1b"}}));
    let imported = read(&document.to_string(), None).unwrap();
    assert_eq!(imported.definition.routes.len(), 1);
    assert_eq!(imported.warnings[0].pointer, "/paths/~1b/$ref");
}
