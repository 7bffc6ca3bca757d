//! The connection to the management database: SQLite (embedded, one machine) or Postgres.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::{Connection, PgConnection};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, RuntimeErr,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};
use sea_orm_migration::MigratorTrait;
use sluice_contract::rest::setup::DatabaseKind;
use tokio::sync::{Mutex, watch};

use crate::error::{Error, Result};
use crate::transaction::Tx;

/// Where the management database is.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file; made when absent.
    Sqlite(PathBuf),
    /// `postgres://user:password@host:port/database`.
    Postgres(String),
}

impl DatabaseUrl {
    /// Which kind of database it is.
    pub fn kind(&self) -> DatabaseKind {
        match self {
            Self::Sqlite(_) => DatabaseKind::Sqlite,
            Self::Postgres(_) => DatabaseKind::Postgres,
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        match text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")) {
            Some(path) if !path.is_empty() => Ok(Self::Sqlite(Path::new(path).to_owned())),
            _ => {
                Err("a database URL is postgres://user:password@host/database or sqlite:path/to/file"
                    .to_owned())
            }
        }
    }
}

/// Without the password.
impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Without the password.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => match url.rsplit_once('@') {
                Some((_, place)) => write!(f, "postgres://{place}"),
                None => f.write_str(url),
            },
        }
    }
}

/// The management database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    connection: DatabaseConnection,
    kind: DatabaseKind,
    url: DatabaseUrl,
    /// Counts transactions of this process that changed a journal.
    journal: Arc<watch::Sender<u64>>,
    /// SQLite has one writer: waiting here is fair, waiting in SQLite is polling.
    writer: Option<Arc<Mutex<()>>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.url).finish()
    }
}

impl Store {
    /// Connects. Nothing is created except an absent SQLite file.
    ///
    /// # Errors
    /// When the database cannot be reached or opened.
    pub async fn connect(url: &DatabaseUrl) -> Result<Self> {
        let connection = match url {
            DatabaseUrl::Sqlite(path) => {
                make_private(path)?;
                Database::connect(sqlite(path, 8, true)).await?
            }
            DatabaseUrl::Postgres(url) => match Database::connect(postgres(url)).await {
                Ok(connection) => connection,
                Err(error) => return Err(Error::Database(why_not(url).await.unwrap_or(error))),
            },
        };
        let kind = url.kind();
        let writer = (kind == DatabaseKind::Sqlite).then(Arc::default);
        Ok(Self { connection, kind, url: url.clone(), journal: Arc::default(), writer })
    }

    /// Brings the schema up to date. Safe to call by several processes at once and again.
    ///
    /// # Errors
    /// When a migration fails; it is then undone as a whole on Postgres.
    pub async fn migrate(&self) -> Result<()> {
        match &self.url {
            DatabaseUrl::Postgres(_) => {
                let _one_at_a_time = self.lock_schema().await?;
                sluice_migrations::Migrator::up(&self.connection, None).await?;
            }
            DatabaseUrl::Sqlite(path) => migrate_sqlite(path).await?,
        }
        Ok(())
    }

    /// Which kind of database it is.
    pub fn kind(&self) -> DatabaseKind {
        self.kind
    }

    /// Where it is.
    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// For reading outside of a transaction.
    pub fn read(&self) -> &DatabaseConnection {
        &self.connection
    }

    /// Begins a transaction that writes. Rolled back unless [`Tx::commit`] is called.
    ///
    /// # Errors
    /// When no connection can be had.
    pub async fn begin(&self) -> Result<Tx> {
        let permit = match &self.writer {
            Some(writer) => Some(Arc::clone(writer).lock_owned().await),
            None => None,
        };
        let options = TransactionOptions {
            sqlite_transaction_mode: (self.kind == DatabaseKind::Sqlite)
                .then_some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        Ok(Tx::new(self.connection.begin_with_options(options).await?, Arc::clone(&self.journal), permit))
    }

    /// Changes whenever a transaction of this process that changed a journal is committed. Other processes' are
    /// heard of by [`crate::JournalListener`].
    pub fn journal_changes(&self) -> watch::Receiver<u64> {
        self.journal.subscribe()
    }

    /// Closes all connections.
    ///
    /// # Errors
    /// When the database could not be closed in order.
    pub async fn close(self) -> Result<()> {
        Ok(self.connection.close().await?)
    }

    /// On Postgres several control planes may start at once: an advisory lock lets one migrate at a time.
    async fn lock_schema(&self) -> Result<Tx> {
        let lock = self.begin().await?;
        lock.execute_unprepared("SELECT pg_advisory_xact_lock(6013742)").await.map_err(Error::Database)?;
        Ok(lock)
    }
}

/// On a connection of its own that does not enforce foreign keys: a table that is made anew would otherwise take with
/// it what refers to it (<https://sqlite.org/lang_altertable.html#otheralter>). They are checked at the end instead.
async fn migrate_sqlite(path: &Path) -> Result<()> {
    let _one_at_a_time = lock_beside(path).await?;
    let connection = Database::connect(sqlite(path, 1, false)).await?;
    sluice_migrations::Migrator::up(&connection, None).await?;
    let check = Statement::from_string(DbBackend::Sqlite, "PRAGMA foreign_key_check");
    let broken = connection.query_one_raw(check).await?;
    connection.close().await?;
    match broken {
        None => Ok(()),
        Some(row) => {
            let table: String = row.try_get_by_index(0)?;
            let message = format!("after the migration, a row of `{table}` refers to one that is not there");
            Err(Error::Database(DbErr::Migration(message)))
        }
    }
}

/// Commands and `sluice up` may start at once: SQLite migrates outside of a transaction, so that a locked file beside the
/// database lets one in at a time, for as long as what this returns is kept.
async fn lock_beside(database: &Path) -> Result<File> {
    let path = database.with_extension("lock");
    let locked = tokio::task::spawn_blocking(move || {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        file.and_then(|file| file.lock().map(|()| file))
            .map_err(|error| format!("{}: {error}", path.display()))
    });
    let failed = |error| Error::Database(DbErr::Conn(RuntimeErr::Internal(error)));
    locked.await.map_err(|error| failed(error.to_string()))?.map_err(failed)
}

/// Makes an absent file so that only its owner may read it; SQLite gives its companions (WAL) the same mode.
pub(crate) fn make_private(path: &Path) -> Result<()> {
    let made = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    made.map(drop).map_err(|error| {
        Error::Database(DbErr::Conn(RuntimeErr::Internal(format!("{}: {error}", path.display()))))
    })
}

fn sqlite(path: &Path, connections: u32, foreign_keys: bool) -> ConnectOptions {
    let mut options = ConnectOptions::new("sqlite:");
    let path = path.to_owned();
    options.max_connections(connections).sqlx_logging(false).map_sqlx_sqlite_opts(move |sqlx| {
        sqlx.filename(&path)
            .create_if_missing(true)
            .foreign_keys(foreign_keys)
            .busy_timeout(Duration::from_secs(10))
            .pragma("journal_mode", "WAL")
            .pragma("synchronous", "NORMAL")
            .pragma("temp_store", "MEMORY")
    });
    options
}

/// A pool that gets no connection only knows that it waited for too long: one connection by itself says why.
async fn why_not(url: &str) -> Option<DbErr> {
    let attempt = tokio::time::timeout(Duration::from_secs(5), PgConnection::connect(url)).await;
    let error = attempt.ok()?.err()?;
    Some(DbErr::Conn(RuntimeErr::SqlxError(error.into())))
}

fn postgres(url: &str) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(20)
        .connect_timeout(Duration::from_secs(10))
        .acquire_timeout(Duration::from_secs(10))
        .set_application_name("sluice")
        .sqlx_logging(false);
    options
}
