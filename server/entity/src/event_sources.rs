//! What purges the cache of an API when something happens elsewhere.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "event_sources")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub api_id: Uuid,
    pub environment_id: Uuid,
    pub name: String,
    pub enabled: bool,
    #[sea_orm(column_type = "JsonBinary")]
    pub rules: Json,
    pub soft: bool,
    pub per_minute: i32,
    pub secret: String,
    pub old_secret: Option<String>,
    pub old_secret_until: Option<DateTimeUtc>,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub stream: Option<Json>,
    pub stream_password: Option<String>,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub stream_state: Option<Json>,
    pub reader: Option<Uuid>,
    pub reader_until: Option<DateTimeUtc>,
    pub last_at: Option<DateTimeUtc>,
    pub last_outcome: Option<String>,
    pub version: i64,
    pub created_by: String,
    pub created_at: DateTimeUtc,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
