//! `sluice migrate`: after it, no program needs the right to change a schema.

use sea_orm::{ConnectionTrait, Database};
use sluice_testkit::TestDatabase;

use crate::program::sluice;

/// Fails unless both schemas are there.
async fn assert_migrated(management: &str, telemetry: &str, prefix: &str) {
    for (url, table) in [(management, "apis".to_owned()), (telemetry, format!("{prefix}rollups"))] {
        let db = Database::connect(url).await.unwrap();
        db.execute_unprepared(&format!("SELECT COUNT(*) FROM {table}")).await.unwrap();
    }
}

#[tokio::test]
async fn migrate_brings_management_and_telemetry_up_to_date_in_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    for _ in 0..2 {
        let said = sluice(&data, &["migrate"]);
        assert!(said.success, "{}", said.err);
        assert!(said.out.contains("up to date"), "{}", said.out);
    }
    let file = |name| format!("sqlite:{}", data.join(name).display());
    assert_migrated(&file("sluice.db"), &file("calls.db"), "").await;
}

#[tokio::test]
async fn migrate_brings_management_and_telemetry_up_to_date_in_postgres() {
    let Some(database) = TestDatabase::empty_postgres().await else { return };
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let said = sluice(directory.path(), &["migrate", "--database-url", &database.url]);
        assert!(said.success, "{}", said.err);
    }
    assert_migrated(&database.url, &database.url, "telemetry.").await;
}
