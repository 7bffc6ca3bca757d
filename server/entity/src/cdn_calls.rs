//! Requests to CDNs: those to be sent, and what became of the others.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "cdn_calls")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub hook_id: Uuid,
    pub purge_id: Uuid,
    #[sea_orm(column_type = "JsonBinary")]
    pub scope: Json,
    pub soft: bool,
    pub state: String,
    pub attempts: i32,
    pub at: DateTimeUtc,
    pub next_at: DateTimeUtc,
    pub status: Option<i32>,
    pub error: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
