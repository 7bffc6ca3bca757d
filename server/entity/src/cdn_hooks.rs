//! What is told to a CDN when something of an API is purged.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "cdn_hooks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub api_id: Uuid,
    pub environment_id: Uuid,
    pub name: String,
    pub enabled: bool,
    #[sea_orm(column_type = "JsonBinary")]
    pub kinds: Json,
    pub method: String,
    pub url: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub headers: Json,
    pub body: String,
    pub secret: Option<String>,
    pub last_at: Option<DateTimeUtc>,
    pub last_state: Option<String>,
    pub version: i64,
    pub created_by: String,
    pub created_at: DateTimeUtc,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
