//! What is told to CDNs of purges, and the requests that are still to be sent.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::tools::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[expect(elided_lifetimes_in_paths, reason = "async_trait and the trait leave this one out")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let indexes = vec![
            index("cdn_hooks_by_environment", "cdn_hooks", &["tenant_id", "environment_id"]),
            index("cdn_calls_due", "cdn_calls", &["state", "next_at"]),
            index("cdn_calls_by_time", "cdn_calls", &["hook_id", "at"]),
        ];
        create_all(manager, vec![hooks(), calls()], indexes).await
    }
}

/// `secret` is sealed.
fn hooks() -> TableCreateStatement {
    let of_api = refers(&["tenant_id", "api_id"], "apis", &["tenant_id", "id"], ForeignKeyAction::Cascade);
    let in_environment = refers(&["environment_id"], "environments", &["id"], ForeignKeyAction::Cascade);
    Table::create()
        .table("cdn_hooks")
        .col(pk_uuid("id"))
        .col(uuid("tenant_id"))
        .col(uuid("api_id"))
        .col(uuid("environment_id"))
        .col(string("name"))
        .col(boolean("enabled"))
        .col(json_binary("kinds"))
        .col(string("method"))
        .col(text("url"))
        .col(json_binary("headers"))
        .col(text("body"))
        .col(text_null("secret"))
        .col(timestamp_with_time_zone_null("last_at"))
        .col(string_null("last_state"))
        .col(version())
        .col(string("created_by"))
        .col(created_at())
        .index(&mut unique("cdn_hooks_in_tenant", &["tenant_id", "id"]))
        .index(&mut unique("cdn_hooks_name", &["tenant_id", "api_id", "name"]))
        .foreign_key(&mut of_api.clone())
        .foreign_key(&mut in_environment.clone())
        .foreign_key(&mut tenant_owned())
        .take()
}

/// One for each purge and hook, so that a purge is told once.
fn calls() -> TableCreateStatement {
    let of_hook =
        refers(&["tenant_id", "hook_id"], "cdn_hooks", &["tenant_id", "id"], ForeignKeyAction::Cascade);
    Table::create()
        .table("cdn_calls")
        .col(pk_uuid("id"))
        .col(uuid("tenant_id"))
        .col(uuid("hook_id"))
        .col(uuid("purge_id"))
        .col(json_binary("scope"))
        .col(boolean("soft"))
        .col(string("state"))
        .col(integer("attempts"))
        .col(timestamp_with_time_zone("at"))
        .col(timestamp_with_time_zone("next_at"))
        .col(integer_null("status"))
        .col(text_null("error"))
        .index(&mut unique("cdn_calls_once", &["hook_id", "purge_id"]))
        .foreign_key(&mut of_hook.clone())
        .take()
}
