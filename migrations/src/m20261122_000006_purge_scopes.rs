//! Purges need not be of one API, and may be soft.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

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
        match manager.get_database_backend() {
            DbBackend::Postgres => change(manager).await,
            _ => rebuild(manager).await,
        }
    }
}

async fn change(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    for change in [
        "ALTER TABLE purges ALTER COLUMN api_id DROP NOT NULL",
        "ALTER TABLE purges ADD COLUMN soft boolean NOT NULL DEFAULT false",
    ] {
        manager.get_connection().execute_unprepared(change).await?;
    }
    manager.create_foreign_key(tenant_owned().name("purges_tenant").from_tbl("purges").take()).await
}

/// SQLite changes no columns: the table is made anew and takes the place of the old one.
async fn rebuild(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    const COLUMNS: &str = "id, tenant_id, environment_id, api_id, scope, position, created_by, created_at";
    manager.create_table(purges_new()).await?;
    let copy = format!("INSERT INTO purges_new ({COLUMNS}) SELECT {COLUMNS} FROM purges");
    for change in [&copy, "DROP TABLE purges", "ALTER TABLE purges_new RENAME TO purges"] {
        manager.get_connection().execute_unprepared(change).await?;
    }
    for (name, column) in [("purges_by_tenant", "created_at"), ("purges_by_api", "api_id")] {
        manager.create_index(index(name, "purges", &["tenant_id", column])).await?;
    }
    Ok(())
}

fn purges_new() -> TableCreateStatement {
    let of_api = refers(&["tenant_id", "api_id"], "apis", &["tenant_id", "id"], ForeignKeyAction::Cascade);
    let in_environment = refers(&["environment_id"], "environments", &["id"], ForeignKeyAction::Restrict);
    Table::create()
        .table("purges_new")
        .col(pk_uuid("id"))
        .col(uuid("tenant_id"))
        .col(uuid("environment_id"))
        .col(uuid_null("api_id"))
        .col(json_binary("scope"))
        .col(boolean("soft").default(false))
        .col(big_integer("position"))
        .col(string("created_by"))
        .col(created_at())
        .foreign_key(&mut of_api.clone())
        .foreign_key(&mut in_environment.clone())
        .foreign_key(&mut tenant_owned())
        .take()
}
