//! The catalogue as consumers find it.

use serde_json::{Value, json};
use sluice_contract::definition::Access;
use sluice_contract::rest::apis::ApiSummary;
use sluice_contract::rest::catalogue::CatalogueEntry;
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
