//! Others in the way: what the database undoes for their sake is a problem that says to try again, never a fault.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::json;
use sluice_contract::rest::setup::DatabaseKind;
use sluice_store::Store;
use sluice_testkit::{Reply, TestApp, each_database};

use crate::publishing::{ask_subscription, make_application, make_key, published};

/// Longer than Postgres waits before it looks for a deadlock (1 s), so that the request is the one that is undone.
const PATIENT: &str = "SET LOCAL deadlock_timeout = '20s'";

async fn lock_waits(store: &Store) -> i64 {
    let waits = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let row = store.read().query_one_raw(Statement::from_string(DbBackend::Postgres, waits)).await;
    row.unwrap().unwrap().try_get_by_index(0).unwrap()
}

/// A change of a plan holds the plan and waits for its subscribers' applications. One that holds such an application
/// and then wants the plan makes a circle, which Postgres breaks.
async fn change_plan_in_a_deadlock(app: &TestApp) -> Reply {
    let (api, plan) = published(app, "items", "automatic").await;
    let application = make_application(app, &app.admin, "shop").await.id;
    make_key(app, &app.admin, application).await;
    ask_subscription(app, &app.admin, application, (api, plan)).await.expect(201);
    let path = app.path(&format!("/apis/{api}/plans/{plan}"));
    let etag = app.admin.get(&path).await.expect(200).etag();

    let other = app.database.store.begin().await.unwrap();
    other.execute_unprepared(PATIENT).await.unwrap();
    let lock = |table: &str, id: String| format!("SELECT id FROM {table} WHERE id = '{id}' FOR UPDATE");
    other.execute_unprepared(&lock("applications", application.to_string())).await.unwrap();
    let circle = async {
        let mut looks = 0..2_000;
        while lock_waits(&app.database.store).await == 0 {
            assert!(looks.next().is_some(), "the request never waited for the application");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        other.execute_unprepared(&lock("plans", plan.to_string())).await
    };
    let body = json!({"name": "changed", "approval": "manual", "policies": []});
    let (reply, locked) = tokio::join!(app.admin.put(&path, &etag, &body), circle);
    locked.unwrap();
    drop(other);
    assert_eq!(app.admin.get(&path).await.expect(200).etag(), etag, "nothing was changed");
    app.admin.put(&path, &etag, &body).await.expect(200);
    reply
}

/// SQLite has one writer. One that another process keeps for longer than anybody waits is in the way, too.
async fn make_application_while_another_process_writes(app: &TestApp) -> Reply {
    let other = Store::connect(app.database.store.url()).await.unwrap();
    let writing = other.begin().await.unwrap();
    let reply = app.admin.post(&app.path("/applications"), &json!({"name": "late"})).await;
    drop(writing);
    app.admin.post(&app.path("/applications"), &json!({"name": "late"})).await.expect(201);
    reply
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_meets_others_in_its_way_changes_nothing_and_says_to_try_again() {
    each_database(|app| async move {
        let reply = match app.database.store.kind() {
            DatabaseKind::Postgres => change_plan_in_a_deadlock(&app).await,
            DatabaseKind::Sqlite => make_application_while_another_process_writes(&app).await,
        };
        assert_eq!(reply.header("retry-after"), "1");
        let problem = reply.expect_problem(503, "busy");
        assert!(problem.retry, "{problem:?}");
    })
    .await;
}
