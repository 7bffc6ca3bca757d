//! A fresh database for each test: a SQLite file, and a database of its own on the Postgres that
//! `SLUICE_TEST_POSTGRES` names.

use std::fmt;
use std::path::Path;

use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use sluice_store::{DatabaseUrl, Store};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::app::TestApp;

/// A migrated SQLite file, of which each test gets a copy: to migrate takes longer than most tests.
static SQLITE: OnceCell<Vec<u8>> = OnceCell::const_new();
/// The name of a migrated database on Postgres, for the same.
static POSTGRES: OnceCell<String> = OnceCell::const_new();
/// What that is called, with the number of the process behind it.
const TEMPLATE: &str = "test_template_";

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

/// A Postgres database of a test's own, without anything in it unless somebody puts it there; goes when it is dropped.
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
            let admin = connected(&server).await;
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
        let file = directory.path().join("sluice.db");
        std::fs::write(&file, SQLITE.get_or_init(migrated_file).await).expect("a copy of the database");
        Self::connected(&DatabaseUrl::Sqlite(file), directory, None).await
    }

    /// A Postgres database of its own; None when `SLUICE_TEST_POSTGRES` is not set.
    pub async fn postgres() -> Option<Self> {
        let server = postgres_server()?;
        let template = POSTGRES.get_or_init(|| migrated_on(&server)).await;
        let own = EmptyPostgres::made(server, Some(template)).await;
        let directory = tempfile::tempdir().expect("a temporary directory");
        Some(Self::connected(&DatabaseUrl::Postgres(own.url.clone()), directory, Some(own)).await)
    }

    /// A Postgres database without a schema; None when `SLUICE_TEST_POSTGRES` is not set.
    pub async fn empty_postgres() -> Option<EmptyPostgres> {
        Some(EmptyPostgres::made(postgres_server()?, None).await)
    }

    async fn connected(url: &DatabaseUrl, directory: TempDir, on_server: Option<EmptyPostgres>) -> Self {
        log();
        let store = Store::connect(url).await.expect("connecting");
        Self { store, directory, on_server }
    }
}

impl EmptyPostgres {
    /// A copy of a template, or as the server makes it.
    async fn made(server: String, template: Option<&str>) -> Self {
        let name = format!("test_{}", Uuid::new_v4().simple());
        let template = template.map(|name| format!(" TEMPLATE {name}")).unwrap_or_default();
        let admin = connected(&server).await;
        let create = format!("CREATE DATABASE {name}{template}");
        admin.execute_unprepared(&create).await.expect("a database of its own");
        admin.close().await.expect("closing");
        let url = database_on(&server, &name);
        Self { url, server, name }
    }
}

async fn migrated_file() -> Vec<u8> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("sluice.db");
    migrate(&DatabaseUrl::Sqlite(file.clone())).await;
    assert!(!Path::exists(&file.with_extension("db-wal")), "all of it is in one file");
    std::fs::read(&file).expect("the migrated file")
}

/// Makes the database that tests copy. Takes away what processes have left that have ended.
async fn migrated_on(server: &str) -> String {
    let own = format!("{TEMPLATE}{}", std::process::id());
    let admin = connected(server).await;
    let made = format!("SELECT datname FROM pg_database WHERE datname LIKE '{TEMPLATE}%'");
    let made = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, made);
    for row in admin.query_all_raw(made).await.expect("the databases") {
        let name: String = row.try_get_by_index(0).expect("a name");
        let process = name.trim_start_matches(TEMPLATE);
        // One with this process's number is of another that had it before.
        if name == own || !Path::new("/proc").join(process).exists() {
            // Another process may be as quick.
            let _ = admin.execute_unprepared(&format!("DROP DATABASE IF EXISTS {name}")).await;
        }
    }
    admin.execute_unprepared(&format!("CREATE DATABASE {own}")).await.expect("a template");
    admin.close().await.expect("closing");
    migrate(&DatabaseUrl::Postgres(database_on(server, &own))).await;
    own
}

async fn migrate(url: &DatabaseUrl) {
    let store = Store::connect(url).await.expect("connecting");
    store.migrate().await.expect("migrating");
    store.close().await.expect("closing");
}

async fn connected(server: &str) -> DatabaseConnection {
    Database::connect(server).await.expect("the Postgres of SLUICE_TEST_POSTGRES")
}

fn database_on(server: &str, name: &str) -> String {
    let (base, _) = server.rsplit_once('/').expect("SLUICE_TEST_POSTGRES ends with /database");
    format!("{base}/{name}")
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
