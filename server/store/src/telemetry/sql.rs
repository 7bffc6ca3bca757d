//! Raw statements with values, the same text for both databases (`$1`, `$2`, ... are understood by both).

use sea_orm::{ConnectionTrait, QueryResult, Statement, Value};

use crate::error::Result;

/// Runs a statement and returns how many rows it changed.
pub(super) async fn execute(
    db: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64> {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    Ok(db.execute_raw(statement).await?.rows_affected())
}

/// All rows of a query.
pub(super) async fn all(
    db: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<QueryResult>> {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    Ok(db.query_all_raw(statement).await?)
}

/// The first row of a query.
pub(super) async fn one(
    db: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Option<QueryResult>> {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    Ok(db.query_one_raw(statement).await?)
}

/// Conditions with their values, joined by `AND`.
#[derive(Default)]
pub(super) struct Conditions {
    text: String,
    pub(super) values: Vec<Value>,
}

impl Conditions {
    /// Adds a condition; each `?` in it stands for the next of `values`.
    pub(super) fn add<const N: usize>(&mut self, condition: &str, values: [Value; N]) {
        if !self.text.is_empty() {
            self.text.push_str(" AND ");
        }
        let mut values = values.into_iter();
        for c in condition.chars() {
            match (c, values.len()) {
                ('?', 1..) => {
                    self.values.extend(values.next());
                    self.text.push_str(&format!("${}", self.values.len()));
                }
                _ => self.text.push(c),
            }
        }
    }

    /// Adds that these columns together are one of the rows.
    pub(super) fn add_in<const N: usize>(&mut self, columns: &str, rows: impl Iterator<Item = [Value; N]>) {
        let mut list = String::new();
        for row in rows {
            let holders: Vec<_> = row
                .into_iter()
                .map(|value| {
                    self.values.push(value);
                    format!("${}", self.values.len())
                })
                .collect();
            list.push_str(if list.is_empty() { "(" } else { ", (" });
            list.push_str(&holders.join(", "));
            list.push(')');
        }
        self.add(&format!("{columns} IN (VALUES {list})"), []);
    }

    /// The text for `WHERE`.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// A counter as the database keeps it. Beyond what fits, the largest that does.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A counter as it was before [`signed`].
pub(super) fn unsigned(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or_default()
}
