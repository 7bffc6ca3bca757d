//! Revisions and the differences between them.

use serde_json::json;
use sluice_contract::rest::page::Page;
use sluice_contract::rest::revisions::{ChangeKind, Diff, Revision, RevisionSummary};
use sluice_testkit::each_database;

use crate::publishing::{draft, make_api, make_revision, release, save_draft};

#[tokio::test]
async fn a_revision_freezes_the_draft_and_never_changes() {
    each_database(|app| async move {
        let api = make_api(&app, "items", draft()).await.id;
        assert_eq!(make_revision(&app, api).await, 1);
        let mut changed = draft();
        changed["routes"][0]["path"] = json!("/things");
        assert!(save_draft(&app, api, changed).await.changed);
        assert_eq!(make_revision(&app, api).await, 2);
        let first: Revision =
            app.admin.get(&app.path(&format!("/apis/{api}/revisions/1"))).await.expect(200).json();
        assert_eq!(first.definition.routes[0].path, "/items");
        assert_eq!(first.summary.created_by, "ada@example.com");
        release(&app, api, 1).await;
        let path = app.path(&format!("/apis/{api}/revisions"));
        let list: Page<RevisionSummary> = app.admin.get(&path).await.expect(200).json();
        let shown: Vec<_> = list.items.iter().map(|r| (r.number, r.live_in.len())).collect();
        assert_eq!(shown, [(2, 0), (1, 1)]);
        app.admin.get(&app.path(&format!("/apis/{api}/revisions/3"))).await.expect_problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn the_same_draft_is_not_frozen_twice_nor_an_older_one_than_seen() {
    each_database(|app| async move {
        let api = make_api(&app, "items", draft()).await.id;
        make_revision(&app, api).await;
        let path = app.path(&format!("/apis/{api}/revisions"));
        app.admin.post_if(&path, "\"1\"", &json!({})).await.expect_problem(409, "unchanged");
        let mut changed = draft();
        changed["routes"][0]["path"] = json!("/things");
        save_draft(&app, api, changed).await;
        app.admin.post_if(&path, "\"1\"", &json!({})).await.expect_problem(412, "stale_version");
        app.admin.post(&path, &json!({})).await.expect_problem(428, "precondition_required");
        app.admin.post_if(&path, "\"2\"", &json!({"note": "things"})).await.expect(201);
    })
    .await;
}

#[tokio::test]
async fn any_two_of_revisions_draft_and_live_are_compared_field_by_field() {
    each_database(|app| async move {
        let api = make_api(&app, "items", draft()).await.id;
        make_revision(&app, api).await;
        release(&app, api, 1).await;
        let mut changed = draft();
        changed["routes"][0]["path"] = json!("/things");
        changed["routes"].as_array_mut().unwrap().push(json!({"id": "new", "path": "/new"}));
        save_draft(&app, api, changed).await;
        let diff = async |from: &str, to: &str| -> Diff {
            let path = app.path(&format!("/apis/{api}/diff?from={from}&to={to}"));
            app.admin.get(&path).await.expect(200).json()
        };
        for from in ["1", "live:production"] {
            let changes = diff(from, "draft").await.changes;
            assert_eq!(changes.len(), 2, "{changes:?}");
            assert_eq!((&*changes[0].path, changes[0].kind), ("/routes/listItems/path", ChangeKind::Changed));
            assert_eq!((&*changes[1].path, changes[1].kind), ("/routes/new", ChangeKind::Added));
        }
        assert!(diff("1", "1").await.changes.is_empty());
        let refused = async |from: &str| {
            app.admin.get(&app.path(&format!("/apis/{api}/diff?from={from}&to=draft"))).await
        };
        refused("7").await.expect_problem(404, "not_found");
        refused("live:nowhere").await.expect_problem(404, "not_found");
        refused("something").await.expect_problem(422, "invalid");
    })
    .await;
}
