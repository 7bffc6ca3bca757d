//! Migrations of the management database, the same on SQLite and Postgres.
//!
//! Each resource's tables come with their tenant scoping: composite keys make a reference across tenants impossible
//! in the schema, not only in code. They go forward only: the way back is the backup from before the upgrade. `tools`
//! holds what the migrations share.

use sea_orm_migration::prelude::*;

mod m20261121_000001_identity;
mod m20261121_000002_publishing;
mod m20261121_000003_journal;
mod m20261122_000004_owners;
mod m20261122_000005_sign_in_failures;
mod m20261122_000006_purge_scopes;
mod m20261122_000008_warming;
mod m20261122_000009_event_sources;
mod m20261122_000010_cdn_hooks;
mod m20261122_000011_cache_predictions;
mod m20261122_000012_warming_left_out;
mod m20261122_000013_warming_arrivals;
mod m20261122_000014_event_streams;
mod tools;

/// All migrations, oldest first.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_identity::Migration),
            Box::new(m20261121_000002_publishing::Migration),
            Box::new(m20261121_000003_journal::Migration),
            Box::new(m20261122_000004_owners::Migration),
            Box::new(m20261122_000005_sign_in_failures::Migration),
            Box::new(m20261122_000006_purge_scopes::Migration),
            Box::new(m20261122_000008_warming::Migration),
            Box::new(m20261122_000009_event_sources::Migration),
            Box::new(m20261122_000010_cdn_hooks::Migration),
            Box::new(m20261122_000011_cache_predictions::Migration),
            Box::new(m20261122_000012_warming_left_out::Migration),
            Box::new(m20261122_000013_warming_arrivals::Migration),
            Box::new(m20261122_000014_event_streams::Migration),
        ]
    }
}
