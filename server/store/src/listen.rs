//! Hearing of journal changes by other control planes on the same database: Postgres tells, SQLite has no others.

use sea_orm::sqlx::postgres::PgListener;

use crate::{DatabaseUrl, Error, Result, Store};

/// What Postgres calls a change of any journal. Sent by [`crate::Tx::commit`].
pub(crate) const NOTIFY: &str = "NOTIFY sluice_journal";
const CHANNEL: &str = "sluice_journal";

/// Hears of journal changes by any process. Some may be missed (while it connects again, or behind a pooler that does
/// not forward them), so who listens looks now and then, too.
pub struct JournalListener {
    postgres: Option<PgListener>,
}

impl JournalListener {
    /// Listens on a connection of its own.
    ///
    /// # Errors
    /// When Postgres cannot be reached.
    pub async fn connect(store: &Store) -> Result<Self> {
        let DatabaseUrl::Postgres(url) = store.url() else { return Ok(Self { postgres: None }) };
        let mut postgres = PgListener::connect(url).await.map_err(database)?;
        postgres.listen(CHANNEL).await.map_err(database)?;
        Ok(Self { postgres: Some(postgres) })
    }

    /// Waits for a change; on SQLite for ever. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the connection is lost and cannot be had again.
    pub async fn changed(&mut self) -> Result<()> {
        match &mut self.postgres {
            Some(postgres) => postgres.recv().await.map(drop).map_err(database),
            None => std::future::pending().await,
        }
    }
}

fn database(error: sea_orm::sqlx::Error) -> Error {
    Error::Database(sea_orm::DbErr::Conn(sea_orm::RuntimeErr::SqlxError(error.into())))
}
