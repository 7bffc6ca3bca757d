//! Plans that warm a gateway that has come up, and the last life of a gateway that was told to them.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[expect(elided_lifetimes_in_paths, reason = "async_trait and the trait leave this one out")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let on_gateway = ColumnDef::new("on_gateway").boolean().not_null().default(false).to_owned();
        manager.alter_table(Table::alter().table("warming_plans").add_column(on_gateway).take()).await?;
        let warmed = ColumnDef::new("warmed_boot").uuid().null().to_owned();
        manager.alter_table(Table::alter().table("gateways").add_column(warmed).take()).await
    }
}
