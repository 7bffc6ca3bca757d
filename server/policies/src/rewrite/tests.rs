use sluice_contract::definition::ApiDefinition;

use super::{PathRule, Rewrite};

#[test]
fn parameters_keep_their_encoding() {
    let settings = Rewrite { path: "/v2/{b}.json/{a}/x".to_owned() };
    let rule = PathRule::compile(&settings, &["a", "b"]).unwrap();
    let mut path = "/base".to_owned();
    rule.render(&["1%2F2", "z"], &mut path);
    assert_eq!(path, "/base/v2/z.json/1%2F2/x");
}

#[test]
fn a_parameter_that_the_route_does_not_have_is_refused() {
    assert!(PathRule::compile(&Rewrite { path: "/{nope}".to_owned() }, &["a"]).is_err());
    let definition: ApiDefinition = serde_json::from_value(serde_json::json!({ "routes": [{
        "id": "r", "path": "/a/{id}",
        "policies": [{ "type": "rewrite", "settings": { "path": "/b/{name}" } }],
    }] }))
    .unwrap();
    let problems = crate::validate_definition(&definition);
    assert_eq!(problems[0].pointer, "/routes/0/policies/0/settings/path");
    assert_eq!(problems[0].code, "unknown_parameter");
}
