//! Previews of imports: by text and by URL, new and merged; documents that are malformed, too large or out of bounds.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::Redirect;
use axum::routing::get;
use http::{Method, header};
use serde_json::{Value, json};
use sluice_contract::rest::imports::ImportPreview;
use sluice_testkit::{TestApp, TestDatabase, each_database};

use crate::publishing::{make_api, save_draft};

fn pets() -> Value {
    json!({
        "openapi": "3.0.3", "info": {"title": "Pets & More", "version": "1"},
        "servers": [{"url": "http://127.0.0.1:9/v1"}],
        "paths": {"/pets": {"get": {"operationId": "listPets"}, "post": {"operationId": "addPet"}}}
    })
}

async fn preview(app: &TestApp, body: Value) -> sluice_testkit::Reply {
    app.admin.post(&app.path("/imports/preview"), &body).await
}

#[tokio::test]
async fn a_preview_shows_the_draft_and_changes_nothing_until_it_is_applied() {
    each_database(|app| async move {
        let shown: ImportPreview =
            preview(&app, json!({"source": {"text": pets().to_string()}})).await.expect(200).json();
        assert_eq!((&*shown.format, &*shown.suggested_slug), ("OpenAPI 3.0.3", "pets-more"));
        assert_eq!(shown.added, ["GET /pets", "POST /pets"]);
        assert!(app.admin.get(&app.path("/apis")).await.expect(200).text().contains("\"items\":[]"));
        let api = make_api(&app, &shown.suggested_slug, serde_json::to_value(&shown.draft).unwrap()).await;
        assert_eq!(api.draft, shown.draft);
        let again: ImportPreview =
            preview(&app, json!({"source": {"text": pets().to_string()}})).await.expect(200).json();
        assert_eq!(again.suggested_slug, "pets-more-2");
    })
    .await;
}

#[tokio::test]
async fn a_second_import_merges_into_what_people_have_made_of_the_first() {
    each_database(|app| async move {
        let text = pets().to_string();
        let first: ImportPreview = preview(&app, json!({"source": {"text": text}})).await.expect(200).json();
        let mut draft = serde_json::to_value(&first.draft).unwrap();
        draft["upstreams"][0]["targets"][0]["url"] = json!("http://127.0.0.1:81");
        draft["routes"][0]["policies"] = json!([{"type": "rate-limit", "settings": {"requests": 5}}]);
        let api = make_api(&app, "pets", json!({})).await.id;
        save_draft(&app, api, draft).await;

        let mut second = pets();
        second["paths"] = json!({
            "/pets": {"get": {"operationId": "listPets", "summary": "All"}}, "/new": {"get": {}}
        });
        let body = json!({"source": {"text": second.to_string()}, "api": api});
        let merged: ImportPreview = preview(&app, body).await.expect(200).json();
        assert_eq!(merged.added, ["GET /new"]);
        assert_eq!(
            (merged.changed, merged.removed),
            (vec!["GET /pets".to_owned()], vec!["POST /pets".to_owned()])
        );
        assert_eq!(merged.draft.upstreams[0].targets[0].url, "http://127.0.0.1:81");
        let list = merged.draft.routes.iter().find(|route| route.id == "listPets").unwrap();
        assert_eq!((list.policies.len(), &*list.summary), (1, "All"));
        let changed: Vec<_> = merged.changes.iter().map(|change| &*change.path).collect();
        assert!(changed.contains(&"/routes/listPets/summary"), "{changed:?}");
    })
    .await;
}

#[tokio::test]
async fn a_malformed_document_is_refused_with_every_problem_and_its_pointer() {
    let app = TestApp::sqlite().await;
    let mut document = pets();
    document["info"] = json!({});
    document["paths"]["/pets"]["get"]["parameters"] = json!([{"$ref": "#/components/parameters/a"}]);
    document["components"] = json!({"parameters": {"a": {"$ref": "#/components/parameters/a"}}});
    document["paths"]["pets"] = json!({});
    let body = json!({"source": {"text": document.to_string()}});
    let problem = preview(&app, body).await.expect_problem(422, "malformed_document");
    let found: Vec<_> = problem.fields.iter().map(|field| (&*field.pointer, &*field.code)).collect();
    assert_eq!(
        found,
        [
            ("/info/title", "required"),
            ("/paths/~1pets/get/parameters/0/$ref", "reference_loop"),
            ("/paths/pets", "invalid_path"),
        ]
    );
    assert!(problem.fields[1].message.contains("#/components/parameters/a"));
}

#[tokio::test]
async fn a_document_of_50_mb_is_refused_whether_its_length_is_declared_or_not() {
    let app = TestApp::sqlite().await;
    let path = app.path("/imports/preview");
    let declared = app
        .admin
        .request(Method::POST, &path)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_LENGTH, 50 << 20);
    app.admin.send(declared, Body::empty()).await.expect_problem(413, "document_too_large");

    // Without a length it is cut when it is too long. (What this takes of memory is measured end to end, where the
    // process does nothing else.)
    let piece = Bytes::from(vec![b' '; 64 << 10]);
    let pieces = (0..800).map(move |_| Ok::<_, std::io::Error>(piece.clone()));
    let endless = app.admin.request(Method::POST, &path).header(header::CONTENT_TYPE, "application/json");
    let body = Body::from_stream(tokio_stream::iter(pieces));
    app.admin.send(endless, body).await.expect_problem(413, "document_too_large");
}

/// Serves documents on this machine; returns its address.
async fn documents() -> String {
    let large = || async {
        Body::from_stream(tokio_stream::iter(
            (0..1000).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 64 << 10]))),
        ))
    };
    let router = Router::new()
        .route(
            "/docs/pets.json",
            get(|| async {
                let mut document = pets();
                document["servers"] = json!([{"url": "../api"}]);
                document.to_string()
            }),
        )
        .route("/moved", get(|| async { Redirect::temporary("/docs/pets.json") }))
        .route("/around", get(|| async { Redirect::temporary("/around") }))
        .route("/inside", get(|| async { Redirect::temporary("http://10.0.0.1/secret") }))
        .route("/large", get(large));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

#[tokio::test]
async fn a_document_is_fetched_and_its_servers_are_relative_to_where_it_was() {
    let (app, documents) = (TestApp::sqlite().await, documents().await);
    for path in ["/docs/pets.json", "/moved"] {
        let body = json!({"source": {"url": format!("{documents}{path}")}});
        let shown: ImportPreview = preview(&app, body).await.expect(200).json();
        assert_eq!(shown.draft.upstreams[0].targets[0].url, format!("{documents}/api"));
    }
    let fetch = async |url: String| preview(&app, json!({"source": {"url": url}})).await;
    fetch(format!("{documents}/nothing")).await.expect_problem(502, "not_fetched");
    fetch(format!("{documents}/around")).await.expect_problem(502, "not_fetched");
    fetch("http://127.0.0.1:9/".to_owned()).await.expect_problem(502, "not_fetched");
    fetch("http://no-such-host.invalid/".to_owned()).await.expect_problem(502, "not_fetched");
    fetch(format!("{documents}/large")).await.expect_problem(413, "document_too_large");
    for wrong in ["file:///etc/passwd", "not a url"] {
        let problem = fetch(wrong.to_owned()).await.expect_problem(422, "invalid");
        assert_eq!(problem.fields[0].code, "invalid_url", "{wrong}");
    }
}

#[tokio::test]
async fn nothing_is_fetched_from_a_forbidden_network_not_even_by_redirect_or_name() {
    let (app, documents) = (TestApp::sqlite().await, documents().await);
    let refused = async |app: &TestApp, url: String| {
        let problem =
            preview(app, json!({"source": {"url": url.clone()}})).await.expect_problem(422, "invalid");
        assert_eq!(problem.fields[0].code, "forbidden_network", "{url}");
    };
    refused(&app, "http://169.254.169.254/latest/meta-data".to_owned()).await;
    refused(&app, format!("{documents}/inside")).await;
    let mut settings = TestApp::settings();
    settings.loopback_allowed = false;
    let strict = TestApp::with(TestDatabase::sqlite().await, settings).await;
    let port = documents.rsplit(':').next().unwrap();
    refused(&strict, format!("http://127.0.0.1:{port}/docs/pets.json")).await;
    refused(&strict, format!("http://localhost:{port}/docs/pets.json")).await;
    refused(&strict, format!("http://[::ffff:127.0.0.1]:{port}/docs/pets.json")).await;
}

#[tokio::test]
async fn a_description_with_thousands_of_routes_is_imported_saved_and_released() {
    each_database(|app| async move {
        let mut document = pets();
        let paths: serde_json::Map<String, Value> = (0..2000)
            .map(|i| {
                let description = "A long text. ".repeat(100);
                (
                    format!("/things-{i}/{{id}}"),
                    json!({"get": {"operationId": format!("get{i}"), "description": description}}),
                )
            })
            .collect();
        document["paths"] = paths.into();
        let body = json!({"source": {"text": document.to_string()}});
        let shown: ImportPreview = preview(&app, body).await.expect(200).json();
        assert_eq!(shown.added.len(), 2000);
        let api = make_api(&app, "large", serde_json::to_value(&shown.draft).unwrap()).await.id;
        let revision = crate::publishing::make_revision(&app, api).await;
        crate::publishing::release(&app, api, revision).await;
        let audit = app.admin.get(&app.path("/audit?resource=api")).await.expect(200);
        assert!(audit.body.len() < 100_000, "the audit log holds the definition: {} bytes", audit.body.len());
    })
    .await;
}
