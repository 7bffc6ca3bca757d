//! What migrations share: tables by list, and the columns that many tables have.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, json_binary, pk_uuid, string, text, timestamp_with_time_zone, uuid, uuid_null,
};

/// Creates the tables in order, so that later ones may refer to earlier ones.
pub(crate) async fn create_all(
    manager: &SchemaManager<'_>,
    tables: Vec<TableCreateStatement>,
    indexes: Vec<IndexCreateStatement>,
) -> Result<(), DbErr> {
    for table in tables {
        manager.create_table(table).await?;
    }
    for index in indexes {
        manager.create_index(index).await?;
    }
    Ok(())
}

/// `version`, which optimistic concurrency compares.
pub(crate) fn version() -> ColumnDef {
    big_integer("version").default(1).take()
}

/// `created_at`.
pub(crate) fn created_at() -> ColumnDef {
    timestamp_with_time_zone("created_at")
}

/// A unique constraint over these columns, inside the table.
pub(crate) fn unique(name: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(name).unique();
    for column in columns {
        index.col(*column);
    }
    index.take()
}

/// A primary key over these columns, inside the table.
pub(crate) fn primary_key(columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    index.primary();
    for column in columns {
        index.col(*column);
    }
    index.take()
}

/// An index of its own.
pub(crate) fn index(
    name: &'static str,
    table: &'static str,
    columns: &[&'static str],
) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(name).table(table);
    for column in columns {
        index.col(*column);
    }
    index.take()
}

/// `columns` must be those of a row of `table`; what happens here when that row goes is `on_delete`.
pub(crate) fn refers(
    columns: &[&'static str],
    table: &'static str,
    their_columns: &[&'static str],
    on_delete: ForeignKeyAction,
) -> ForeignKeyCreateStatement {
    let mut key = ForeignKey::create();
    key.to_tbl(table).on_delete(on_delete);
    for column in columns {
        key.from_col(*column);
    }
    for column in their_columns {
        key.to_col(*column);
    }
    key.take()
}

/// The row belongs to a tenant that cannot go while the row is there.
pub(crate) fn tenant_owned() -> ForeignKeyCreateStatement {
    refers(&["tenant_id"], "tenants", &["id"], ForeignKeyAction::Restrict)
}

/// The row may belong to a team of its tenant, which then cannot go.
pub(crate) fn team_owned() -> ForeignKeyCreateStatement {
    refers(&["tenant_id", "team_id"], "teams", &["tenant_id", "id"], ForeignKeyAction::Restrict)
}

/// Consumers, as they were first made and as SQLite makes them anew for another `owner`. What came later is in its own
/// migration: this never changes.
pub(crate) fn applications_table(
    name: &'static str,
    mut owner: ForeignKeyCreateStatement,
) -> TableCreateStatement {
    Table::create()
        .table(name)
        .col(pk_uuid("id"))
        .col(uuid("tenant_id"))
        .col(uuid_null("owner_id"))
        .col(uuid_null("team_id"))
        .col(string("name"))
        .col(text("description"))
        .col(json_binary("policies"))
        .col(version())
        .col(created_at())
        .index(&mut unique("applications_in_tenant", &["tenant_id", "id"]))
        .index(&mut unique("applications_name", &["tenant_id", "name"]))
        .foreign_key(&mut tenant_owned())
        .foreign_key(&mut owner)
        .foreign_key(&mut team_owned())
        .take()
}
