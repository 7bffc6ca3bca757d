//! A fresh, migrated database for each test, on SQLite and, where `SLUICE_TEST_POSTGRES` names a server, on Postgres.

use std::future::Future;

use sea_orm::{ConnectionTrait, Database};
use sluice_store::{DatabaseUrl, Store};

/// Runs a test on each database.
pub async fn on_each<F, Fut>(test: F)
where
    F: Fn(Store) -> Fut,
    Fut: Future<Output = ()>,
{
    let test = &test;
    on_each_empty(|store| async move {
        store.migrate().await.unwrap();
        test(store).await;
    })
    .await;
}

/// The same without a schema.
pub async fn on_each_empty<F, Fut>(test: F)
where
    F: Fn(Store) -> Fut,
    Fut: Future<Output = ()>,
{
    let folder = tempfile::tempdir().unwrap();
    test(Store::connect(&DatabaseUrl::Sqlite(folder.path().join("test.db"))).await.unwrap()).await;
    #[expect(clippy::disallowed_methods, reason = "tests are told of their Postgres by the environment")]
    let server = std::env::var("SLUICE_TEST_POSTGRES");
    if let Ok(server) = server {
        on_postgres(&server, test).await;
    }
}

async fn on_postgres<F, Fut>(server: &str, test: F)
where
    F: Fn(Store) -> Fut,
    Fut: Future<Output = ()>,
{
    let name = format!("test_{}", uuid::Uuid::now_v7().simple());
    let admin = Database::connect(server).await.unwrap();
    admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
    let (base, _) = server.rsplit_once('/').unwrap();
    let store = Store::connect(&DatabaseUrl::Postgres(format!("{base}/{name}"))).await.unwrap();
    test(store.clone()).await;
    store.close().await.unwrap();
    admin.execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
}
