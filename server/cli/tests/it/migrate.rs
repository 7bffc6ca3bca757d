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

#[test]
fn the_file_of_the_control_plane_serves_the_commands_on_its_database() {
    let directory = tempfile::tempdir().unwrap();
    let (file, data) = (directory.path().join("sluice.toml"), directory.path().join("data"));
    let with = |text: &str, arguments: &[&str]| {
        std::fs::write(&file, text).unwrap();
        sluice(&data, &[arguments, &["--config", &file.display().to_string()]].concat())
    };
    let control = "listen = \"127.0.0.1:8080\"\nlink_url = \"https://control:8443\"\nlog = \"info\"\n";
    for settings in [control, "gateway_threads = 2\n"] {
        let said = with(settings, &["migrate"]);
        assert!(said.success, "{}", said.err);
    }
    let said = with(control, &["user", "reset-password", "--email", "nobody@example.com"]);
    assert!(said.only_complaint().contains("nobody has"), "{}", said.err);
    let said = with("lisen = \"127.0.0.1:8080\"\n", &["migrate"]);
    assert!(said.only_complaint().contains("`lisen`"), "{}", said.err);
}

#[test]
fn nobody_else_may_read_the_databases_that_are_made() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
    assert!(sluice(directory.path(), &["migrate"]).success);
    for name in ["sluice.db", "calls.db"] {
        let mode = std::fs::metadata(directory.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
    }
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
