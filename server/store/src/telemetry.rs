//! Calls and rollups: what gateways send back, apart from the management tables because of its volume.
//!
//! One trait, two stores. SQLite keeps them in a file of its own, Postgres in a schema of its own with a partition for
//! each day. Both run the same queries; what differs is behind [`dialect::Dialect`].

mod cache;
mod compact;
mod dialect;
mod focus;
mod hottest;
mod ingest;
mod log;
mod matcher;
mod memory;
mod postgres;
mod range;
mod ranking;
mod retain;
mod rollup;
mod row;
mod schema;
mod second_level;
mod sql;
mod sqlite;
mod trace;
mod traffic;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sea_orm::DatabaseConnection;
use sluice_contract::calls::{Call, CallBatch};
use sluice_contract::ids::{ApiId, ApplicationId, CallId, EnvironmentId, GatewayId, PlanId, TenantId};
use sluice_contract::rest::calls::CallFilter;
use sluice_contract::rest::page::Page;
use sluice_contract::rollup::Counts;

use crate::connection::DatabaseUrl;
use crate::error::Result;
use dialect::Dialect;

pub use cache::{CacheGroup, CacheTraffic};
pub use hottest::Hottest;
pub use matcher::Matcher;
pub use memory::{Held, Memory, MemorySample};
pub use second_level::{SecondLevelSample, SecondLevelSeries};
pub use trace::{TracePage, TraceQuery, TracedCall};

/// The store of calls and rollups.
#[async_trait]
pub trait Telemetry: Send + Sync {
    /// Stores calls, rollups and the watermark of `(gateway, boot)` in one transaction. A batch that is not newer than
    /// the watermark is a repetition and changes nothing.
    async fn store_batch(
        &self,
        gateway: GatewayId,
        environment: EnvironmentId,
        batch: &CallBatch,
    ) -> Result<Stored>;

    /// Calls of a tenant, newest first. Pages neither skip nor repeat a call while others arrive.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a filter or cursor that cannot be read.
    async fn calls(
        &self,
        tenant: TenantId,
        filter: &CallFilter,
        limit: u32,
        after: Option<&str>,
    ) -> Result<Page<StoredCall>>;

    /// One call of a tenant.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] when there is none, or it is another tenant's.
    async fn call(&self, tenant: TenantId, call: CallId) -> Result<StoredCall>;

    /// The URLs of an API that were asked for most with GET and answered with 2xx, as clients sent their paths and queries: those
    /// that passed the cache first. The newest [`hottest::LOOKED_AT`] calls are looked at.
    async fn hottest(&self, tenant: TenantId, wanted: &Hottest) -> Result<Vec<(String, Option<String>)>>;

    /// Traffic of a tenant over a time range, from rollups only.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a combination of filters that no cube holds.
    async fn traffic(&self, tenant: TenantId, query: &TrafficQuery) -> Result<Traffic>;

    /// What the cache did over a time range, from rollups only: by route where the query names an API, by API otherwise.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for an application: its cube does not tell outcomes apart.
    async fn cache(&self, tenant: TenantId, query: &TrafficQuery) -> Result<CacheTraffic>;

    /// A page of the `GET` calls of an API that are kept, the newest first.
    async fn trace(&self, tenant: TenantId, query: &TraceQuery) -> Result<TracePage>;

    /// What APIs of a tenant, or a route of them, held of the caches of all gateways over a time range.
    async fn memory(&self, tenant: TenantId, query: &TrafficQuery) -> Result<Memory>;

    /// Notes what APIs and routes hold of caches now.
    async fn note_memory(&self, samples: &[MemorySample]) -> Result<()>;

    /// How a gateway did with the second level of its cache over a time range.
    async fn second_level(&self, gateway: GatewayId, query: &TrafficQuery) -> Result<SecondLevelSeries>;

    /// Notes how gateways do with it now.
    async fn note_second_level(&self, samples: &[SecondLevelSample]) -> Result<()>;

    /// Calls that this gateway dropped because its spool was full, over all its boots.
    async fn dropped(&self, gateway: GatewayId) -> Result<u64>;

    /// Folds rollups that arrived since the last time into their minutes, hours and days. Returns how many batches it
    /// folded; call again until that is zero.
    async fn compact(&self) -> Result<usize>;

    /// Removes what is older than it must be kept.
    async fn retain(&self, retention: &Retention) -> Result<Removed>;

    /// Whether other processes may store calls, so that those stored here are not all.
    fn is_shared(&self) -> bool;
}

/// Opens the telemetry store that belongs to this management database, and brings its schema up to date.
///
/// # Errors
/// When the database cannot be opened, reached or migrated.
pub async fn open(url: &DatabaseUrl) -> Result<Arc<dyn Telemetry>> {
    Ok(match url {
        DatabaseUrl::Sqlite(path) => Arc::new(sqlite::open(&path.with_file_name("calls.db")).await?),
        DatabaseUrl::Postgres(url) => Arc::new(postgres::open(url).await?),
    })
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The newest sequence stored of the batch's boot.
    pub sequence: u64,
    /// False when the batch was a repetition.
    pub fresh: bool,
}

/// A call and the gateway that served it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredCall {
    pub call: Call,
    pub gateway: GatewayId,
}

/// Which traffic, over which time, in which steps.
#[derive(Clone, Debug, PartialEq)]
pub struct TrafficQuery {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    /// How many points at most.
    pub points: u32,
    pub api: Option<ApiId>,
    pub route: Option<String>,
    pub application: Option<ApplicationId>,
}

/// Traffic over a time range. The rankings hold at most ten rows, busiest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Traffic {
    /// Start of the first point.
    pub from: DateTime<Utc>,
    /// End of the last point.
    pub to: DateTime<Utc>,
    pub step_minutes: u32,
    /// One for each step, without gaps.
    pub points: Vec<(DateTime<Utc>, Counts)>,
    pub apis: Vec<(ApiId, Counts)>,
    /// A route id means something within its API only.
    pub routes: Vec<(ApiId, String, Counts)>,
    pub applications: Vec<(ApplicationId, Counts)>,
    pub plans: Vec<(PlanId, Counts)>,
    /// By address, over all gateways.
    pub targets: Vec<(String, Counts)>,
}

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    pub now: DateTime<Utc>,
    pub call_days: u32,
    pub rollup_days: u32,
}

/// What [`Telemetry::retain`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Raw calls; on Postgres an estimate, because whole days are dropped.
    pub calls: u64,
    /// Cells of rollups.
    pub rollups: u64,
}

/// Both stores: the same queries, with the dialect's differences.
struct SqlTelemetry<D> {
    /// Reads take a snapshot and never wait for the writer.
    reads: DatabaseConnection,
    writes: DatabaseConnection,
    dialect: D,
}

#[async_trait]
impl<D: Dialect> Telemetry for SqlTelemetry<D> {
    async fn store_batch(
        &self,
        gateway: GatewayId,
        environment: EnvironmentId,
        batch: &CallBatch,
    ) -> Result<Stored> {
        ingest::store_batch(&self.writes, &self.dialect, gateway, environment, batch).await
    }

    async fn calls(
        &self,
        tenant: TenantId,
        filter: &CallFilter,
        limit: u32,
        after: Option<&str>,
    ) -> Result<Page<StoredCall>> {
        log::page(&self.reads, tenant, filter, limit, after).await
    }

    async fn call(&self, tenant: TenantId, call: CallId) -> Result<StoredCall> {
        log::find(&self.reads, tenant, call).await
    }

    async fn hottest(&self, tenant: TenantId, wanted: &Hottest) -> Result<Vec<(String, Option<String>)>> {
        hottest::hottest(&self.reads, D::QUERY, tenant, wanted).await
    }

    async fn traffic(&self, tenant: TenantId, query: &TrafficQuery) -> Result<Traffic> {
        traffic::read(&self.reads, tenant, query, Utc::now()).await
    }

    async fn cache(&self, tenant: TenantId, query: &TrafficQuery) -> Result<CacheTraffic> {
        cache::read(&self.reads, tenant, query, Utc::now()).await
    }

    async fn trace(&self, tenant: TenantId, query: &TraceQuery) -> Result<TracePage> {
        trace::read(&self.reads, tenant, query).await
    }

    async fn memory(&self, tenant: TenantId, query: &TrafficQuery) -> Result<Memory> {
        memory::read(&self.reads, tenant, query, Utc::now()).await
    }

    async fn note_memory(&self, samples: &[MemorySample]) -> Result<()> {
        memory::note::<D>(&self.writes, samples).await
    }

    async fn second_level(&self, gateway: GatewayId, query: &TrafficQuery) -> Result<SecondLevelSeries> {
        second_level::read(&self.reads, gateway, query, Utc::now()).await
    }

    async fn note_second_level(&self, samples: &[SecondLevelSample]) -> Result<()> {
        second_level::note::<D>(&self.writes, samples).await
    }

    async fn dropped(&self, gateway: GatewayId) -> Result<u64> {
        ingest::dropped(&self.reads, gateway).await
    }

    async fn compact(&self) -> Result<usize> {
        compact::compact(&self.writes, &self.dialect).await
    }

    async fn retain(&self, retention: &Retention) -> Result<Removed> {
        retain::retain(&self.writes, &self.dialect, retention).await
    }

    fn is_shared(&self) -> bool {
        self.dialect.is_shared()
    }
}
