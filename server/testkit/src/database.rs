//! A fresh database for each test: a SQLite file, and a database of its own on the Postgres that
//! `SLUICE_TEST_POSTGRES` names.

use std::fmt;

use sea_orm::{ConnectionTrait, Database};
use sluice_store::{DatabaseUrl, Store};
use tempfile::TempDir;
use uuid::Uuid;

use crate::app::TestApp;

/// A migrated database that goes when it is dropped.
pub struct TestDatabase {
    pub store: Store,
    /// A directory of the test's own; holds the SQLite file.
    pub directory: TempDir,
    on_server: Option<EmptyPostgres>,
}

/// Having it keeps a database in one piece: a closure that uses the store alone would leave the directory behind.
impl Drop for TestDatabase {
    fn drop(&mut self) {
        drop(self.on_server.take());
    }
}

/// A Postgres database without anything in it, that goes when it is dropped.
pub struct EmptyPostgres {
    pub url: String,
    server: String,
    name: String,
}

/// Takes the database with it: each is several megabytes.
impl Drop for EmptyPostgres {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        let remove = async move {
            let admin = Database::connect(&server).await.expect("the Postgres of SLUICE_TEST_POSTGRES");
            let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            admin.execute_unprepared(&drop).await.expect("removing the test's database");
        };
        // A thread, because a runtime cannot wait inside of another.
        let thread = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(remove);
        });
        drop(thread.join());
    }
}

impl fmt::Display for TestDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.store.url())
    }
}

impl TestDatabase {
    /// A SQLite file of its own.
    pub async fn sqlite() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let url = DatabaseUrl::Sqlite(directory.path().join("sluice.db"));
        Self::migrated(&url, directory, None).await
    }

    /// A Postgres database of its own; None when `SLUICE_TEST_POSTGRES` is not set.
    pub async fn postgres() -> Option<Self> {
        let empty = Self::empty_postgres().await?;
        let directory = tempfile::tempdir().expect("a temporary directory");
        Some(Self::migrated(&DatabaseUrl::Postgres(empty.url.clone()), directory, Some(empty)).await)
    }

    /// A Postgres database without a schema; None when `SLUICE_TEST_POSTGRES` is not set.
    pub async fn empty_postgres() -> Option<EmptyPostgres> {
        let server = postgres_server()?;
        let name = format!("test_{}", Uuid::new_v4().simple());
        let admin = Database::connect(&server).await.expect("the Postgres of SLUICE_TEST_POSTGRES");
        admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.expect("a database of its own");
        admin.close().await.expect("closing");
        let (base, _) = server.rsplit_once('/').expect("SLUICE_TEST_POSTGRES ends with /database");
        let url = format!("{base}/{name}");
        Some(EmptyPostgres { url, server, name })
    }

    async fn migrated(url: &DatabaseUrl, directory: TempDir, on_server: Option<EmptyPostgres>) -> Self {
        log();
        let store = Store::connect(url).await.expect("connecting");
        store.migrate().await.expect("migrating");
        Self { store, directory, on_server }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one setting of the tests")]
fn postgres_server() -> Option<String> {
    std::env::var("SLUICE_TEST_POSTGRES").ok().filter(|url| !url.is_empty())
}

/// Runs a test of the store on SQLite, and on Postgres when `SLUICE_TEST_POSTGRES` is set.
pub async fn each_store<F, Test>(test: F)
where
    F: Fn(TestDatabase) -> Test,
    Test: Future<Output = ()>,
{
    say("on SQLite");
    test(TestDatabase::sqlite().await).await;
    if let Some(database) = TestDatabase::postgres().await {
        say("on Postgres");
        test(database).await;
    }
}

/// Runs a test of the control plane on SQLite, and on Postgres when `SLUICE_TEST_POSTGRES` is set.
pub async fn each_database<F, Test>(test: F)
where
    F: Fn(TestApp) -> Test,
    Test: Future<Output = ()>,
{
    let test = &test;
    each_store(|database| async move { test(TestApp::on(database).await).await }).await;
}

/// Warnings and errors are shown with a failed test. The first test of a process starts it.
fn log() {
    let level = tracing_subscriber::filter::LevelFilter::WARN;
    drop(tracing_subscriber::fmt().with_test_writer().with_max_level(level).try_init());
}

/// Shown with a failed test only.
#[expect(clippy::print_stdout, reason = "a failed test says on which database it failed")]
fn say(text: &str) {
    println!("{text}");
}
