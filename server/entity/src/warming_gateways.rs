//! How far each gateway is with a warming, and which control plane sees to it.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "warming_gateways")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub warming_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub gateway_id: Uuid,
    pub place: i32,
    pub name: String,
    pub state: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub report: Json,
    pub next: i64,
    pub runner: Option<Uuid>,
    pub lease_until: Option<DateTimeUtc>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
