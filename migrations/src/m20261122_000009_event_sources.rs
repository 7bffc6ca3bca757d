//! What purges the cache of an API when something happens elsewhere, and what came of it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::tools::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[expect(elided_lifetimes_in_paths, reason = "async_trait and the trait leave this one out")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let by_time = index("event_deliveries_by_time", "event_deliveries", &["source_id", "at"]);
        create_all(manager, vec![sources(), deliveries()], vec![by_time]).await
    }
}

/// `secret` and `old_secret` are sealed.
fn sources() -> TableCreateStatement {
    let of_api = refers(&["tenant_id", "api_id"], "apis", &["tenant_id", "id"], ForeignKeyAction::Cascade);
    let in_environment = refers(&["environment_id"], "environments", &["id"], ForeignKeyAction::Cascade);
    Table::create()
        .table("event_sources")
        .col(pk_uuid("id"))
        .col(uuid("tenant_id"))
        .col(uuid("api_id"))
        .col(uuid("environment_id"))
        .col(string("name"))
        .col(boolean("enabled"))
        .col(json_binary("rules"))
        .col(boolean("soft"))
        .col(integer("per_minute"))
        .col(text("secret"))
        .col(text_null("old_secret"))
        .col(timestamp_with_time_zone_null("old_secret_until"))
        .col(timestamp_with_time_zone_null("last_at"))
        .col(string_null("last_outcome"))
        .col(version())
        .col(string("created_by"))
        .col(created_at())
        .index(&mut unique("event_sources_in_tenant", &["tenant_id", "id"]))
        .index(&mut unique("event_sources_name", &["tenant_id", "api_id", "name"]))
        .foreign_key(&mut of_api.clone())
        .foreign_key(&mut in_environment.clone())
        .foreign_key(&mut tenant_owned())
        .take()
}

/// `carried_out` is the message where it was carried out, so that nothing is twice.
fn deliveries() -> TableCreateStatement {
    let of_source =
        refers(&["tenant_id", "source_id"], "event_sources", &["tenant_id", "id"], ForeignKeyAction::Cascade);
    Table::create()
        .table("event_deliveries")
        .col(pk_uuid("id"))
        .col(uuid("tenant_id"))
        .col(uuid("source_id"))
        .col(string("message"))
        .col(string_null("carried_out"))
        .col(timestamp_with_time_zone("at"))
        .col(string("outcome"))
        .col(json_binary("detail"))
        .index(&mut unique("event_deliveries_once", &["source_id", "carried_out"]))
        .foreign_key(&mut of_source.clone())
        .take()
}
