//! Keyset paging, one way for every list: never OFFSET, so that pages neither skip nor repeat while rows are added.
//!
//! A cursor names the sort, the last row's sort value and its id. Sort columns must be NOT NULL.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Datelike, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Func, LikeExpr, Order};
use sea_orm::{
    ColumnTrait, ColumnType, Condition, ConnectionTrait, EntityTrait, ModelTrait, QueryFilter, QueryOrder,
    QuerySelect, Select, Value,
};
use serde::{Deserialize, Serialize};
use sluice_contract::rest::page::{DEFAULT_LIMIT, MAX_LIMIT, Page, PageQuery};
use uuid::Uuid;

use crate::error::{Error, Result};

/// A field that a list can be sorted by.
pub struct Sort<E: EntityTrait> {
    pub name: &'static str,
    pub column: E::Column,
}

/// How a list is paged: its sorts (the first is the default; `-` in front of the default name makes it descending),
/// the column that breaks ties, and the columns that `q` looks into.
pub struct Listing<E: EntityTrait> {
    pub sorts: &'static [Sort<E>],
    /// Whether the default order is descending (newest first).
    pub descending: bool,
    pub id: E::Column,
    pub search: &'static [E::Column],
}

#[derive(Serialize, Deserialize)]
struct Cursor {
    #[serde(rename = "s")]
    sort: String,
    #[serde(rename = "k")]
    key: Key,
    #[serde(rename = "i")]
    id: Uuid,
}

/// A sort value with its kind: a name that looks like a date or an id stays a text.
#[derive(Serialize, Deserialize)]
enum Key {
    #[serde(rename = "b")]
    Bool(bool),
    #[serde(rename = "n")]
    Int(i64),
    #[serde(rename = "t")]
    Time(DateTime<Utc>),
    #[serde(rename = "u")]
    Id(Uuid),
    #[serde(rename = "s")]
    Text(String),
}

impl Key {
    fn of(value: Value) -> Option<Self> {
        match value {
            Value::Bool(value) => value.map(Self::Bool),
            Value::Int(value) => value.map(|value| Self::Int(value.into())),
            Value::BigInt(value) => value.map(Self::Int),
            Value::ChronoDateTimeUtc(value) => value.map(Self::Time),
            Value::Uuid(value) => value.map(Self::Id),
            Value::String(value) => value.map(Self::Text),
            _ => None,
        }
    }

    /// What a column of this type is compared with; none where no row of it has such a value.
    fn beside(self, column: &ColumnType) -> Option<Value> {
        match (self, column) {
            (Self::Bool(value), ColumnType::Boolean) => Some(value.into()),
            (Self::Int(value), ColumnType::Integer | ColumnType::BigInteger) => Some(value.into()),
            (Self::Time(value), ColumnType::TimestampWithTimeZone) if (1..=9999).contains(&value.year()) => {
                Some(value.into())
            }
            (Self::Id(value), ColumnType::Uuid) => Some(value.into()),
            (Self::Text(value), ColumnType::Text | ColumnType::String(_)) if !value.contains('\0') => {
                Some(value.into())
            }
            _ => None,
        }
    }
}

impl<E> Listing<E>
where
    E: EntityTrait,
    E::Model: ModelTrait<Entity = E> + Send + Sync,
{
    /// One page of `select`, which holds the filters.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unknown sort, a limit out of range or a cursor that this list did not give.
    pub async fn page(
        &self,
        db: &impl ConnectionTrait,
        select: Select<E>,
        query: &PageQuery,
    ) -> Result<Page<E::Model>> {
        let limit = limit(query)?;
        let (name, column, order) = self.order(query.sort.as_deref())?;
        let mut select = self.searched(select, query.q.as_deref());
        if let Some(after) = &query.after {
            let cursor = decode(after).filter(|cursor| cursor.sort == name).ok_or_else(bad_cursor)?;
            select = select.filter(self.beyond(column, &order, cursor).ok_or_else(bad_cursor)?);
        }
        let mut items = select
            .order_by(column, order.clone())
            .order_by(self.id, order)
            .limit(u64::from(limit) + 1)
            .all(db)
            .await?;
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = match items.last() {
            Some(last) if more => Some(self.cursor(name, column, last)?),
            _ => None,
        };
        Ok(Page { items, next })
    }

    fn order(&self, asked: Option<&str>) -> Result<(String, E::Column, Order)> {
        let Some(asked) = asked.filter(|asked| !asked.is_empty()) else {
            let sort = self.sorts.first().ok_or_else(|| Error::invalid("sort", "unknown", "not sortable"))?;
            let order = if self.descending { Order::Desc } else { Order::Asc };
            let sign = if self.descending { "-" } else { "" };
            return Ok((format!("{sign}{}", sort.name), sort.column, order));
        };
        let (field, order) = match asked.strip_prefix('-') {
            Some(field) => (field, Order::Desc),
            None => (asked, Order::Asc),
        };
        let sort = self.sorts.iter().find(|sort| sort.name == field).ok_or_else(|| {
            let known: Vec<_> = self.sorts.iter().map(|sort| sort.name).collect();
            Error::invalid("sort", "unknown", format!("sort by one of: {}", known.join(", ")))
        })?;
        Ok((asked.to_owned(), sort.column, order))
    }

    fn searched(&self, select: Select<E>, q: Option<&str>) -> Select<E> {
        let Some(q) = q.map(str::trim).filter(|q| !q.is_empty()) else { return select };
        let any = self.search.iter().fold(Condition::any(), |any, column| any.add(contains(*column, q)));
        if self.search.is_empty() { select } else { select.filter(any) }
    }

    fn beyond(&self, column: E::Column, order: &Order, cursor: Cursor) -> Option<Condition> {
        let key = cursor.key.beside(column.def().get_column_type())?;
        let (past_key, past_id) = if matches!(order, Order::Desc) {
            (column.lt(key.clone()), self.id.lt(cursor.id))
        } else {
            (column.gt(key.clone()), self.id.gt(cursor.id))
        };
        Some(Condition::any().add(past_key).add(Condition::all().add(column.eq(key)).add(past_id)))
    }

    fn cursor(&self, sort: String, column: E::Column, last: &E::Model) -> Result<String> {
        let not_sortable = || Error::invalid("sort", "unknown", "not sortable");
        let key = Key::of(last.get(column)).ok_or_else(not_sortable)?;
        let Value::Uuid(Some(id)) = last.get(self.id) else { return Err(not_sortable()) };
        Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(&Cursor { sort, key, id })?))
    }
}

fn limit(query: &PageQuery) -> Result<u32> {
    match query.limit.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => Ok(limit),
        _ => Err(Error::invalid("limit", "out_of_range", format!("1 to {MAX_LIMIT}"))),
    }
}

fn decode(text: &str) -> Option<Cursor> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

fn bad_cursor() -> Error {
    Error::invalid("after", "unknown", "not a cursor of this list in this order; start at the first page")
}

/// Whether a text column contains `q`, without case.
pub(crate) fn contains(column: impl ColumnTrait, q: &str) -> Expr {
    let like = LikeExpr::new(contains_pattern(&q.to_lowercase())).escape('\\');
    Expr::expr(Func::lower(column.as_column_ref_expr())).like(like)
}

/// A LIKE pattern for "contains", with `\` as its escape character.
pub(crate) fn contains_pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

trait ColumnExpr {
    fn as_column_ref_expr(&self) -> Expr;
}

impl<C: ColumnTrait> ColumnExpr for C {
    fn as_column_ref_expr(&self) -> Expr {
        Expr::col(self.as_column_ref())
    }
}
