//! The catalogue as consumers find it.

use serde_json::{Value, json};
use sluice_contract::definition::{Access, PolicyAttachment};
use sluice_contract::rest::apis::ApiSummary;
use sluice_contract::rest::catalogue::CatalogueEntry;
use sluice_contract::rest::environments::Environment;
use sluice_contract::rest::page::Page;
use sluice_contract::rest::users::Role;
use sluice_testkit::each_database;

use crate::publishing::{
    ask_release, list_in_catalogue, make_api, make_plan, make_revision, release, save_draft,
};

fn shop() -> Value {
    json!({
        "routes": [
            {"id": "listItems", "methods": ["GET"], "path": "/items", "summary": "All items", "tags": ["items"]},
            {"id": "getFile", "methods": ["GET"], "path": "/files/{*path}", "access": "public"},
            {"id": "any", "path": "/echo/{base}...{head}", "deprecated": true}
        ],
        "upstreams": [{"name": "secret-upstream", "targets": [{"url": "http://127.0.0.1:9/internal"}]}]
    })
}

#[tokio::test]
async fn an_api_is_found_once_it_is_both_listed_and_live() {
    each_database(|app| async move {
        let consumer = app.member(&[Role::Consumer]).await;
        let found = async || -> usize {
            let page: Page<ApiSummary> =
                consumer.get(&app.path("/catalogue?q=shop")).await.expect(200).json();
            page.items.len()
        };
        let api = make_api(&app, "shop", shop()).await.id;
        make_revision(&app, api).await;
        let path = app.path(&format!("/catalogue/{api}"));
        list_in_catalogue(&app, api).await;
        assert_eq!(found().await, 0);
        consumer.get(&path).await.expect_problem(404, "not_found");
        release(&app, api, 1).await;
        assert_eq!(found().await, 1);
        consumer.get(&path).await.expect(200);
        ask_release(&app, api, None).await.expect(201);
        assert_eq!(found().await, 0);
        consumer.get(&app.path("/apis")).await.expect_problem(403, "forbidden");
    })
    .await;
}

#[tokio::test]
async fn consumers_read_what_is_live_and_nothing_of_its_inside() {
    each_database(|app| async move {
        let consumer = app.member(&[Role::Consumer]).await;
        let api = make_api(&app, "shop", shop()).await.id;
        make_revision(&app, api).await;
        release(&app, api, 1).await;
        list_in_catalogue(&app, api).await;
        make_plan(&app, api, "manual").await;
        save_draft(&app, api, json!({})).await;
        let reply = consumer.get(&app.path(&format!("/catalogue/{api}"))).await.expect(200);
        assert!(!reply.text().contains("secret-upstream") && !reply.text().contains("internal"));
        let entry: CatalogueEntry = reply.json();
        assert_eq!((&*entry.base_path, entry.revision, entry.plans.len()), ("/acme/shop", 1, 1));
        let access: Vec<_> = entry.routes.iter().map(|route| (&*route.id, route.access)).collect();
        assert_eq!(
            access,
            [("listItems", Access::Subscription), ("getFile", Access::Public), ("any", Access::Subscription)]
        );
    })
    .await;
}

#[tokio::test]
async fn callers_read_how_each_environment_takes_them_and_of_no_other_policy() {
    each_database(|app| async move {
        let consumer = app.member(&[Role::Consumer]).await;
        let api = make_api(&app, "shop", shop()).await.id;
        make_revision(&app, api).await;
        let staging = app
            .admin
            .post("/api/v1/environments", &json!({"slug": "staging", "name": "Staging"}))
            .await
            .expect(201);
        let (etag, mut staging) = (staging.etag(), staging.json::<Environment>());
        staging.settings.allowed_networks = vec!["127.0.0.0/8".parse().unwrap()];
        let settings = json!({"name": "Staging", "settings": staging.settings});
        app.admin.put(&format!("/api/v1/environments/{}", staging.id), &etag, &settings).await.expect(200);
        let there = json!({"environment": staging.id, "revision": 1});
        app.admin.post(&app.path(&format!("/apis/{api}/releases")), &there).await.expect(201);

        let policy = |kind: &str, settings: Value| json!({"type": kind, "settings": settings});
        let mut draft = shop();
        draft["policies"] = json!([
            policy("cors", json!({"origins": ["https://app.example.com"]})),
            policy("rate-limit", json!({"requests": 7, "period_s": 3600})),
            {"type": "key-auth", "enabled": false, "settings": {"header": "x-old"}},
        ]);
        draft["routes"][1]["policies"] = json!([
            policy("key-auth", json!({"header": "x-file-key"})),
            policy("rewrite", json!({"path": "/inside"}))
        ]);
        save_draft(&app, api, draft).await;
        make_revision(&app, api).await;
        release(&app, api, 2).await;
        list_in_catalogue(&app, api).await;

        let entry: CatalogueEntry =
            consumer.get(&app.path(&format!("/catalogue/{api}"))).await.expect(200).json();
        assert_eq!((entry.revision, entry.releases.len()), (2, 2));
        let at = |slug: &str| entry.releases.iter().find(|at| at.environment_slug == slug).unwrap();
        assert_eq!((at("staging").policies.len(), at("staging").routes.len()), (0, 0));
        let kinds = |policies: &[PolicyAttachment]| -> Vec<_> {
            policies.iter().map(|policy| policy.kind.clone()).collect()
        };
        let here = at("production");
        assert_eq!(kinds(&here.policies), ["cors"]);
        assert_eq!(here.policies[0].settings["origins"], json!(["https://app.example.com"]));
        assert_eq!(here.routes.keys().collect::<Vec<_>>(), ["getFile"]);
        assert_eq!(kinds(&here.routes["getFile"]), ["key-auth"]);
    })
    .await;
}

#[tokio::test]
async fn the_document_of_an_api_reads_back_as_its_routes() {
    each_database(|app| async move {
        let api = make_api(&app, "shop", shop()).await.id;
        make_revision(&app, api).await;
        release(&app, api, 1).await;
        list_in_catalogue(&app, api).await;
        let reply = app.admin.get(&app.path(&format!("/catalogue/{api}/openapi.json"))).await.expect(200);
        let document: Value = reply.json();
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["servers"][0]["url"], "/acme/shop");
        assert_eq!(document["paths"]["/items"]["get"]["security"], json!([{"key": []}]));
        assert_eq!(document["paths"]["/files/{path}"]["get"].get("security"), None);

        let preview = json!({"source": {"text": reply.text()}});
        let preview: Value = app.admin.post(&app.path("/imports/preview"), &preview).await.expect(200).json();
        let routes = preview["draft"]["routes"].as_array().unwrap();
        let found =
            |id: &str| routes.iter().find(|route| route["id"] == id).map(|route| route["path"].clone());
        assert_eq!(found("listItems"), Some(json!("/items")));
        assert_eq!(found("getFile"), Some(json!("/files/{*path}")));
        assert_eq!(found("any-post"), Some(json!("/echo/{base}...{head}")));
    })
    .await;
}
