//! Purges, and what gateways are told of them.

use serde_json::json;
use sluice_contract::journal::{Change, PurgeScope};
use sluice_contract::rest::page::Page;
use sluice_contract::rest::purges::PurgeRecord;
use sluice_testkit::each_database;

use crate::publishing::{draft, make_api, production, told};

#[tokio::test]
async fn a_purge_is_ordered_by_the_journal_and_its_progress_shown() {
    each_database(|app| async move {
        let api = make_api(&app, "items", draft()).await.id;
        let environment = production(&app).await;
        let scope = json!({"by": "url", "api": api, "path": "/items?page=2"});
        let new = json!({"environment": environment, "scope": scope});
        let made: PurgeRecord = app.admin.post(&app.path("/purges"), &new).await.expect(201).json();
        let changes = told(&app).await;
        let Some(Change::Purge(purge)) = changes.last() else { panic!("{changes:?}") };
        assert_eq!(purge.id, made.id);
        assert_eq!(purge.scope, PurgeScope::Url { api, path: "/items?page=2".to_owned() });
        let whole = json!({"environment": environment, "scope": {"by": "api", "api": api}});
        let whole: PurgeRecord = app.admin.post(&app.path("/purges"), &whole).await.expect(201).json();
        assert_eq!(whole.position, made.position + 1);
        let shown: PurgeRecord =
            app.admin.get(&app.path(&format!("/purges/{}", made.id))).await.expect(200).json();
        assert_eq!(shown, made);
        let list: Page<PurgeRecord> = app.admin.get(&app.path("/purges")).await.expect(200).json();
        let ids: Vec<_> = list.items.iter().map(|purge| purge.id).collect();
        assert_eq!(ids, [whole.id, made.id]);
        let other = make_api(&app, "others", draft()).await.id;
        for (filter, expected) in [(api, 2), (other, 0)] {
            let path = app.path(&format!("/purges?api={filter}"));
            let list: Page<PurgeRecord> = app.admin.get(&path).await.expect(200).json();
            assert_eq!(list.items.len(), expected);
        }
    })
    .await;
}

#[tokio::test]
async fn a_purge_names_what_is_there() {
    each_database(|app| async move {
        let api = make_api(&app, "items", draft()).await.id;
        let environment = production(&app).await;
        let post = async |environment: serde_json::Value, scope: serde_json::Value| {
            app.admin.post(&app.path("/purges"), &json!({"environment": environment, "scope": scope})).await
        };
        let missing = json!({"by": "api", "api": uuid::Uuid::new_v4()});
        post(json!(environment), missing).await.expect_problem(404, "not_found");
        let nowhere = post(json!(uuid::Uuid::new_v4()), json!({"by": "api", "api": api})).await;
        assert_eq!(nowhere.expect_problem(422, "invalid").fields[0].pointer, "/environment");
        for path in ["items", "/a b", "/a#b", ""] {
            let wrong = post(json!(environment), json!({"by": "url", "api": api, "path": path})).await;
            assert_eq!(wrong.expect_problem(422, "invalid").fields[0].pointer, "/scope/path", "{path}");
        }
    })
    .await;
}
