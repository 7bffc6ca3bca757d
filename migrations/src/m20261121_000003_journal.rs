//! The journal of each environment, the parts that it names, and the gateways that follow it.

use chrono::Utc;
use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, binary, integer, pk_uuid, string, string_len, string_len_null, string_null, text, text_null,
    timestamp_with_time_zone, timestamp_with_time_zone_null, uuid, uuid_null,
};
use uuid::Uuid;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[expect(elided_lifetimes_in_paths, reason = "async_trait and the trait leave this one out")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        incarnations(manager).await?;
        parts(manager).await?;
        journal(manager).await?;
        enrolment_tokens(manager).await?;
        gateways(manager).await?;
        gateway_boots(manager).await?;
        gateway_acks(manager).await
    }
}

/// One row: whose journal positions these are. A database brought back from a backup gets a new one.
async fn incarnations(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("incarnations")
        .col(integer("only").primary_key().check(Expr::col("only").eq(1)))
        .col(uuid("id"))
        .col(timestamp_with_time_zone("since"))
        .to_owned();
    manager.create_table(table).await?;
    let first = Query::insert()
        .into_table("incarnations")
        .columns(["only", "id", "since"])
        .values_panic([1.into(), Uuid::now_v7().into(), Utc::now().into()])
        .to_owned();
    manager.exec_stmt(first).await
}

/// Compiled definitions, named by the SHA-256 of their bytes.
async fn parts(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("parts")
        .col(string_len("hash", 64).primary_key())
        .col(binary("bytes"))
        .col(timestamp_with_time_zone("created_at"))
        .to_owned();
    manager.create_table(table).await
}

/// The counter that gives out positions, the entries, and what they add up to.
async fn journal(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let counters = Table::create()
        .table("journal_counters")
        .col(pk_uuid("environment_id"))
        .col(big_integer("head"))
        .col(big_integer("compacted_to").default(0))
        .foreign_key(&mut owned_by("journal_counters", "environment_id", ["environments", "id"]))
        .to_owned();
    manager.create_table(counters).await?;

    // `change` is text, not JSON: the database never looks into it, and it is sent on as it is.
    let entries = Table::create()
        .table("journal_entries")
        .col(uuid("environment_id"))
        .col(big_integer("position"))
        .col(timestamp_with_time_zone("at"))
        .col(string("kind"))
        .col(text("change"))
        .col(string_len_null("part_hash", 64))
        .primary_key(Index::create().col("environment_id").col("position"))
        .foreign_key(&mut owned_by(
            "journal_entries",
            "environment_id",
            ["journal_counters", "environment_id"],
        ))
        .foreign_key(&mut refers_to("journal_entries", "part_hash", ["parts", "hash"]))
        .to_owned();
    manager.create_table(entries).await?;

    let state = Table::create()
        .table("journal_state")
        .col(uuid("environment_id"))
        .col(string("key"))
        .col(big_integer("position"))
        .col(text("change"))
        .col(string_len_null("part_hash", 64))
        .primary_key(Index::create().col("environment_id").col("key"))
        .foreign_key(&mut owned_by("journal_state", "environment_id", ["journal_counters", "environment_id"]))
        .foreign_key(&mut refers_to("journal_state", "part_hash", ["parts", "hash"]))
        .to_owned();
    manager.create_table(state).await?;

    for (table, name) in
        [("journal_entries", "journal_entries_part"), ("journal_state", "journal_state_part")]
    {
        manager.create_index(Index::create().name(name).table(table).col("part_hash").to_owned()).await?;
    }
    Ok(())
}

/// What gateways enrol with.
async fn enrolment_tokens(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("enrolment_tokens")
        .col(pk_uuid("id"))
        .col(uuid("environment_id"))
        .col(string("name"))
        .col(string_len("secret_hash", 64).unique_key())
        .col(string("created_by"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("expires_at"))
        .col(timestamp_with_time_zone_null("revoked_at"))
        .col(integer("used").default(0))
        .foreign_key(&mut refers_to("enrolment_tokens", "environment_id", ["environments", "id"]))
        .to_owned();
    manager.create_table(table).await?;
    let by_environment = Index::create()
        .name("enrolment_tokens_environment")
        .table("enrolment_tokens")
        .col("environment_id")
        .col("id")
        .to_owned();
    manager.create_index(by_environment).await
}

/// Workers of the data plane, with what was last heard of each.
async fn gateways(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("gateways")
        .col(pk_uuid("id"))
        .col(uuid("environment_id"))
        .col(uuid_null("enrolment_token_id"))
        .col(string("name"))
        .col(string_null("region"))
        .col(string("version"))
        .col(string_null("public_url"))
        .col(string_len("secret_hash", 64))
        .col(timestamp_with_time_zone("enrolled_at"))
        .col(timestamp_with_time_zone_null("removed_at"))
        .col(timestamp_with_time_zone_null("last_seen_at"))
        .col(uuid_null("boot"))
        .col(text_null("heartbeat"))
        .col(big_integer("applied").default(0))
        .col(uuid_null("applied_incarnation"))
        .col(text("failed_parts").default("[]"))
        .col(big_integer("lost_calls").default(0))
        .col(big_integer("dropped_calls").default(0))
        .foreign_key(&mut refers_to("gateways", "environment_id", ["environments", "id"]))
        .foreign_key(&mut refers_to("gateways", "enrolment_token_id", ["enrolment_tokens", "id"]))
        .to_owned();
    manager.create_table(table).await?;
    // A removed gateway gives its name free.
    let name = Index::create()
        .name("gateways_name")
        .table("gateways")
        .col("environment_id")
        .col("name")
        .unique()
        .cond_where(Expr::col("removed_at").is_null())
        .to_owned();
    manager.create_index(name).await
}

/// Lives of gateways, and the calls that are known to be missing from each. Older ones are added up in `gateways`.
async fn gateway_boots(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("gateway_boots")
        .col(uuid("gateway_id"))
        .col(uuid("boot"))
        .col(timestamp_with_time_zone("started_at"))
        .col(string("version"))
        .col(big_integer("lost_calls").default(0))
        .col(big_integer("dropped_calls").default(0))
        .primary_key(Index::create().col("gateway_id").col("boot"))
        .foreign_key(&mut owned_by("gateway_boots", "gateway_id", ["gateways", "id"]))
        .to_owned();
    manager.create_table(table).await
}

/// When each gateway acknowledged which position, by the control plane's clock.
async fn gateway_acks(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("gateway_acks")
        .col(uuid("gateway_id"))
        .col(big_integer("position"))
        .col(timestamp_with_time_zone("received_at"))
        .col(timestamp_with_time_zone("applied_at"))
        .col(text_null("failed_parts"))
        .primary_key(Index::create().col("gateway_id").col("position"))
        .foreign_key(&mut owned_by("gateway_acks", "gateway_id", ["gateways", "id"]))
        .to_owned();
    manager.create_table(table).await?;
    let by_time =
        Index::create().name("gateway_acks_received").table("gateway_acks").col("received_at").to_owned();
    manager.create_index(by_time).await
}

/// The row goes with the one that it belongs to.
fn owned_by(table: &'static str, column: &'static str, to: [&'static str; 2]) -> ForeignKeyCreateStatement {
    refers_to(table, column, to).on_delete(ForeignKeyAction::Cascade).to_owned()
}

/// The other row cannot go while this one is there.
fn refers_to(
    table: &'static str,
    column: &'static str,
    [to, to_column]: [&'static str; 2],
) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(format!("{table}_{column}"))
        .from(table, column)
        .to(to, to_column)
        .on_delete(ForeignKeyAction::Restrict)
        .to_owned()
}
