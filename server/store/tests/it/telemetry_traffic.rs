//! Dashboards: what rollups say is what the calls would say.

use chrono::{DateTime, TimeDelta, Utc};
use sluice_contract::calls::{CacheOutcome, Call, CallBatch};
use sluice_contract::ids::{ApiId, ApplicationId, BootId, EnvironmentId, GatewayId, PlanId, TenantId};
use sluice_contract::rollup::{Cell, Counts, RollupDelta};
use sluice_store::Error;
use sluice_store::telemetry::{Telemetry, Traffic, TrafficQuery};

use crate::telemetry::{call, delta, measure, now, on_each_database};

/// Calls of a tenant in the last hour, by rollups.
pub async fn calls(telemetry: &dyn Telemetry, tenant: TenantId) -> u64 {
    total(&traffic(telemetry, tenant, &last(TimeDelta::hours(1))).await).calls
}

/// The same over so many days.
pub async fn calls_of_days(telemetry: &dyn Telemetry, tenant: TenantId, days: i64) -> u64 {
    total(&traffic(telemetry, tenant, &last(TimeDelta::days(days))).await).calls
}

pub fn last(time: TimeDelta) -> TrafficQuery {
    let to = now();
    TrafficQuery { from: to - time, to, points: 120, api: None, route: None, application: None }
}

/// What the cache did is read apart: see `telemetry_cache`.
async fn traffic(telemetry: &dyn Telemetry, tenant: TenantId, query: &TrafficQuery) -> Traffic {
    let mut traffic = telemetry.traffic(tenant, query).await.unwrap();
    let Traffic { points, apis, routes, applications, plans, targets, .. } = &mut traffic;
    let all = points.iter_mut().map(|(_, counts)| counts).chain(apis.iter_mut().map(|(_, counts)| counts));
    let all = all.chain(routes.iter_mut().map(|(_, _, counts)| counts));
    let all = all.chain(applications.iter_mut().map(|(_, counts)| counts));
    let all = all.chain(plans.iter_mut().map(|(_, counts)| counts));
    all.chain(targets.iter_mut().map(|(_, counts)| counts)).for_each(|counts| counts.outcomes.clear());
    traffic
}

fn total(traffic: &Traffic) -> Counts {
    let mut total = Counts::default();
    traffic.points.iter().for_each(|(_, counts)| total.merge(counts));
    total
}

/// What a gateway counts for a call: its traffic and, when it is known who calls, the consumer.
fn deltas(call: &Call) -> Vec<RollupDelta> {
    let traffic = delta(call);
    let consumer = call.application.map(|application| RollupDelta {
        minute: traffic.minute,
        counts: traffic.counts.clone(),
        cell: Cell::Consumer {
            tenant: call.tenant.unwrap(),
            application,
            plan: call.plan,
            api: call.api.unwrap(),
            failed: call.status >= 500,
        },
    });
    let target = RollupDelta {
        minute: traffic.minute,
        counts: traffic.counts.clone(),
        cell: Cell::Target {
            tenant: call.tenant.unwrap(),
            api: call.api.unwrap(),
            target: "http://127.0.0.1:9000".into(),
            failed: call.status >= 500,
        },
    };
    [Some(traffic), consumer, Some(target)].into_iter().flatten().collect()
}

/// Rollups only, as when raw calls are not sampled.
pub async fn send(telemetry: &dyn Telemetry, calls: &[Call]) {
    let rollups = calls.iter().flat_map(deltas).collect();
    let batch = CallBatch { boot: BootId::generate(), sequence: 1, calls: vec![], rollups, dropped: 0 };
    telemetry.store_batch(GatewayId::generate(), EnvironmentId::generate(), &batch).await.unwrap();
}

pub struct World {
    pub tenant: TenantId,
    pub apis: Vec<ApiId>,
    pub applications: Vec<ApplicationId>,
    pub calls: Vec<Call>,
}

/// Calls over `days` until now, of 12 APIs with 3 routes and 4 applications.
pub fn world(days: i64, now: DateTime<Utc>) -> World {
    let tenant = TenantId::generate();
    let apis: Vec<_> = (0..12).map(|_| ApiId::generate()).collect();
    let applications: Vec<_> = (0..4).map(|_| ApplicationId::generate()).collect();
    let plan = PlanId::generate();
    let calls = (0..600_usize)
        .map(|i| {
            let mut call = call(tenant, now - TimeDelta::seconds(days * 86_400 * i as i64 / 600));
            // Squares: some APIs are busier than others.
            call.api = Some(apis[i * i % 77 % 12]);
            call.route = Some(format!("r{}", i % 3));
            call.application = (i % 5 != 0).then(|| applications[i * i % 13 % 4]);
            call.plan = Some(plan);
            call.status = [200, 200, 200, 404, 500, 429][i % 6];
            call.cache = CacheOutcome::ALL[i % 11];
            call.duration_us = (i as u64 * 7_919) % 90_000;
            call
        })
        .collect();
    World { tenant, apis, applications, calls }
}

fn sum<'a>(calls: impl Iterator<Item = &'a Call>) -> Counts {
    let mut counts = Counts::default();
    calls.for_each(|call| counts.record(&measure(call)));
    counts
}

/// The ten busiest, by hand.
fn top<'a, T: Ord + Clone>(calls: &[&'a Call], key: impl Fn(&'a Call) -> Option<T>) -> Vec<(T, Counts)> {
    let mut keys: Vec<_> = calls.iter().filter_map(|call| key(call)).collect();
    keys.sort();
    keys.dedup();
    let of = |wanted: &T| sum(calls.iter().copied().filter(|call| key(call).as_ref() == Some(wanted)));
    let mut rows: Vec<_> = keys.iter().map(|wanted| (wanted.clone(), of(wanted))).collect();
    rows.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.calls));
    rows.truncate(10);
    rows
}

/// Compares one answer with what the calls themselves say.
async fn check(telemetry: &dyn Telemetry, world: &World, query: &TrafficQuery) {
    let found = traffic(telemetry, world.tenant, query).await;
    let TrafficQuery { api, route, application, .. } = query;
    let kept: Vec<_> = world
        .calls
        .iter()
        .filter(|call| (found.from..found.to).contains(&call.at))
        .filter(|call| api.is_none() || call.api == *api)
        .filter(|call| route.is_none() || call.route == *route)
        .filter(|call| application.is_none() || call.application == *application)
        .collect();
    assert!(found.from <= query.from && found.to >= query.to);
    assert!(found.points.len() <= query.points as usize);
    let step = TimeDelta::minutes(found.step_minutes.into());
    for (i, (at, counts)) in found.points.iter().enumerate() {
        assert_eq!(*at, found.from + step * i32::try_from(i).unwrap(), "points have no gaps");
        let wanted = sum(kept.iter().copied().filter(|call| call.at >= *at && call.at < *at + step));
        assert_eq!(*counts, wanted, "{query:?} at {at}");
    }
    assert_eq!(found.apis, top(&kept, |call| call.api), "{query:?}");
    if application.is_none() {
        let routes: Vec<_> =
            found.routes.into_iter().map(|(api, route, counts)| ((api, route), counts)).collect();
        assert_eq!(routes, top(&kept, |call| Some((call.api?, call.route.clone()?))), "{query:?}");
    }
    if route.is_none() {
        assert_eq!(found.applications, top(&kept, |call| call.application), "{query:?}");
    }
}

async fn check_all(telemetry: &dyn Telemetry, world: &World, time: TimeDelta) {
    let query = last(time);
    let (api, application) = (Some(world.apis[4]), Some(world.applications[1]));
    let route = Some("r1".to_owned());
    check(telemetry, world, &query).await;
    check(telemetry, world, &TrafficQuery { api, ..query.clone() }).await;
    check(telemetry, world, &TrafficQuery { route: route.clone(), ..query.clone() }).await;
    check(telemetry, world, &TrafficQuery { api, route, ..query.clone() }).await;
    check(telemetry, world, &TrafficQuery { application, ..query.clone() }).await;
    check(telemetry, world, &TrafficQuery { api, application, points: 17, ..query }).await;
}

#[tokio::test]
async fn traffic_is_exact_before_during_and_after_compaction() {
    on_each_database(async |telemetry| {
        let world = world(3, now());
        for calls in world.calls.chunks(2) {
            send(&*telemetry, calls).await;
        }
        check_all(&*telemetry, &world, TimeDelta::days(2)).await;
        assert!(telemetry.compact().await.unwrap() > 0);
        check_all(&*telemetry, &world, TimeDelta::days(2)).await;
        assert!(telemetry.compact().await.unwrap() > 0, "there was too little to compact in two rounds");
        while telemetry.compact().await.unwrap() > 0 {}
        check_all(&*telemetry, &world, TimeDelta::days(2)).await;
        check_all(&*telemetry, &world, TimeDelta::hours(5)).await;
    })
    .await;
}

#[tokio::test]
async fn traffic_is_exact_over_minutes_hours_and_days() {
    on_each_database(async |telemetry| {
        let world = world(200, now());
        // In two parts, so that cells are merged with what they hold.
        for calls in world.calls.chunks(301) {
            send(&*telemetry, calls).await;
            while telemetry.compact().await.unwrap() > 0 {}
        }
        for days in [1, 6, 30, 180] {
            check_all(&*telemetry, &world, TimeDelta::days(days)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_range_without_traffic_has_points_and_no_latency() {
    on_each_database(async |telemetry| {
        let found = traffic(&*telemetry, TenantId::generate(), &last(TimeDelta::hours(1))).await;
        assert_eq!((found.step_minutes, found.points.len()), (1, 61));
        assert_eq!(total(&found), Counts::default());
        assert!(found.apis.is_empty() && found.routes.is_empty() && found.applications.is_empty());
    })
    .await;
}

#[tokio::test]
async fn route_and_application_together_are_refused() {
    on_each_database(async |telemetry| {
        let query = TrafficQuery {
            route: Some("r1".into()),
            application: Some(ApplicationId::generate()),
            ..last(TimeDelta::hours(1))
        };
        let refused = telemetry.traffic(TenantId::generate(), &query).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid(fields) if fields[0].pointer == "route"));
    })
    .await;
}
