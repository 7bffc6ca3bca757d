//! What the sources of a warming gave and is not warmed.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[expect(elided_lifetimes_in_paths, reason = "async_trait and the trait leave this one out")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = ColumnDef::new("left_out").json_binary().not_null().default("{}").to_owned();
        manager.alter_table(Table::alter().table("warmings").add_column(column).take()).await
    }
}
