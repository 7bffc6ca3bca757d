//! Times that the cache of an API was, is or will be warmed.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "warmings")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub api_id: Uuid,
    pub environment_id: Uuid,
    pub cause: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub plan: Json,
    pub position: i64,
    pub state: String,
    pub cancelled: bool,
    pub staggered: bool,
    pub urls: i64,
    #[sea_orm(column_type = "JsonBinary")]
    pub left_out: Json,
    #[sea_orm(column_type = "Text", nullable)]
    pub problem: Option<String>,
    pub created_by: String,
    pub created_at: DateTimeUtc,
    pub ended_at: Option<DateTimeUtc>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
