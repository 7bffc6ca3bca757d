//! What was predicted of the cache policy of a route when it was made from advice.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "cache_predictions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub api_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub route: String,
    pub tenant_id: Uuid,
    pub ttl_s: i64,
    pub hit_ratio: f64,
    pub memory_bytes: i64,
    pub saved_us_per_call: i64,
    pub calls: i64,
    pub made_at: DateTimeUtc,
    pub made_by: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
