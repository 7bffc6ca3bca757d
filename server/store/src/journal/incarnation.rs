//! Whose positions these are: the life of one database.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use sluice_contract::ids::IncarnationId;
use sluice_entity::incarnations;

use crate::{Error, Result, Tx};

/// The incarnation of this database.
///
/// # Errors
/// When the database fails.
pub async fn incarnation(db: &impl ConnectionTrait) -> Result<IncarnationId> {
    let row = incarnations::Entity::find().one(db).await?.ok_or(Error::NotFound)?;
    Ok(IncarnationId(row.id))
}

/// Gives the database a new incarnation, unless it no longer has `was` (somebody was faster). Gateways then take a
/// snapshot instead of taking old positions for new ones. To be called after a backup was restored.
///
/// # Errors
/// When the database fails.
pub async fn new_incarnation(tx: &Tx, was: IncarnationId) -> Result<IncarnationId> {
    incarnations::Entity::update_many()
        .col_expr(incarnations::Column::Id, Expr::value(IncarnationId::generate().0))
        .col_expr(incarnations::Column::Since, Expr::value(crate::now()))
        .filter(incarnations::Column::Id.eq(was.0))
        .exec(tx)
        .await?;
    tx.appended();
    incarnation(tx).await
}
