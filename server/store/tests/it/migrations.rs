//! Migrations: only forward (going back is a backup's business), by several control planes at once, and again.

use sea_orm::ConnectionTrait;
use sluice_contract::rest::setup::DatabaseKind;
use sluice_store::{Store, users};

use crate::databases::on_each;

#[tokio::test]
async fn control_planes_that_start_at_once_migrate_once() {
    on_each(|store| async move {
        if store.kind() == DatabaseKind::Postgres {
            store
                .read()
                .execute_unprepared("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
                .await
                .unwrap();
        }
        let other = Store::connect(store.url()).await.unwrap();
        let (one, two) = tokio::join!(store.migrate(), other.migrate());
        one.unwrap();
        two.unwrap();
        assert!(!users::any_account(other.read()).await.unwrap());
        other.close().await.unwrap();
    })
    .await;
}
