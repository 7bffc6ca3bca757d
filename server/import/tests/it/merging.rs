//! An import into a draft keeps what people have done to it.

use serde_json::{Value, json};
use sluice_contract::definition::ApiDefinition;
use sluice_import::merge;

use crate::{openapi, read_value};

fn imported(paths: Value) -> ApiDefinition {
    read_value(&openapi(paths)).unwrap().definition
}

fn first() -> ApiDefinition {
    imported(json!({
        "/pets": {"get": {"operationId": "listPets", "summary": "All"}, "post": {}},
        "/pets/{id}": {"get": {"operationId": "getPet"}}
    }))
}

#[test]
fn an_import_into_an_empty_draft_adds_everything() {
    let merged = merge(&ApiDefinition::default(), first());
    assert_eq!(merged.added, ["GET /pets", "POST /pets", "GET /pets/{id}"]);
    assert!(merged.changed.is_empty() && merged.removed.is_empty());
    assert_eq!(merged.definition, first());
}

#[test]
fn the_same_import_again_changes_nothing() {
    let merged = merge(&first(), first());
    assert_eq!(merged.unchanged, 3);
    assert!(merged.added.is_empty() && merged.changed.is_empty() && merged.removed.is_empty());
    assert_eq!(merged.definition, first());
}

#[test]
fn what_people_added_survives_and_what_the_document_says_changes() {
    let mut draft = first();
    draft.hosts = vec!["pets.example.org".to_owned()];
    draft.policies =
        serde_json::from_value(json!([{"type": "rate-limit", "settings": {"limit": 5}}])).unwrap();
    draft.upstreams[0].targets[0].url = "http://10.0.0.7:9000".to_owned();
    draft.routes[0].policies = serde_json::from_value(json!([{"type": "cache", "settings": {}}])).unwrap();
    draft.routes[1].access = Some(sluice_contract::definition::Access::Public);
    let by_hand = json!({"id": "mine", "methods": ["GET"], "path": "/mine"});
    draft.routes.push(serde_json::from_value(by_hand).unwrap());

    let merged = merge(
        &draft,
        imported(json!({
            "/animals": {"get": {"operationId": "listPets", "summary": "Every one"}},
            "/pets": {"post": {"operationId": "addPet"}},
            "/new": {"get": {}}
        })),
    );
    assert_eq!(merged.added, ["GET /new"]);
    assert_eq!(merged.changed, ["GET /animals", "POST /pets"]);
    assert_eq!(merged.removed, ["GET /pets/{id}"]);
    assert_eq!(merged.unchanged, 1);

    let after = merged.definition;
    assert_eq!(
        (&after.hosts, &after.policies, &after.upstreams),
        (&draft.hosts, &draft.policies, &draft.upstreams)
    );
    let route = |id: &str| after.routes.iter().find(|route| route.id == id).unwrap();
    assert_eq!((&*route("listPets").path, &*route("listPets").summary), ("/animals", "Every one"));
    assert_eq!(route("listPets").policies, draft.routes[0].policies);
    assert_eq!(route("addPet").access, Some(sluice_contract::definition::Access::Public));
    assert_eq!(route("mine").path, "/mine");
    assert!(after.problems().is_empty());
}

#[test]
fn a_route_made_by_hand_becomes_the_documents_when_it_describes_the_same_call() {
    let draft: ApiDefinition = serde_json::from_value(json!({
        "routes": [{"id": "byHand", "methods": ["GET"], "path": "/pets", "headers": [{"name": "x-version"}]}],
        "upstreams": [{"name": "main", "targets": [{"url": "http://a.example.com"}]}]
    }))
    .unwrap();
    let merged = merge(&draft, first());
    assert_eq!(merged.changed, ["GET /pets"]);
    let route = &merged.definition.routes[0];
    assert_eq!((&*route.id, route.imported, route.headers.len()), ("listPets", true, 1));
    // The draft's upstream serves: another that nothing asks for would only be in the way.
    assert_eq!(merged.definition.upstreams, draft.upstreams);
    let without = merge(&merged.definition, imported(json!({"/other": {"get": {}}})));
    assert!(without.removed.contains(&"GET /pets".to_owned()));
}
