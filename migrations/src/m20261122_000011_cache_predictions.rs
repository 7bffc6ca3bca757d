//! What was predicted of cache policies that were made from advice, to be shown beside what they achieve.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, double, string, timestamp_with_time_zone, uuid};

use crate::tools::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[expect(elided_lifetimes_in_paths, reason = "async_trait and the trait leave this one out")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut of_api =
            refers(&["tenant_id", "api_id"], "apis", &["tenant_id", "id"], ForeignKeyAction::Cascade);
        let table = Table::create()
            .table("cache_predictions")
            .col(uuid("tenant_id"))
            .col(uuid("api_id"))
            .col(string("route"))
            .col(big_integer("ttl_s"))
            .col(double("hit_ratio"))
            .col(big_integer("memory_bytes"))
            .col(big_integer("saved_us_per_call"))
            .col(big_integer("calls"))
            .col(timestamp_with_time_zone("made_at"))
            .col(string("made_by"))
            .index(&mut primary_key(&["api_id", "route"]))
            .foreign_key(&mut of_api)
            .foreign_key(&mut tenant_owned())
            .take();
        create_all(manager, vec![table], Vec::new()).await
    }
}
