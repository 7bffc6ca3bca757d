//! Failed attempts to sign in, so that all control planes count them together.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

use crate::tools::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[expect(elided_lifetimes_in_paths, reason = "async_trait and the trait leave this one out")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // `key` is a hash: what people type where an e-mail belongs may be a password.
        let table = Table::create()
            .table("sign_in_failures")
            .col(string_len("key", 64).primary_key())
            .col(big_integer("failures"))
            .col(timestamp_with_time_zone("since"))
            .take();
        let by_time = index("sign_in_failures_by_time", "sign_in_failures", &["since"]);
        create_all(manager, vec![table], vec![by_time]).await
    }
}
