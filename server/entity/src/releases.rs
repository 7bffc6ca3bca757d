//! Revisions put into environments, and withdrawals.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "releases")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub api_id: Uuid,
    pub environment_id: Uuid,
    pub revision: Option<i32>,
    pub replaces: Option<i32>,
    pub rollback: bool,
    pub part_hash: Option<String>,
    pub position: i64,
    pub created_by: String,
    pub created_at: DateTimeUtc,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
