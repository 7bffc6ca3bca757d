//! The URLs of a warming that goes on.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "warming_urls")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub warming_id: Uuid,
    #[sea_orm(column_type = "JsonBinary")]
    pub urls: Json,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
