//! Sources of events that read a stream: where it is, and which control plane reads it now.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;

#[derive(DeriveMigrationName)]
pub struct Migration;

/// SQLite adds one column at a time. `stream_password` is sealed.
#[expect(elided_lifetimes_in_paths, reason = "async_trait and the trait leave this one out")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            json_binary_null("stream"),
            text_null("stream_password"),
            json_binary_null("stream_state"),
            uuid_null("reader"),
            timestamp_with_time_zone_null("reader_until"),
        ];
        for mut column in columns {
            let add = Table::alter().table("event_sources").add_column(&mut column).take();
            manager.alter_table(add).await?;
        }
        Ok(())
    }
}
