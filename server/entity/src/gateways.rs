//! `gateways`: workers of the data plane, with what was last heard of each.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "gateways")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub environment_id: Uuid,
    pub enrolment_token_id: Option<Uuid>,
    pub name: String,
    pub region: Option<String>,
    pub version: String,
    pub public_url: Option<String>,
    pub secret_hash: String,
    pub enrolled_at: ChronoDateTimeUtc,
    pub removed_at: Option<ChronoDateTimeUtc>,
    pub last_seen_at: Option<ChronoDateTimeUtc>,
    pub boot: Option<Uuid>,
    pub warmed_boot: Option<Uuid>,
    #[sea_orm(column_type = "Text", nullable)]
    pub heartbeat: Option<String>,
    pub applied: i64,
    pub applied_incarnation: Option<Uuid>,
    #[sea_orm(column_type = "Text")]
    pub failed_parts: String,
    pub lost_calls: i64,
    pub dropped_calls: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
