//! What the cache of an API is warmed with in an environment.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "warming_plans")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub api_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub environment_id: Uuid,
    pub tenant_id: Uuid,
    #[sea_orm(column_type = "JsonBinary")]
    pub plan: Json,
    pub on_release: bool,
    pub on_gateway: bool,
    pub next_run_at: Option<DateTimeUtc>,
    pub seen_release: Option<Uuid>,
    pub version: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
