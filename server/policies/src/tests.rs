use serde_json::json;
use sluice_contract::definition::PolicyAttachment;
use sluice_contract::rest::policy_types::PolicyScope;

#[test]
fn every_policy_has_an_example_that_passes_its_own_checks_and_labels_for_a_form() {
    let types = crate::policy_types();
    assert_eq!(types.len(), 6);
    for policy in types {
        for scope in &policy.scopes {
            let problems = crate::validate(&policy.kind, *scope, &policy.example);
            assert!(problems.is_empty(), "{}: {problems:?}", policy.kind);
        }
        let properties = policy.schema["properties"].as_object().unwrap();
        for (name, property) in properties {
            assert!(property["title"].is_string(), "{}/{name} has no label", policy.kind);
            assert!(property["description"].is_string(), "{}/{name} has no help", policy.kind);
        }
        assert!(!policy.title.is_empty() && !policy.description.is_empty());
    }
}

#[test]
fn unknown_types_wrong_places_and_doubles_are_refused_with_their_place() {
    let attach = |kind: &str, settings| PolicyAttachment { kind: kind.to_owned(), enabled: true, settings };
    let attachments = [
        attach("nope", json!({})),
        attach("rewrite", json!({ "path": "/a" })),
        attach("cors", json!({})),
        attach("cors", json!(null)),
        attach("rate-limit", json!({ "requests": 1 })),
        attach("rate-limit", json!({ "requests": 100, "period_s": 3600 })),
    ];
    let problems = crate::validate_all(PolicyScope::Api, &attachments, "/policies");
    let found: Vec<_> = problems.iter().map(|p| (p.pointer.as_str(), p.code.as_str())).collect();
    let expected = [
        ("/policies/0/type", "unknown_policy"),
        ("/policies/1/type", "wrong_scope"),
        ("/policies/3/type", "not_unique"),
    ];
    assert_eq!(found, expected);
}
