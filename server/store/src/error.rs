//! What can go wrong with a query, in words of the domain.

use sea_orm::{DbErr, RuntimeErr, SqlErr, SqlxError};
use sluice_contract::problem::FieldProblem;

/// The result of a query.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a query or a change was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such row, or not in this tenant.
    #[error("not found")]
    NotFound,
    /// Somebody else changed the row; `current` is its version now.
    #[error("changed by somebody else in the meantime (version {current} now)")]
    Stale { current: u64 },
    /// Another row has this value. `field` is a JSON pointer.
    #[error("{field} is taken")]
    NotUnique { field: &'static str },
    /// The state of things does not allow it. `code` is stable, `message` is for people.
    #[error("{message}")]
    Conflict { code: &'static str, message: String },
    /// The input is wrong.
    #[error("invalid input: {}", .0.iter().map(|f| format!("{}: {}", f.pointer, f.message)).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<FieldProblem>),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
    /// A stored value could not be read, or a value could not be stored, as JSON.
    #[error("stored JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl Error {
    /// One wrong field.
    pub fn invalid(pointer: impl Into<String>, code: &str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldProblem::new(pointer, code, message)])
    }

    /// Whether others at work were in the way (a deadlock, a serialization failure, a lock or a connection that was
    /// not to be had in time). Nothing has happened then, and the same again can succeed.
    pub fn is_contention(&self) -> bool {
        match self {
            Self::Database(DbErr::ConnectionAcquire(_)) => true,
            Self::Database(DbErr::Exec(error) | DbErr::Query(error) | DbErr::Conn(error)) => {
                in_the_way(error)
            }
            _ => false,
        }
    }

    /// The state of things does not allow it.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::Conflict { code, message: message.into() }
    }
}

/// Postgres: serialization failure, deadlock, lock not available. SQLite: busy and locked, in the low byte of a code.
fn in_the_way(error: &RuntimeErr) -> bool {
    let RuntimeErr::SqlxError(error) = error else { return false };
    let SqlxError::Database(error) = error.as_ref() else { return false };
    let code = error.code().unwrap_or_default();
    match &*code {
        "40001" | "40P01" | "55P03" => true,
        code => code.len() < 5 && code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6)),
    }
}

/// Turns a unique violation into [`Error::NotUnique`] of this field: `.map_err(not_unique("/name"))`.
pub fn not_unique(field: &'static str) -> impl Fn(DbErr) -> Error {
    move |error| match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => Error::NotUnique { field },
        _ => Error::Database(error),
    }
}

/// Turns a foreign key violation into the conflict `in_use`: `.map_err(in_use("..."))` on deletions.
pub fn in_use(message: &'static str) -> impl Fn(DbErr) -> Error {
    move |error| match error.sql_err() {
        Some(SqlErr::ForeignKeyConstraintViolation(_)) => Error::conflict("in_use", message),
        _ => Error::Database(error),
    }
}

/// What the body of a request refers to and is not there is a wrong field, not a wrong address.
pub(crate) fn unknown(pointer: &'static str, message: &'static str) -> impl Fn(Error) -> Error {
    move |error| match error {
        Error::NotFound => Error::invalid(pointer, "unknown", message),
        other => other,
    }
}
