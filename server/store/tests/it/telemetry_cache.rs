//! What the cache did, and what it held: what is told is what the calls and the gateways said.

use std::collections::BTreeMap;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use sea_orm::{ConnectOptions, ConnectionTrait, Database};
use sluice_contract::calls::{CacheOutcome, Call, SecondLevelAnswer, SecondLevelAsked};
use sluice_contract::ids::{ApiId, ApplicationId, BootId, GatewayId, TenantId};
use sluice_contract::link::CacheEvictions;
use sluice_contract::rest::second_level::SecondLevelDid;
use sluice_contract::rollup::{OutcomeCounts, SecondLevelCounts};
use sluice_store::telemetry::{
    self, Held, MemorySample, Retention, SecondLevelSample, Telemetry, TrafficQuery,
};
use sluice_store::{DatabaseUrl, Error};

use crate::databases::on_each;
use crate::telemetry::{now, on_each_database};
use crate::telemetry_traffic::{World, last, send, world};

type Outcomes = BTreeMap<CacheOutcome, OutcomeCounts>;

fn sum<'a>(calls: impl Iterator<Item = &'a Call>) -> Outcomes {
    let mut sums = Outcomes::new();
    for call in calls {
        let (bytes_out, upstream_us) = (call.bytes_out, call.upstream_us.unwrap_or_default());
        let mut second_level = SecondLevelCounts::default();
        if let Some(SecondLevelAsked { answer, took_us }) = call.second_level {
            let is = |one| u64::from(answer == one);
            let (found, failed) = (is(SecondLevelAnswer::Found), is(SecondLevelAnswer::Failed));
            second_level = SecondLevelCounts { asked: 1, found, failed, took_us };
        }
        let counts = OutcomeCounts { calls: 1, bytes_out, upstream_us, second_level };
        sums.entry(call.cache).or_default().merge(&counts);
    }
    sums
}

/// Compares one answer with what the calls themselves say.
async fn check(telemetry: &dyn Telemetry, world: &World, query: &TrafficQuery) {
    let found = telemetry.cache(world.tenant, query).await.unwrap();
    let by_route = query.api.is_some() || query.route.is_some();
    let step = TimeDelta::minutes(found.step_minutes.into());
    let is_asked = |call: &&Call| {
        (found.from..found.to).contains(&call.at)
            && query.api.is_none_or(|api| call.api == Some(api))
            && query.route.as_ref().is_none_or(|route| call.route.as_ref() == Some(route))
    };
    let names = |call: &Call| (call.api, if by_route { call.route.clone() } else { None });
    let mut wanted: BTreeMap<_, BTreeMap<usize, Vec<&Call>>> = BTreeMap::new();
    for call in world.calls.iter().filter(is_asked) {
        let index = found.points.iter().position(|at| call.at >= *at && call.at < *at + step).unwrap();
        wanted.entry(names(call)).or_default().entry(index).or_default().push(call);
    }
    let wanted: BTreeMap<_, BTreeMap<usize, Outcomes>> = wanted
        .into_iter()
        .map(|(names, points)| {
            (names, points.into_iter().map(|(i, calls)| (i, sum(calls.into_iter()))).collect())
        })
        .collect();
    assert!(!wanted.is_empty());
    let found: BTreeMap<_, _> =
        found.groups.into_iter().map(|group| ((group.api, group.route), group.points)).collect();
    assert_eq!(found, wanted, "{query:?}");
}

#[tokio::test]
async fn what_the_cache_did_is_exact_for_apis_and_routes_before_and_after_compaction() {
    on_each_database(async |telemetry| {
        let world = world(100, now());
        for calls in world.calls.chunks(2) {
            send(&*telemetry, calls).await;
        }
        assert!(telemetry.compact().await.unwrap() > 0);
        for _ in 0..2 {
            for days in [2, 90] {
                let query = last(TimeDelta::days(days));
                let (api, route) = (Some(world.apis[4]), Some("r1".to_owned()));
                check(&*telemetry, &world, &query).await;
                check(&*telemetry, &world, &TrafficQuery { api, ..query.clone() }).await;
                check(&*telemetry, &world, &TrafficQuery { api, route, ..query }).await;
            }
            while telemetry.compact().await.unwrap() > 0 {}
        }
    })
    .await;
}

#[tokio::test]
async fn what_the_cache_did_is_not_known_by_application() {
    on_each_database(async |telemetry| {
        let query =
            TrafficQuery { application: Some(ApplicationId::generate()), ..last(TimeDelta::hours(1)) };
        let refused = telemetry.cache(TenantId::generate(), &query).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid(fields) if fields[0].pointer == "application"));
    })
    .await;
}

fn purged(purged: u64) -> CacheEvictions {
    CacheEvictions { purged, ..CacheEvictions::default() }
}

struct Noted {
    start: DateTime<Utc>,
    sample: MemorySample,
}

impl Noted {
    /// Gateways start at the beginning of an hour, so that buckets are known.
    fn new(start: DateTime<Utc>) -> Self {
        let sample = MemorySample {
            at: start,
            gateway: GatewayId::generate(),
            boot: BootId::generate(),
            tenant: TenantId::generate(),
            api: ApiId::generate(),
            route: None,
            entries: 0,
            bytes: 0,
            evictions: CacheEvictions::default(),
        };
        Self { start, sample }
    }

    fn at(&self, minutes: i64, bytes: u64, left: u64) -> MemorySample {
        let at = self.start + TimeDelta::minutes(minutes);
        MemorySample { at, entries: bytes / 10, bytes, evictions: purged(left), ..self.sample.clone() }
    }
}

#[tokio::test]
async fn what_was_held_is_the_newest_of_each_step_over_gateways_and_what_left_counts_once() {
    on_each_database(async |telemetry| {
        let start = now().duration_trunc(TimeDelta::hours(1)).unwrap() - TimeDelta::hours(3);
        let one = Noted::new(start);
        let restarted =
            Noted { start, sample: MemorySample { boot: BootId::generate(), ..one.sample.clone() } };
        let two =
            Noted { start, sample: MemorySample { gateway: GatewayId::generate(), ..one.sample.clone() } };
        let other_api =
            Noted { start, sample: MemorySample { api: ApiId::generate(), ..one.sample.clone() } };
        let other_tenant = Noted::new(start);
        telemetry.note_memory(&[one.at(-10, 70, 2), other_tenant.at(0, 9_999, 9)]).await.unwrap();
        telemetry.note_memory(&[one.at(0, 100, 3), two.at(2, 1_000, 1)]).await.unwrap();
        telemetry.note_memory(&[one.at(4, 200, 5), other_api.at(4, 5_000, 7)]).await.unwrap();
        telemetry.note_memory(&[restarted.at(11, 30, 4)]).await.unwrap();

        let query =
            TrafficQuery { from: start, to: start + TimeDelta::minutes(20), ..last(TimeDelta::hours(1)) };
        let of_api = TrafficQuery { api: Some(one.sample.api), ..query.clone() };
        let (tenant, at) = (one.sample.tenant, |minutes| start + TimeDelta::minutes(minutes));
        let held = |bytes: u64, left| Held { held: Some((bytes / 10, bytes)), left: purged(left) };
        let memory = telemetry.memory(tenant, &of_api).await.unwrap();
        assert_eq!(memory.step_minutes, 5);
        // Of the first gateway 5 - 2 left, of the second 1; then the first started anew.
        let wanted = [
            (at(0), held(1_200, 4)),
            (at(5), Held::default()),
            (at(10), held(30, 4)),
            (at(15), Held::default()),
        ];
        assert_eq!(memory.points, wanted);
        let all = telemetry.memory(tenant, &query).await.unwrap();
        assert_eq!(all.points[0].1, held(6_200, 11), "all APIs of the tenant, and no other's");

        let days =
            TrafficQuery { from: start - TimeDelta::days(20), to: start + TimeDelta::hours(1), ..of_api };
        let hours = telemetry.memory(tenant, &days).await.unwrap();
        let last = hours.points.iter().rev().find(|(_, held)| held.held.is_some()).unwrap();
        assert_eq!(last.1.held, Some((103, 1_030)), "{hours:?}");
    })
    .await;
}

#[tokio::test]
async fn what_a_route_held_is_known_by_itself_and_counts_for_no_api_twice() {
    on_each_database(async |telemetry| {
        let start = now().duration_trunc(TimeDelta::hours(1)).unwrap() - TimeDelta::hours(3);
        let api = Noted::new(start);
        let of = |route: &str| Noted {
            start,
            sample: MemorySample { route: Some(route.to_owned()), ..api.sample.clone() },
        };
        let (prices, stock) = (of("prices"), of("stock"));
        telemetry.note_memory(&[api.at(1, 900, 3), prices.at(1, 600, 1), stock.at(1, 200, 2)]).await.unwrap();
        telemetry.note_memory(&[api.at(6, 700, 7), prices.at(6, 400, 5)]).await.unwrap();
        let seen = async |route: Option<&str>| {
            let query = TrafficQuery {
                from: start,
                to: start + TimeDelta::minutes(10),
                api: Some(api.sample.api),
                route: route.map(str::to_owned),
                ..last(TimeDelta::hours(1))
            };
            let memory = telemetry.memory(api.sample.tenant, &query).await.unwrap();
            memory.points.into_iter().map(|(_, held)| held).collect::<Vec<_>>()
        };
        let held = |bytes: u64, left| Held { held: Some((bytes / 10, bytes)), left: purged(left) };
        assert_eq!(seen(None).await, [held(900, 3), held(700, 4)]);
        assert_eq!(seen(Some("prices")).await, [held(600, 1), held(400, 4)]);
        assert_eq!(seen(Some("stock")).await, [held(200, 2), Held::default()]);
        assert_eq!(seen(Some("other")).await, [Held::default(), Held::default()]);
    })
    .await;
}

#[tokio::test]
async fn what_was_noted_before_routes_were_is_still_known() {
    on_each(|store| async move {
        let start = now().duration_trunc(TimeDelta::hours(1)).unwrap() - TimeDelta::hours(3);
        let old = Noted::new(start);
        make_older(store.url(), &old.at(1, 900, 3)).await;

        let telemetry = telemetry::open(store.url()).await.unwrap();
        let of = |route: &str| MemorySample { route: Some(route.to_owned()), ..old.at(6, 400, 1) };
        telemetry.note_memory(&[old.at(6, 700, 7), of("prices")]).await.unwrap();
        let seen = async |route: Option<&str>| {
            let route = route.map(str::to_owned);
            let to = start + TimeDelta::minutes(10);
            let query = TrafficQuery { from: start, to, route, ..last(TimeDelta::hours(1)) };
            let memory = telemetry.memory(old.sample.tenant, &query).await.unwrap();
            memory.points.into_iter().map(|(_, held)| held).collect::<Vec<_>>()
        };
        let held = |bytes: u64, left| Held { held: Some((bytes / 10, bytes)), left: purged(left) };
        assert_eq!(seen(None).await, [held(900, 3), held(700, 4)]);
        assert_eq!(seen(Some("prices")).await, [Held::default(), held(400, 1)]);
        let now = start + TimeDelta::days(9);
        let removed = telemetry.retain(&Retention { now, call_days: 1, rollup_days: 400 }).await.unwrap();
        assert_eq!(removed.rollups, 3, "all that was noted of five minutes, of routes and before");
    })
    .await;
}

/// A telemetry store as it was before routes were noted, with this in it.
async fn make_older(url: &DatabaseUrl, sample: &MemorySample) {
    let (url, schema, blob) = match url {
        DatabaseUrl::Sqlite(path) => {
            let url = format!("sqlite:{}?mode=rwc", path.with_file_name("calls.db").display());
            let schema = concat!(
                include_str!("../../src/telemetry/sqlite.sql"),
                include_str!("../../src/telemetry/sqlite.memory.sql"),
                include_str!("../../src/telemetry/sqlite.second_level.sql"),
            );
            (url, schema, "X")
        }
        DatabaseUrl::Postgres(url) => {
            let schema = concat!(
                "CREATE SCHEMA telemetry;",
                include_str!("../../src/telemetry/postgres.sql"),
                include_str!("../../src/telemetry/postgres.memory.sql"),
                include_str!("../../src/telemetry/postgres.second_level.sql"),
            );
            (url.clone(), schema, "")
        }
    };
    let mut options = ConnectOptions::new(url);
    let db = Database::connect(options.set_schema_search_path("telemetry").to_owned()).await.unwrap();
    let versions = "CREATE TABLE schema_version (version BIGINT NOT NULL); INSERT INTO schema_version VALUES (1), (2), (3)";
    for change in [schema, versions] {
        db.execute_unprepared(change).await.unwrap();
    }
    let MemorySample { at, gateway, boot, tenant, api, route: _, entries, bytes, evictions } = sample;
    let [tenant, api, gateway, boot] =
        [tenant.0, api.0, gateway.0, boot.0].map(|id| format!("{blob}'{}'", id.simple()));
    let evictions = serde_json::to_string(evictions).unwrap();
    let bucket = at.duration_trunc(TimeDelta::minutes(5)).unwrap().timestamp() / 60;
    let insert = format!(
        "INSERT INTO cache_memory (tenant, step, api, gateway, bucket, boot, entries, bytes, evictions) \
         VALUES ({tenant}, 5, {api}, {gateway}, {bucket}, {boot}, {entries}, {bytes}, '{evictions}')"
    );
    db.execute_unprepared(&insert).await.unwrap();
    db.close().await.unwrap();
}

#[tokio::test]
async fn what_was_held_long_ago_is_forgotten() {
    on_each_database(async |telemetry| {
        let now = now();
        let (old, new) = (Noted::new(now - TimeDelta::days(102)), Noted::new(now - TimeDelta::days(90)));
        telemetry.note_memory(&[old.at(0, 10, 0), new.at(0, 10, 0)]).await.unwrap();
        let removed =
            telemetry.retain(&Retention { now, call_days: 1, rollup_days: 400 }).await.unwrap().rollups;
        assert_eq!(removed, 3, "both buckets of the old one, and the short one of the newer");
        let query = last(TimeDelta::days(95));
        let found = telemetry.memory(new.sample.tenant, &query).await.unwrap();
        assert!(found.points.iter().any(|(_, held)| held.held == Some((1, 10))));
    })
    .await;
}

#[tokio::test]
async fn what_a_second_level_did_is_counted_step_by_step_through_every_life_of_its_gateway() {
    on_each_database(async |telemetry| {
        let start = now().duration_trunc(TimeDelta::hours(1)).unwrap() - TimeDelta::hours(3);
        let (gateway, life, next) = (GatewayId::generate(), BootId::generate(), BootId::generate());
        let at = |minutes| start + TimeDelta::minutes(minutes);
        let sample =
            |gateway, boot, minutes, figures| SecondLevelSample { at: at(minutes), gateway, boot, figures };
        for sample in [
            sample(gateway, life, -10, did(10, 1, 0)),
            sample(gateway, life, 1, did(11, 1, 0)),
            // What tripped and came back between two samples is known all the same.
            sample(gateway, life, 4, did(15, 3, 2_000)),
            sample(gateway, life, 5, did(15, 9, 62_000)),
            // It starts anew within a step, which has what was counted in both lives.
            sample(gateway, next, 7, did(7, 0, 0)),
            sample(gateway, next, 11, did(8, 0, 0)),
            sample(GatewayId::generate(), life, 4, did(900, 0, 900)),
        ] {
            telemetry.note_second_level(&[sample]).await.unwrap();
        }
        let query =
            TrafficQuery { from: start, to: start + TimeDelta::minutes(20), ..last(TimeDelta::hours(1)) };
        let series = telemetry.second_level(gateway, &query).await.unwrap();
        assert_eq!(series.step_minutes, 5);
        let wanted = [
            (at(0), Some(did(5, 2, 2_000))),
            (at(5), Some(did(7, 6, 60_000))),
            (at(10), Some(did(1, 0, 0))),
            (at(15), None),
        ];
        assert_eq!(series.points, wanted);
        let days = TrafficQuery { from: start - TimeDelta::days(20), to: at(60), ..query };
        let hours = telemetry.second_level(gateway, &days).await.unwrap();
        let all = hours.points.iter().filter_map(|(_, did)| *did).reduce(SecondLevelDid::and);
        assert_eq!(all, Some(did(23, 9, 62_000)), "hours forget no life");
    })
    .await;
}

#[tokio::test]
async fn what_a_second_level_did_long_ago_is_forgotten() {
    on_each_database(async |telemetry| {
        let (gateway, boot) = (GatewayId::generate(), BootId::generate());
        for days in [0, 9, 102] {
            let at = now() - TimeDelta::days(days);
            let sample = SecondLevelSample { at, gateway, boot, figures: did(1, 0, 0) };
            telemetry.note_second_level(&[sample]).await.unwrap();
        }
        let retention = Retention { now: now(), call_days: 1, rollup_days: 400 };
        let removed = telemetry.retain(&retention).await.unwrap().rollups;
        assert_eq!(removed, 3, "the minutes of nine days ago, and all of 102 days ago");
    })
    .await;
}

/// With so many hits, twice as many misses, and 100 microseconds for each answer.
fn did(hits: u64, failed: u64, tripped_ms: u64) -> SecondLevelDid {
    SecondLevelDid { hits, misses: 2 * hits, failed, answer_us: 300 * hits, tripped_ms }
}
