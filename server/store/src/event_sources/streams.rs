//! Sources that read a stream: which control plane reads each of them now, under a lease, and how that goes.

use chrono::{DateTime, Duration, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter};
use serde::{Deserialize, Serialize};
use sluice_contract::ids::EventSourceId;
use sluice_contract::rest::event_sources::{EventStream, StreamReading};
use sluice_entity::event_sources::{Column, Entity, Model};
use uuid::Uuid;

use super::Receiver;
use super::take::receives;
use crate::Tx;
use crate::error::Result;

/// For how long a control plane reads a source without saying so again. Then another may.
const LEASE: Duration = Duration::seconds(15);
/// Longest reason that is kept, in characters.
const ERROR_MAX: usize = 300;

/// How reading goes, as its reader last said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Since when its reader is connected.
    pub since: Option<DateTime<Utc>>,
    pub error: Option<String>,
    pub waiting: Option<u64>,
    pub unacknowledged: Option<u64>,
}

/// A source as it is read.
#[derive(Clone, Debug)]
pub struct Read {
    pub receiver: Receiver,
    pub stream: EventStream,
    /// Sealed.
    pub password: Option<String>,
    pub state: State,
    /// Another one when anything of the source was changed.
    pub version: i64,
    pub created_at: DateTime<Utc>,
}

/// Sources that are to be read and that nobody reads.
///
/// # Errors
/// When the database fails.
pub async fn unread(db: &impl ConnectionTrait) -> Result<Vec<EventSourceId>> {
    let rows = Entity::find().filter(to_be_read()).filter(free(crate::now())).all(db).await?;
    Ok(rows.into_iter().map(|row| EventSourceId(row.id)).collect())
}

/// Takes a source to read it; None when another was faster, or it is no longer to be read.
///
/// # Errors
/// When the database fails.
pub async fn begin_to_read(tx: &Tx, id: EventSourceId, reader: Uuid) -> Result<Option<Read>> {
    let Some(row) = Entity::find_by_id(id.0).one(tx).await? else { return Ok(None) };
    let now = crate::now();
    // It is read once its reader is connected.
    let state = State { since: None, ..state(&row)? };
    let taken = Entity::update_many()
        .col_expr(Column::Reader, Expr::value(reader))
        .col_expr(Column::ReaderUntil, Expr::value(now + LEASE))
        .col_expr(Column::StreamState, Expr::value(serde_json::to_value(&state)?))
        .filter(Column::Id.eq(id.0))
        .filter(Column::Version.eq(row.version))
        .filter(to_be_read())
        .filter(free(now))
        .exec(tx)
        .await?;
    if taken.rows_affected == 0 { Ok(None) } else { read(row, state) }
}

/// Says that it is still read, and how that goes. False when it is no longer to be read by this reader, or no longer what
/// it was.
///
/// # Errors
/// When the database fails.
pub async fn go_on_reading(tx: &Tx, read: &Read, reader: Uuid, state: &State) -> Result<bool> {
    let error = state.error.as_ref().map(|error| error.chars().take(ERROR_MAX).collect());
    let state = State { error, ..state.clone() };
    let kept = Entity::update_many()
        .col_expr(Column::ReaderUntil, Expr::value(crate::now() + LEASE))
        .col_expr(Column::StreamState, Expr::value(serde_json::to_value(&state)?))
        .filter(Column::Id.eq(read.receiver.id.0))
        .filter(Column::Reader.eq(reader))
        .filter(Column::Version.eq(read.version))
        .filter(to_be_read())
        .exec(tx)
        .await?;
    Ok(kept.rows_affected > 0)
}

/// Lets others read it at once.
///
/// # Errors
/// When the database fails.
pub async fn stop_reading(tx: &Tx, id: EventSourceId, reader: Uuid) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::ReaderUntil, Expr::value(None::<DateTime<Utc>>))
        .col_expr(Column::Reader, Expr::value(None::<Uuid>))
        .filter(Column::Id.eq(id.0))
        .filter(Column::Reader.eq(reader))
        .exec(tx)
        .await?;
    Ok(())
}

/// What is to be seen of it.
pub(super) fn reading(row: &Model, now: DateTime<Utc>) -> Result<Option<StreamReading>> {
    if row.stream.is_none() {
        return Ok(None);
    }
    let State { since, error, waiting, unacknowledged } = state(row)?;
    let since = since.filter(|_| row.reader_until.is_some_and(|until| until > now));
    Ok(Some(StreamReading { since, error, waiting, unacknowledged }))
}

fn state(row: &Model) -> Result<State> {
    Ok(row.stream_state.clone().map(serde_json::from_value).transpose()?.unwrap_or_default())
}

fn to_be_read() -> Condition {
    Condition::all().add(Column::Stream.is_not_null()).add(Column::Enabled.eq(true))
}

fn free(now: DateTime<Utc>) -> Condition {
    Condition::any().add(Column::ReaderUntil.is_null()).add(Column::ReaderUntil.lt(now))
}

fn read(row: Model, state: State) -> Result<Option<Read>> {
    let Some(stream) = row.stream.clone() else { return Ok(None) };
    Ok(Some(Read {
        stream: serde_json::from_value(stream)?,
        password: row.stream_password.clone(),
        state,
        version: row.version,
        created_at: row.created_at,
        receiver: receives(row, crate::now())?,
    }))
}
