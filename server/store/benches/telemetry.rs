//! How long batches, pages of the call log and dashboards take: `cargo bench -p sluice-store`.
//!
//! On SQLite, and on Postgres where `SLUICE_TEST_POSTGRES` names a server. Prints medians; nothing here passes or
//! fails. `SLUICE_BENCH_CALLS` says how many raw calls to fill in first, 500,000 unless given.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on ends")]
#![expect(
    clippy::disallowed_methods,
    reason = "where the Postgres is, and how much to measure, is no setting of Sluice"
)]

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, Database};
use sluice_contract::calls::{CacheOutcome, CacheSigns, Call, CallBatch, StageTime};
use sluice_contract::ids::{ApiId, ApplicationId, BootId, CallId, EnvironmentId, GatewayId, TenantId};
use sluice_contract::rest::calls::CallFilter;
use sluice_contract::rollup::{Cell, Counts, Measure, RollupDelta};
use sluice_store::DatabaseUrl;
use sluice_store::telemetry::{self, Telemetry, TrafficQuery};
use uuid::Uuid;

const APIS: usize = 20;
const ROUTES: usize = 10;
const APPLICATIONS: usize = 50;
/// Calls in each hour of each route: 30 days of all routes are 50 million.
const CALLS_AN_HOUR: u64 = 348;

#[tokio::main]
async fn main() {
    // `cargo test --all-targets` starts it too, without this.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    println!("SQLite");
    measure(&DatabaseUrl::Sqlite(directory.path().join("bench.db"))).await;
    let Ok(server) = std::env::var("SLUICE_TEST_POSTGRES") else { return };
    let name = format!("bench_{}", Uuid::now_v7().simple());
    let admin = Database::connect(&server).await.unwrap();
    admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
    let (base, _) = server.rsplit_once('/').unwrap();
    println!("\nPostgres");
    measure(&DatabaseUrl::Postgres(format!("{base}/{name}"))).await;
    admin.execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
}

struct World {
    tenant: TenantId,
    apis: Vec<ApiId>,
    applications: Vec<ApplicationId>,
    now: DateTime<Utc>,
}

async fn measure(url: &DatabaseUrl) {
    let telemetry = telemetry::open(url).await.unwrap();
    let world = World {
        tenant: TenantId::generate(),
        apis: (0..APIS).map(|_| ApiId::generate()).collect(),
        applications: (0..APPLICATIONS).map(|_| ApplicationId::generate()).collect(),
        now: Utc::now(),
    };
    ingest(&*telemetry, &world).await;
    rollups(&*telemetry, &world).await;
    dashboards(&*telemetry, &world).await;
    pages(&*telemetry, &world).await;
}

fn call(world: &World, i: usize, of: usize) -> Call {
    let back = TimeDelta::days(30) * i32::try_from(of - i).unwrap() / i32::try_from(of).unwrap();
    Call {
        id: CallId::generate(),
        at: world.now - back,
        tenant: Some(world.tenant),
        api: Some(world.apis[i % APIS]),
        route: Some(format!("route{}", i * 7 % ROUTES)),
        method: ["GET", "POST", "PUT"][i % 3].into(),
        host: "api.example.com".into(),
        path: format!("/acme/shop/orders/{i}"),
        query: None,
        // One in 5,000 fails.
        status: if i.is_multiple_of(5_000) { 502 } else { 200 },
        error: None,
        error_source: None,
        application: Some(world.applications[i % APPLICATIONS]),
        credential: None,
        subscription: None,
        plan: None,
        cache: if i.is_multiple_of(3) { CacheOutcome::Hit } else { CacheOutcome::Miss },
        signs: CacheSigns::default(),
        second_level: None,
        target: Some("http://10.0.0.7:8080".into()),
        duration_us: (i as u64 * 7_919) % 90_000 + if i.is_multiple_of(20_000) { 2_000_000 } else { 0 },
        upstream_us: Some(800),
        bytes_in: 0,
        bytes_out: 1_024,
        client_ip: "192.0.2.1".into(),
        user_agent: Some("curl/8.5.0".into()),
        request_id: Uuid::now_v7().to_string(),
        trace_id: None,
        stages: vec![StageTime { stage: "upstream".into(), start_us: 90, took_us: 800 }],
    }
}

/// 20,000 calls at once, then the rest of the log in batches of 4,000.
async fn ingest(telemetry: &dyn Telemetry, world: &World) {
    let of = std::env::var("SLUICE_BENCH_CALLS").map_or(500_000, |calls| calls.parse().unwrap());
    let (gateway, boot) = (GatewayId::generate(), BootId::generate());
    let mut begun = 0;
    let mut sequence = 0;
    let mut took = Vec::new();
    while begun < of {
        let size = if sequence == 0 { 20_000 } else { 4_000 }.min(of - begun);
        let calls = (begun..begun + size).map(|i| call(world, i, of)).collect();
        (begun, sequence) = (begun + size, sequence + 1);
        let batch = CallBatch { boot, sequence, calls, rollups: vec![], dropped: 0 };
        let start = Instant::now();
        telemetry.store_batch(gateway, EnvironmentId::generate(), &batch).await.unwrap();
        took.push(start.elapsed());
    }
    println!("  store 20,000 calls in one batch          {:>10.1?}", took.remove(0));
    println!("  store 4,000 calls, in a log of {of:>9}  {:>10.1?}", median(&mut took));
}

/// 30 days of rollups, an hour in a batch.
async fn rollups(telemetry: &dyn Telemetry, world: &World) {
    let (gateway, boot) = (GatewayId::generate(), BootId::generate());
    let start = Instant::now();
    for hour in 0..720_u32 {
        let at = world.now - TimeDelta::hours(i64::from(720 - hour));
        let minute = u32::try_from(at.timestamp() / 60).unwrap();
        let rollups = deltas(world, minute);
        let batch = CallBatch { boot, sequence: u64::from(hour) + 1, calls: vec![], rollups, dropped: 0 };
        telemetry.store_batch(gateway, EnvironmentId::generate(), &batch).await.unwrap();
        while telemetry.compact().await.unwrap() > 0 {}
    }
    println!("  store and compact 30 days of rollups     {:>10.1?}", start.elapsed());
}

fn deltas(world: &World, minute: u32) -> Vec<RollupDelta> {
    let mut deltas = Vec::new();
    for (i, api) in world.apis.iter().enumerate() {
        for route in 0..ROUTES {
            let cell = Cell::Traffic {
                tenant: Some(world.tenant),
                api: Some(*api),
                route: Some(format!("route{route}")),
                status: 200,
                cache: CacheOutcome::Miss,
            };
            deltas.push(RollupDelta { minute, cell, counts: counts(u64::from(minute) + (i * route) as u64) });
        }
        for application in world.applications.iter().skip(i % 5).step_by(5) {
            let cell = Cell::Consumer {
                tenant: world.tenant,
                application: *application,
                plan: None,
                api: *api,
                failed: false,
            };
            deltas.push(RollupDelta { minute, cell, counts: counts(u64::from(minute) + i as u64) });
        }
    }
    deltas
}

fn counts(seed: u64) -> Counts {
    let mut counts = Counts::default();
    for i in 0..CALLS_AN_HOUR {
        let duration_us = 300 + (seed * 31 + i * i * 7_919) % 40_000;
        let status = if i.is_multiple_of(100) { 404 } else { 200 };
        let (cache, upstream_us) = (CacheOutcome::Miss, Some(duration_us / 2));
        counts.record(&Measure {
            status,
            cache,
            bytes_in: 10,
            bytes_out: 900,
            duration_us,
            upstream_us,
            second_level: None,
        });
    }
    counts
}

async fn dashboards(telemetry: &dyn Telemetry, world: &World) {
    let days = |days| TrafficQuery {
        from: world.now - TimeDelta::days(days),
        to: world.now,
        points: 120,
        api: None,
        route: None,
        application: None,
    };
    let api = Some(world.apis[3]);
    let cases = [
        ("dashboard of 30 days, everything", days(30)),
        ("dashboard of 30 days, one API", TrafficQuery { api, ..days(30) }),
        ("dashboard of 30 days, one route", TrafficQuery { api, route: Some("route3".into()), ..days(30) }),
        (
            "dashboard of 30 days, one application",
            TrafficQuery { application: Some(world.applications[4]), ..days(30) },
        ),
        ("dashboard of 1 day, everything", days(1)),
    ];
    for (name, query) in cases {
        let calls: u64 = telemetry
            .traffic(world.tenant, &query)
            .await
            .unwrap()
            .points
            .iter()
            .map(|(_, counts)| counts.calls)
            .sum();
        let mut took = Vec::new();
        for _ in 0..15 {
            let start = Instant::now();
            telemetry.traffic(world.tenant, &query).await.unwrap();
            took.push(start.elapsed());
        }
        println!("  {name:<40} {:>10.1?}   ({calls} calls)", median(&mut took));
    }
}

async fn pages(telemetry: &dyn Telemetry, world: &World) {
    let f = CallFilter::default;
    let text = |text: &str| Some(text.to_owned());
    let cases = [
        ("no filter", f()),
        ("api", CallFilter { api: Some(world.apis[3]), ..f() }),
        (
            "api, from, to",
            CallFilter {
                api: Some(world.apis[3]),
                from: Some(world.now - TimeDelta::days(20)),
                to: Some(world.now - TimeDelta::days(19)),
                ..f()
            },
        ),
        ("route", CallFilter { route: text("route3"), ..f() }),
        ("application", CallFilter { application: Some(world.applications[9]), ..f() }),
        ("a gateway that has none", CallFilter { gateway: Some(GatewayId::generate()), ..f() }),
        ("method", CallFilter { method: text("PUT"), ..f() }),
        ("a method that none has", CallFilter { method: text("PATCH"), ..f() }),
        ("status 502", CallFilter { status: text("502"), ..f() }),
        ("status 5xx", CallFilter { status: text("5xx"), ..f() }),
        ("status 2xx", CallFilter { status: text("2xx"), ..f() }),
        ("a status that none has", CallFilter { status: text("418"), ..f() }),
        ("cache", CallFilter { cache: Some(CacheOutcome::Hit), ..f() }),
        ("path of all", CallFilter { path: text("/acme/"), ..f() }),
        ("path of one", CallFilter { path: text("/acme/shop/orders/123456"), ..f() }),
        ("path of none", CallFilter { path: text("/nothing"), ..f() }),
        ("request id", CallFilter { request_id: text("no-such-request"), ..f() }),
        ("at least 2 s", CallFilter { min_duration_us: Some(2_000_000), ..f() }),
        ("at least 80 ms", CallFilter { min_duration_us: Some(80_000), ..f() }),
    ];
    for (name, filter) in cases {
        let found = telemetry.calls(world.tenant, &filter, 50, None).await.unwrap().items.len();
        let mut took = Vec::new();
        for _ in 0..15 {
            let start = Instant::now();
            telemetry.calls(world.tenant, &filter, 50, None).await.unwrap();
            took.push(start.elapsed());
        }
        println!("  page of calls, {name:<25} {:>10.1?}   ({found} rows)", median(&mut took));
    }
}

fn median(took: &mut [Duration]) -> Duration {
    took.sort_unstable();
    took.get(took.len() / 2).copied().unwrap_or_default()
}
