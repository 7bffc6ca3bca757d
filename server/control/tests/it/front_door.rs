//! What every request passes through: ids, headers, limits, problems, the document and its reference.

use std::time::Duration;

use axum::body::Body;
use http::{Method, header};
use sea_orm::TransactionTrait;
use serde_json::{Value, json};
use sluice_testkit::{TestApp, each_database};
use tokio::time::timeout;

#[tokio::test]
async fn every_answer_has_an_id_and_problems_repeat_it() {
    let app = TestApp::sqlite().await;
    let reply = app.stranger().get("/api/v1/session").await;
    let id = reply.header("x-request-id").to_owned();
    let problem = reply.expect_problem(401, "unauthenticated");
    assert_eq!(problem.request_id, Some(id));
    assert_eq!(problem.kind, "urn:sluice:problem:unauthenticated");
}

#[tokio::test]
async fn answers_forbid_framing_sniffing_and_storing() {
    let app = TestApp::sqlite().await;
    let reply = app.admin.get("/api/v1/session").await.expect(200);
    assert_eq!(reply.header("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert_eq!(reply.header("x-frame-options"), "DENY");
    assert_eq!(reply.header("referrer-policy"), "no-referrer");
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_below_api_and_the_console_elsewhere() {
    let app = TestApp::sqlite().await;
    app.admin.get("/api/v1/nothing").await.expect_problem(404, "not_found");
    app.admin.get("/api/nothing").await.expect_problem(404, "not_found");
    app.admin.get(&app.path("/teams/no-uuid")).await.expect_problem(404, "not_found");
    let wrong = app.admin.request(Method::PATCH, "/api/v1/session");
    app.admin.send(wrong, Body::empty()).await.expect_problem(405, "method_not_allowed");
    let page = app.stranger().get("/apis/some/deep/link").await;
    assert!(page.header("content-type").starts_with("text/html"), "{page:?}");
    app.stranger().get("/app-ffffffffffffffff.js").await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn a_body_that_is_too_large_or_no_json_is_refused() {
    let app = TestApp::sqlite().await;
    let large = json!({"name": "x".repeat(2 << 20), "members": []});
    app.admin.post(&app.path("/teams"), &large).await.expect_problem(413, "body_too_large");
    let text =
        app.admin.request(Method::POST, &app.path("/teams")).header(header::CONTENT_TYPE, "text/plain");
    app.admin.send(text, Body::from("{}")).await.expect_problem(415, "unsupported_media_type");
    let broken = app.admin.request(Method::POST, &app.path("/teams"));
    let broken = broken.header(header::CONTENT_TYPE, "application/json");
    let problem = app.admin.send(broken, Body::from("{")).await.expect_problem(422, "invalid");
    assert_eq!(problem.fields[0].code, "not_json");
}

#[tokio::test]
async fn text_that_no_database_stores_is_refused_by_its_place() {
    each_database(|app| async move {
        let path = app.path("/teams");
        let team = json!({"name": "a\0b", "members": []});
        let problem = app.admin.post(&path, &team).await.expect_problem(422, "invalid");
        assert_eq!((&*problem.fields[0].pointer, &*problem.fields[0].code), ("/name", "nul"));
        for query in ["q=%00", "q=a%00b", "sort=name&q=%00"] {
            let problem = app.admin.get(&format!("{path}?{query}")).await.expect_problem(422, "invalid");
            assert_eq!(problem.fields[0].pointer, "q", "{query}");
        }
        // What only looks like it is text like any other.
        let team = json!({"name": "a\\u0000b", "members": []});
        app.admin.post(&path, &team).await.expect(201);
        app.admin.get(&format!("{path}?q=%2500")).await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn a_time_range_far_from_now_has_nothing_in_it() {
    each_database(|app| async move {
        for path in ["/analytics", "/analytics/cache"] {
            for range in ["to=9999-12-31T23:59:59Z", "from=9000-01-01T00:00:00Z&to=9999-12-31T23:59:59Z"] {
                app.admin.get(&app.path(&format!("{path}?{range}"))).await.expect(200);
            }
            // Before it there is nothing.
            let first = app.path(&format!("{path}?to=-262143-01-01T00:00:00Z"));
            app.admin.get(&first).await.expect_problem(422, "invalid");
        }
    })
    .await;
}

#[tokio::test]
async fn the_document_and_its_reference_are_there_and_load_nothing_from_elsewhere() {
    let app = TestApp::sqlite().await;
    let document: Value = app.stranger().get("/api/openapi.json").await.expect(200).json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["title"], "Sluice admin API");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let operations =
        document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap());
    for response in operations.flat_map(|(_, operation)| operation["responses"].as_object().unwrap().values())
    {
        assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{response}");
    }
    assert!(document["components"]["schemas"]["Problem"]["properties"]["request_id"].is_object());
    let redirect = app.stranger().get("/api/docs").await.expect(308);
    assert_eq!(redirect.header("location"), "/api/docs/");
    let page = app.stranger().get("/api/docs/").await.expect(200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.header("content-security-policy").contains("script-src 'self'"));
    let html = page.text();
    assert!(html.contains("swagger-ui-bundle.js"), "{html}");
    assert!(!html.contains("https://") && !html.contains("\"//"), "{html}");
    let script = app.stranger().get("/api/docs/swagger-ui-bundle.js").await.expect(200);
    assert!(script.body.len() > 100_000);
    let start = app.stranger().get("/api/docs/swagger-initializer.js").await.expect(200);
    assert!(start.text().contains("/api/openapi.json"));
}

#[tokio::test]
async fn health_is_told_in_time_although_the_database_is_not_to_be_had() {
    each_database(|app| async move {
        let mut all = Vec::new();
        let read = app.database.store.read();
        while let Ok(Ok(held)) = timeout(Duration::from_millis(500), read.begin()).await {
            all.push(held);
        }
        let asked = timeout(Duration::from_secs(6), app.stranger().get("/healthz")).await;
        asked.expect("an answer").expect(503);
        drop(all);
        app.stranger().get("/healthz").await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn large_answers_are_compressed_for_who_wants_it() {
    let app = TestApp::sqlite().await;
    let client = app.stranger();
    let request = client.request(Method::GET, "/api/openapi.json").header(header::ACCEPT_ENCODING, "br");
    let reply = client.send(request, Body::empty()).await.expect(200);
    assert_eq!(reply.header("content-encoding"), "br");
}

#[tokio::test]
async fn health_needs_no_sign_in() {
    let app = TestApp::sqlite().await;
    assert_eq!(app.stranger().get("/healthz").await.expect(200).text(), "ok\n");
}
