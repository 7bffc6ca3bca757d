//! An application's owner is a member of its tenant, in the schema: the owner was any user before.
//!
//! Nothing happens to the application by itself when its owner leaves: whoever ends the membership takes the owner away
//! first (`applications::disown`), because neither database can clear one column of a key and keep the other.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};

use crate::tools::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// Owners who are not members lose what was never theirs to keep.
const DISOWN: &str = "UPDATE applications SET owner_id = NULL WHERE owner_id IS NOT NULL AND NOT EXISTS \
     (SELECT 1 FROM memberships WHERE memberships.tenant_id = applications.tenant_id \
     AND memberships.user_id = applications.owner_id)";

#[expect(elided_lifetimes_in_paths, reason = "async_trait and the trait leave this one out")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(DISOWN).await?;
        match manager.get_database_backend() {
            DbBackend::Postgres => change_key(manager).await,
            _ => rebuild(manager).await,
        }
    }
}

async fn change_key(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let drop = ForeignKey::drop().table("applications").name("applications_owner_id_fkey").to_owned();
    manager.drop_foreign_key(drop).await?;
    let mut key = owned_by_member();
    manager.create_foreign_key(key.name("applications_owner").from_tbl("applications").take()).await
}

/// SQLite changes no keys: the table is made anew and takes the place of the old one.
async fn rebuild(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    const COLUMNS: &str =
        "id, tenant_id, owner_id, team_id, name, description, policies, version, created_at";
    manager.create_table(applications_table("applications_new", owned_by_member())).await?;
    let copy = format!("INSERT INTO applications_new ({COLUMNS}) SELECT {COLUMNS} FROM applications");
    for change in [&copy, "DROP TABLE applications", "ALTER TABLE applications_new RENAME TO applications"] {
        manager.get_connection().execute_unprepared(change).await?;
    }
    for (name, column) in [("applications_by_team", "team_id"), ("applications_by_owner", "owner_id")] {
        manager.create_index(index(name, "applications", &["tenant_id", column])).await?;
    }
    Ok(())
}

fn owned_by_member() -> ForeignKeyCreateStatement {
    refers(&["tenant_id", "owner_id"], "memberships", &["tenant_id", "user_id"], ForeignKeyAction::NoAction)
}
