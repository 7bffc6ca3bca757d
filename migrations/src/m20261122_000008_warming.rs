//! Plans for warming the cache, and the times that it was warmed.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, boolean, integer, json_binary, pk_uuid, string, text_null, timestamp_with_time_zone_null,
    uuid, uuid_null,
};

use crate::tools::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[expect(elided_lifetimes_in_paths, reason = "async_trait and the trait leave this one out")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let indexes = vec![
            index("warming_plans_due", "warming_plans", &["next_run_at"]),
            index("warmings_by_api", "warmings", &["tenant_id", "api_id", "created_at"]),
            index("warmings_by_state", "warmings", &["state"]),
        ];
        create_all(manager, vec![plans(), warmings(), urls(), gateways()], indexes).await
    }
}

fn of_api() -> ForeignKeyCreateStatement {
    refers(&["tenant_id", "api_id"], "apis", &["tenant_id", "id"], ForeignKeyAction::Cascade)
}

fn in_environment() -> ForeignKeyCreateStatement {
    refers(&["environment_id"], "environments", &["id"], ForeignKeyAction::Restrict)
}

fn of_warming() -> ForeignKeyCreateStatement {
    refers(&["warming_id"], "warmings", &["id"], ForeignKeyAction::Cascade)
}

fn plans() -> TableCreateStatement {
    Table::create()
        .table("warming_plans")
        .col(uuid("api_id"))
        .col(uuid("environment_id"))
        .col(uuid("tenant_id"))
        .col(json_binary("plan"))
        .col(boolean("on_release"))
        .col(timestamp_with_time_zone_null("next_run_at"))
        .col(uuid_null("seen_release"))
        .col(version())
        .index(&mut primary_key(&["api_id", "environment_id"]))
        .foreign_key(&mut of_api())
        .foreign_key(&mut in_environment())
        .foreign_key(&mut tenant_owned())
        .take()
}

fn warmings() -> TableCreateStatement {
    Table::create()
        .table("warmings")
        .col(pk_uuid("id"))
        .col(uuid("tenant_id"))
        .col(uuid("api_id"))
        .col(uuid("environment_id"))
        .col(string("cause"))
        .col(json_binary("plan"))
        .col(big_integer("position"))
        .col(string("state"))
        .col(boolean("cancelled"))
        .col(boolean("staggered"))
        .col(big_integer("urls"))
        .col(text_null("problem"))
        .col(string("created_by"))
        .col(created_at())
        .col(timestamp_with_time_zone_null("ended_at"))
        .foreign_key(&mut of_api())
        .foreign_key(&mut in_environment())
        .foreign_key(&mut tenant_owned())
        .take()
}

fn urls() -> TableCreateStatement {
    Table::create()
        .table("warming_urls")
        .col(pk_uuid("warming_id"))
        .col(json_binary("urls"))
        .foreign_key(&mut of_warming())
        .take()
}

fn gateways() -> TableCreateStatement {
    Table::create()
        .table("warming_gateways")
        .col(uuid("warming_id"))
        .col(uuid("gateway_id"))
        .col(integer("place"))
        .col(string("name"))
        .col(string("state"))
        .col(json_binary("report"))
        .col(big_integer("next"))
        .col(uuid_null("runner"))
        .col(timestamp_with_time_zone_null("lease_until"))
        .index(&mut primary_key(&["warming_id", "gateway_id"]))
        .foreign_key(&mut of_warming())
        .take()
}
