//! Purges, and what gateways are told of them.

use serde_json::json;
use sluice_contract::journal::{Change, PurgeScope};
use sluice_contract::rest::page::Page;
use sluice_contract::rest::purges::{PurgePreview, PurgeRecord};
use sluice_contract::rest::users::Role;
use sluice_testkit::each_database;

use crate::publishing::{draft, make_api, make_application, production, told};

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

#[tokio::test]
async fn a_purge_may_be_by_prefix_tag_and_application_or_of_everything_and_soft() {
    each_database(|app| async move {
        let api = make_api(&app, "items", draft()).await.id;
        let environment = production(&app).await;
        let application = make_application(&app, &app.admin, "shop").await.id;
        for scope in [
            PurgeScope::Prefix { api, path: "/items/".to_owned() },
            PurgeScope::Tag { api: Some(api), tag: "user 7".to_owned() },
            PurgeScope::Tag { api: None, tag: "user-7".to_owned() },
            PurgeScope::Application { application },
            PurgeScope::Everything,
        ] {
            let new = json!({"environment": environment, "scope": scope, "soft": true});
            let made: PurgeRecord = app.admin.post(&app.path("/purges"), &new).await.expect(201).json();
            assert_eq!((&made.scope, made.soft), (&scope, true));
            let changes = told(&app).await;
            let Some(Change::Purge(told)) = changes.last() else { panic!("{changes:?}") };
            assert_eq!((&told.scope, told.soft, told.tenant), (&scope, true, Some(app.tenant)));
        }
        let of_api: Page<PurgeRecord> =
            app.admin.get(&app.path(&format!("/purges?api={api}"))).await.expect(200).json();
        assert_eq!(of_api.items.len(), 5, "those of the API and those of all");
        let last = of_api.items[0].created_at;
        let in_time = async |query: String| -> usize {
            let page: Page<PurgeRecord> =
                app.admin.get(&app.path(&format!("/purges?{query}"))).await.expect(200).json();
            page.items.len()
        };
        let at = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        assert_eq!(in_time(format!("from={}", at(last))).await, 1, "the first moment belongs to it");
        assert_eq!(in_time(format!("to={}", at(last))).await, 4, "the last does not");
        let missing = json!({"by": "application", "application": uuid::Uuid::new_v4()});
        for (scope, pointer) in [
            (missing, "/scope/application"),
            (json!({"by": "prefix", "api": api, "path": "/a?b"}), "/scope/path"),
            (json!({"by": "tag", "tag": ""}), "/scope/tag"),
            (json!({"by": "tag", "tag": "a,b"}), "/scope/tag"),
            (json!({"by": "tag", "tag": "x".repeat(257)}), "/scope/tag"),
        ] {
            let new = json!({"environment": environment, "scope": scope});
            let wrong = app.admin.post(&app.path("/purges"), &new).await;
            assert_eq!(wrong.expect_problem(422, "invalid").fields[0].pointer, pointer, "{scope}");
        }
    })
    .await;
}

#[tokio::test]
async fn who_may_not_purge_is_refused_and_a_publisher_purges_only_what_is_theirs() {
    each_database(|app| async move {
        let api = make_api(&app, "items", draft()).await.id;
        let environment = production(&app).await;
        let body = |scope: &PurgeScope| json!({"environment": environment, "scope": scope});
        let (of_api, everything) = (PurgeScope::Api { api }, PurgeScope::Everything);
        for role in [Role::Viewer, Role::Approver, Role::Consumer] {
            let refused = app.member(&[role]).await.post(&app.path("/purges"), &body(&of_api)).await;
            refused.expect_problem(403, "forbidden");
        }
        let publisher = app.member(&[Role::Publisher]).await;
        publisher.post(&app.path("/purges"), &body(&of_api)).await.expect(201);
        let wide = publisher.post(&app.path("/purges"), &body(&everything)).await;
        wide.expect_problem(403, "forbidden");
        let admin = app.member(&[Role::TenantAdmin]).await;
        admin.post(&app.path("/purges"), &body(&everything)).await.expect(201);
    })
    .await;
}

#[tokio::test]
async fn a_preview_is_for_who_may_purge_that_refuses_what_a_purge_refuses_and_purges_nothing() {
    each_database(|app| async move {
        let api = make_api(&app, "items", draft()).await.id;
        let environment = production(&app).await;
        let before = told(&app).await.len();
        let path = app.path("/purges/preview");
        let body = |scope: serde_json::Value| json!({"environment": environment, "scope": scope});
        let of_api = json!({"by": "api", "api": api});
        for role in [Role::Viewer, Role::Approver, Role::Consumer] {
            let refused = app.member(&[role]).await.post(&path, &body(of_api.clone())).await;
            refused.expect_problem(403, "forbidden");
        }
        let publisher = app.member(&[Role::Publisher]).await;
        let preview: PurgePreview = publisher.post(&path, &body(of_api)).await.expect(200).json();
        assert_eq!(preview, PurgePreview { gateways: vec![], entries: 0, bytes: 0 });
        publisher.post(&path, &body(json!({"by": "everything"}))).await.expect_problem(403, "forbidden");
        for (scope, pointer) in [
            (json!({"by": "prefix", "api": api, "path": "/a?b"}), "/scope/path"),
            (json!({"by": "url", "api": api, "path": "a b"}), "/scope/path"),
            (json!({"by": "tag", "tag": "a,b"}), "/scope/tag"),
            (json!({"by": "application", "application": uuid::Uuid::new_v4()}), "/scope/application"),
        ] {
            let wrong = app.admin.post(&path, &body(scope.clone())).await;
            assert_eq!(wrong.expect_problem(422, "invalid").fields[0].pointer, pointer, "{scope}");
        }
        let nowhere = json!({"environment": uuid::Uuid::new_v4(), "scope": {"by": "everything"}});
        let nowhere = app.admin.post(&path, &nowhere).await;
        assert_eq!(nowhere.expect_problem(422, "invalid").fields[0].pointer, "/environment");
        assert_eq!(told(&app).await.len(), before, "the journal is as it was");
    })
    .await;
}
