//! A document that cannot be imported says everything that is wrong with it, and where.

use serde_json::json;
use sluice_import::{Malformed, read};

use crate::{openapi, problems};

fn pair(pointer: &str, code: &str) -> (String, String) {
    (pointer.to_owned(), code.to_owned())
}

#[test]
fn every_problem_is_reported_at_once_with_its_pointer() {
    let document = json!({
        "openapi": "3.0.3",
        "info": {"description": 7},
        "servers": [{"url": "https://{host}"}],
        "paths": {
            "no-slash": {},
            "/a": [],
            "/b/{c": {"get": {}},
            "/d": {"get": {"operationId": 1, "tags": "x", "deprecated": "yes", "parameters": [{"in": "query"}, 3]},
                   "put": "x"}
        }
    });
    assert_eq!(
        problems(&document),
        [
            pair("/info/title", "required"),
            pair("/info/description", "wrong_type"),
            pair("/servers/0/variables", "required"),
            pair("/paths/~1a", "wrong_type"),
            pair("/paths/~1b~1{c", "invalid_path"),
            pair("/paths/~1d/get/parameters/0/name", "required"),
            pair("/paths/~1d/get/parameters/1", "wrong_type"),
            pair("/paths/~1d/get/operationId", "wrong_type"),
            pair("/paths/~1d/get/tags", "wrong_type"),
            pair("/paths/~1d/get/deprecated", "wrong_type"),
            pair("/paths/~1d/put", "wrong_type"),
            pair("/paths/no-slash", "invalid_path"),
        ]
    );
}

#[test]
fn at_most_a_hundred_problems_are_listed() {
    let paths: serde_json::Map<_, _> = (0..500).map(|i| (format!("/p{i}"), json!(1))).collect();
    assert_eq!(problems(&openapi(paths.into())).len(), 100);
}

#[test]
fn text_that_is_neither_json_nor_yaml_names_the_place() {
    for (text, place) in [("{\"openapi\": \"3.0.0\",\n  oops", "line 2"), ("a: 1\nb: }", "line 2")] {
        let Malformed { problems } = read(text, None).unwrap_err();
        assert_eq!((&*problems[0].pointer, &*problems[0].code), ("", "syntax"));
        assert!(problems[0].message.contains(place), "{}", problems[0].message);
    }
}

#[test]
fn other_formats_are_refused_by_name() {
    for (document, pointer, code) in [
        (json!({"openapi": "3.2.0"}), "/openapi", "unsupported"),
        (json!({"openapi": "4"}), "/openapi", "unsupported"),
        (json!({"swagger": "1.2"}), "/swagger", "unsupported"),
        (json!({"asyncapi": "3.0.0"}), "", "required"),
    ] {
        assert_eq!(problems(&document), [pair(pointer, code)]);
    }
    for text in ["", "just text", "[1, 2]"] {
        assert_eq!(read(text, None).unwrap_err().problems[0].code, "syntax", "{text:?}");
    }
}

#[test]
fn a_document_without_paths_has_nothing_to_import() {
    let document = json!({"openapi": "3.1.0", "info": {"title": "x"}, "webhooks": {}});
    assert_eq!(problems(&document), [pair("/paths", "required")]);
}

#[test]
fn a_yaml_alias_bomb_is_refused() {
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for i in 1..12 {
        let before = format!("*a{}", i - 1);
        bomb += &format!("a{i}: &a{i} [{}]\n", vec![before; 10].join(","));
    }
    let Malformed { problems } = read(&bomb, None).unwrap_err();
    assert_eq!(problems[0].code, "syntax");
}

#[test]
fn deep_nesting_is_refused_or_read_but_never_overflows_the_stack() {
    let deep = 200_000;
    let nested = format!("{}{}", "[".repeat(deep), "]".repeat(deep));
    let json = format!(r#"{{"openapi":"3.1.0","info":{{"title":"x"}},"paths":{{}},"x-deep":{nested}}}"#);
    let _ = read(&json, None);
    assert!(read(&format!("a: {nested}"), None).is_err());
    assert!(read(&"- ".repeat(deep), None).is_err());
}
