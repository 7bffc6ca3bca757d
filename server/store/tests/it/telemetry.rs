//! Batches, the call log and retention.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sluice_contract::calls::{
    CacheOutcome, CacheSign, Call, CallBatch, SecondLevelAnswer, SecondLevelAsked, StageTime,
};
use sluice_contract::ids::{
    ApiId, ApplicationId, BootId, CallId, CredentialId, EnvironmentId, GatewayId, PlanId, SubscriptionId,
    TenantId,
};
use sluice_contract::problem::ErrorSource;
use sluice_contract::rest::calls::CallFilter;
use sluice_contract::rollup::{Cell, Counts, Measure, RollupDelta};
use sluice_store::Error;
use sluice_store::telemetry::{self, Matcher, Retention, Stored, StoredCall, Telemetry};

use crate::databases::on_each;

/// Runs a test on a telemetry store of each kind.
pub async fn on_each_database(test: impl AsyncFn(Arc<dyn Telemetry>)) {
    let test = &test;
    on_each(|store| async move { test(telemetry::open(store.url()).await.unwrap()).await }).await;
}

/// The time now, as exact as the store keeps it.
pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(Utc::now().timestamp_micros()).unwrap()
}

/// A call of a tenant with every field set.
pub fn call(tenant: TenantId, at: DateTime<Utc>) -> Call {
    Call {
        id: CallId::generate(),
        at,
        tenant: Some(tenant),
        api: Some(ApiId::generate()),
        route: Some("listItems".into()),
        method: "GET".into(),
        host: "api.example".into(),
        path: "/acme/shop/items".into(),
        query: Some("page=2".into()),
        status: 200,
        error: None,
        error_source: None,
        application: Some(ApplicationId::generate()),
        credential: Some(CredentialId::generate()),
        subscription: Some(SubscriptionId::generate()),
        plan: Some(PlanId::generate()),
        cache: CacheOutcome::Miss,
        signs: [CacheSign::SetsCookie].into_iter().collect(),
        second_level: Some(SecondLevelAsked { answer: SecondLevelAnswer::Nothing, took_us: 300 }),
        target: Some("http://127.0.0.1:9000".into()),
        duration_us: 1_500,
        upstream_us: Some(1_200),
        bytes_in: 10,
        bytes_out: 2_000,
        client_ip: "192.0.2.7".into(),
        user_agent: Some("curl/8".into()),
        request_id: "req-1".into(),
        trace_id: Some("0af7651916cd43dd8448eb211c80319c".into()),
        stages: vec![StageTime { stage: "upstream".into(), start_us: 100, took_us: 1_200 }],
    }
}

/// The traffic cell that a call belongs to, as a gateway sends it.
pub fn delta(call: &Call) -> RollupDelta {
    let cell = Cell::Traffic {
        tenant: call.tenant,
        api: call.api,
        route: call.route.clone(),
        status: call.status,
        cache: call.cache,
    };
    let mut counts = Counts::default();
    counts.record(&measure(call));
    RollupDelta { minute: u32::try_from(call.at.timestamp() / 60).unwrap(), cell, counts }
}

pub fn measure(call: &Call) -> Measure {
    Measure {
        status: call.status,
        cache: call.cache,
        bytes_in: call.bytes_in,
        bytes_out: call.bytes_out,
        duration_us: call.duration_us,
        upstream_us: call.upstream_us,
        second_level: call.second_level,
    }
}

pub fn batch(boot: BootId, sequence: u64, calls: Vec<Call>) -> CallBatch {
    let rollups = calls.iter().map(delta).collect();
    CallBatch { boot, sequence, calls, rollups, dropped: 0 }
}

/// Stores calls as one batch of a gateway of its own, which is returned.
pub async fn store(telemetry: &dyn Telemetry, calls: Vec<Call>) -> GatewayId {
    let gateway = GatewayId::generate();
    let batch = batch(BootId::generate(), 1, calls);
    telemetry.store_batch(gateway, EnvironmentId::generate(), &batch).await.unwrap();
    gateway
}

async fn all(telemetry: &dyn Telemetry, tenant: TenantId, filter: &CallFilter) -> Vec<StoredCall> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = telemetry.calls(tenant, filter, 7, after.as_deref()).await.unwrap();
        found.extend(page.items);
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

#[tokio::test]
async fn a_call_comes_back_as_it_was_sent() {
    on_each_database(async |telemetry| {
        let tenant = TenantId::generate();
        let mut plain = call(tenant, now());
        plain.error = Some("upstream_unreachable".into());
        plain.error_source = Some(ErrorSource::Upstream);
        let mut bare = call(tenant, now() - TimeDelta::seconds(1));
        (bare.api, bare.route, bare.application, bare.credential) = (None, None, None, None);
        (bare.subscription, bare.plan, bare.target, bare.upstream_us) = (None, None, None, None);
        (bare.query, bare.user_agent, bare.trace_id) = (None, None, None);
        bare.second_level = None;
        bare.stages.clear();
        let gateway = store(&*telemetry, vec![plain.clone(), bare.clone()]).await;
        let found = all(&*telemetry, tenant, &CallFilter::default()).await;
        assert_eq!(found, [plain.clone(), bare].map(|call| StoredCall { call, gateway }));
        assert_eq!(telemetry.call(tenant, plain.id).await.unwrap().call, plain);
    })
    .await;
}

#[tokio::test]
async fn a_batch_that_is_sent_twice_counts_once() {
    on_each_database(async |telemetry| {
        let (tenant, gateway, boot) = (TenantId::generate(), GatewayId::generate(), BootId::generate());
        let environment = EnvironmentId::generate();
        let batch = Arc::new(batch(boot, 1, vec![call(tenant, now())]));
        // Ten at the same time, as after a time-out, then one more.
        let mut tries = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let (telemetry, batch) = (Arc::clone(&telemetry), Arc::clone(&batch));
            tries.spawn(async move { telemetry.store_batch(gateway, environment, &batch).await.unwrap() });
        }
        let stored = tries.join_all().await;
        assert_eq!(stored.iter().filter(|stored| stored.fresh).count(), 1);
        assert!(stored.iter().all(|stored| stored.sequence == 1));
        let again = telemetry.store_batch(gateway, environment, &batch).await.unwrap();
        assert_eq!(again, Stored { sequence: 1, fresh: false });
        assert_eq!(all(&*telemetry, tenant, &CallFilter::default()).await.len(), 1);
        assert_eq!(crate::telemetry_traffic::calls(&*telemetry, tenant).await, 1);
    })
    .await;
}

#[tokio::test]
async fn sequences_may_have_gaps_but_never_go_back() {
    on_each_database(async |telemetry| {
        let (tenant, gateway, boot) = (TenantId::generate(), GatewayId::generate(), BootId::generate());
        let environment = EnvironmentId::generate();
        let send = async |sequence, dropped| {
            let mut batch = batch(boot, sequence, vec![call(tenant, now())]);
            batch.dropped = dropped;
            telemetry.store_batch(gateway, environment, &batch).await.unwrap()
        };
        assert_eq!(send(1, 0).await, Stored { sequence: 1, fresh: true });
        assert_eq!(send(5, 30).await, Stored { sequence: 5, fresh: true });
        assert_eq!(send(4, 9).await, Stored { sequence: 5, fresh: false });
        assert_eq!(send(6, 12).await, Stored { sequence: 6, fresh: true });
        assert_eq!(all(&*telemetry, tenant, &CallFilter::default()).await.len(), 3);
        assert_eq!(telemetry.dropped(gateway).await.unwrap(), 42);
        assert_eq!(telemetry.dropped(GatewayId::generate()).await.unwrap(), 0);
        // Another life of the same gateway begins at 1 again.
        let other = batch(BootId::generate(), 1, vec![call(tenant, now())]);
        assert!(telemetry.store_batch(gateway, environment, &other).await.unwrap().fresh);
    })
    .await;
}

#[tokio::test]
async fn batches_of_several_gateways_at_once_all_count_while_compaction_runs() {
    const GATEWAYS: usize = 6;
    const BATCHES: u64 = 15;
    const CALLS: usize = 20;
    on_each_database(async |telemetry| {
        let tenant = TenantId::generate();
        let mut senders = tokio::task::JoinSet::new();
        for _ in 0..GATEWAYS {
            let telemetry = Arc::clone(&telemetry);
            senders.spawn(async move {
                let (gateway, boot) = (GatewayId::generate(), BootId::generate());
                for sequence in 1..=BATCHES {
                    let batch = batch(boot, sequence, (0..CALLS).map(|_| call(tenant, now())).collect());
                    telemetry.store_batch(gateway, EnvironmentId::generate(), &batch).await.unwrap();
                }
            });
        }
        let mut seen = 0;
        while !senders.is_empty() {
            telemetry.compact().await.unwrap();
            let calls = crate::telemetry_traffic::calls(&*telemetry, tenant).await;
            assert!(calls >= seen, "traffic went back from {seen} to {calls}");
            seen = calls;
            while let Some(done) = senders.try_join_next() {
                done.unwrap();
            }
        }
        let sent = GATEWAYS * BATCHES as usize * CALLS;
        assert_eq!(all(&*telemetry, tenant, &CallFilter::default()).await.len(), sent);
        assert_eq!(crate::telemetry_traffic::calls(&*telemetry, tenant).await, sent as u64);
        while telemetry.compact().await.unwrap() > 0 {}
        assert_eq!(crate::telemetry_traffic::calls(&*telemetry, tenant).await, sent as u64);
    })
    .await;
}

/// Calls that differ in everything that a filter looks at.
fn varied(
    tenant: TenantId,
    apis: &[ApiId],
    applications: &[ApplicationId],
    start: DateTime<Utc>,
) -> Vec<Call> {
    let outcomes = [CacheOutcome::Hit, CacheOutcome::Miss, CacheOutcome::Bypass];
    (0..120_usize)
        .map(|i| {
            let mut call = call(tenant, start + TimeDelta::milliseconds(10 * i as i64));
            call.api = Some(apis[i % apis.len()]);
            call.application = (i % 4 != 0).then(|| applications[i % applications.len()]);
            call.route = Some(["list", "get", "put"][i % 3].into());
            call.method = ["GET", "PUT", "DELETE"][i % 3].into();
            call.status = [200, 204, 404, 429, 500, 502, 301][i % 7];
            call.cache = outcomes[i % 3];
            call.path = format!("/acme/{}/ünïcode/{i}", ["shop", "pay", "p%y", "p"][i % 4]);
            call.request_id = format!("req-{i}-{}", "x".repeat(130));
            call.duration_us = (i as u64 % 12) * 200_000;
            call
        })
        .collect()
}

#[tokio::test]
async fn each_filter_keeps_exactly_its_calls() {
    on_each_database(async |telemetry| {
        let tenant = TenantId::generate();
        let apis = [(); 3].map(|()| ApiId::generate());
        let applications = [(); 2].map(|()| ApplicationId::generate());
        let start = now() - TimeDelta::minutes(5);
        let calls = varied(tenant, &apis, &applications, start);
        let (half, rest) = calls.split_at(60);
        let gateway = store(&*telemetry, half.to_vec()).await;
        store(&*telemetry, rest.to_vec()).await;

        let f = CallFilter::default;
        let text = |text: &str| Some(text.to_owned());
        let request = calls[17].request_id.clone();
        let edge = calls[40].at;
        type Keeps<'a> = Box<dyn Fn(&Call) -> bool + 'a>;
        let cases: Vec<(CallFilter, Keeps<'_>)> = vec![
            (CallFilter { from: Some(edge), ..f() }, Box::new(|c| c.at >= edge)),
            (CallFilter { to: Some(edge), ..f() }, Box::new(|c| c.at < edge)),
            (CallFilter { api: Some(apis[1]), ..f() }, Box::new(|c| c.api == Some(apis[1]))),
            (CallFilter { route: text("get"), ..f() }, Box::new(|c| c.route.as_deref() == Some("get"))),
            (
                CallFilter { application: Some(applications[0]), ..f() },
                Box::new(|c| c.application == Some(applications[0])),
            ),
            (
                CallFilter { gateway: Some(gateway), ..f() },
                Box::new(|c| half.iter().any(|of_gateway| of_gateway.id == c.id)),
            ),
            (CallFilter { method: text("delete"), ..f() }, Box::new(|c| c.method == "DELETE")),
            (CallFilter { status: text("404"), ..f() }, Box::new(|c| c.status == 404)),
            (CallFilter { status: text("204"), ..f() }, Box::new(|c| c.status == 204)),
            (CallFilter { status: text("5xx"), ..f() }, Box::new(|c| c.status / 100 == 5)),
            (CallFilter { status: text("2xx"), ..f() }, Box::new(|c| c.status / 100 == 2)),
            (
                CallFilter { cache: Some(CacheOutcome::Hit), ..f() },
                Box::new(|c| c.cache == CacheOutcome::Hit),
            ),
            (CallFilter { path: text("/acme/p"), ..f() }, Box::new(|c| c.path.starts_with("/acme/p"))),
            (CallFilter { path: text("/acme/p%"), ..f() }, Box::new(|c| c.path.starts_with("/acme/p%"))),
            (
                CallFilter { path: text("/acme/shop/ünïcode/4"), ..f() },
                Box::new(|c| c.path.starts_with("/acme/shop/ünïcode/4")),
            ),
            (CallFilter { request_id: Some(request.clone()), ..f() }, Box::new(|c| c.request_id == request)),
            (CallFilter { min_duration_us: Some(600_000), ..f() }, Box::new(|c| c.duration_us >= 600_000)),
            (
                CallFilter { min_duration_us: Some(2_000_000), ..f() },
                Box::new(|c| c.duration_us >= 2_000_000),
            ),
            (
                CallFilter {
                    status: text("4xx"),
                    api: Some(apis[0]),
                    path: text("/acme/"),
                    from: Some(edge),
                    ..f()
                },
                Box::new(|c| c.status / 100 == 4 && c.api == Some(apis[0]) && c.at >= edge),
            ),
        ];
        for (filter, keeps) in cases {
            let found: Vec<_> =
                all(&*telemetry, tenant, &filter).await.into_iter().map(|c| c.call.id).collect();
            let wanted: Vec<_> = calls.iter().rev().filter(|call| keeps(call)).map(|call| call.id).collect();
            assert!(!wanted.is_empty() && wanted.len() < calls.len(), "{filter:?} decides nothing");
            assert_eq!(found, wanted, "{filter:?}");
            // Who watches calls arrive sees the same.
            let matcher = Matcher::new(filter.clone()).unwrap();
            for call in &calls {
                let served_by = if half.contains(call) { gateway } else { GatewayId::generate() };
                assert_eq!(matcher.keeps(call, served_by), keeps(call), "{filter:?} watching {call:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_path_that_most_calls_have_is_found_while_walking_through_time() {
    on_each_database(async |telemetry| {
        let tenant = TenantId::generate();
        let start = now() - TimeDelta::minutes(5);
        let calls: Vec<_> = (0..2_500_i64)
            .map(|i| {
                let mut call = call(tenant, start + TimeDelta::milliseconds(i));
                call.path = if i % 5 == 0 { "/other".into() } else { format!("/common/{i}") };
                call
            })
            .collect();
        let newest: Vec<_> = calls
            .iter()
            .rev()
            .filter(|call| call.path.starts_with("/common/"))
            .take(50)
            .map(|c| c.id)
            .collect();
        store(&*telemetry, calls).await;
        let filter = CallFilter { path: Some("/common/".into()), ..CallFilter::default() };
        let page = telemetry.calls(tenant, &filter, 50, None).await.unwrap();
        assert_eq!(page.items.iter().map(|found| found.call.id).collect::<Vec<_>>(), newest);
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_read_is_said_to_be_wrong() {
    on_each_database(async |telemetry| {
        let tenant = TenantId::generate();
        let status = CallFilter { status: Some("many".into()), ..CallFilter::default() };
        let wrong = telemetry.calls(tenant, &status, 10, None).await.unwrap_err();
        assert!(matches!(wrong, Error::Invalid(fields) if fields[0].pointer == "status"));
        for cursor in ["", "x", "AAAA", "'; DROP TABLE calls"] {
            let wrong = telemetry.calls(tenant, &CallFilter::default(), 10, Some(cursor)).await.unwrap_err();
            assert!(matches!(wrong, Error::Invalid(fields) if fields[0].pointer == "after"), "{cursor}");
        }
    })
    .await;
}

#[tokio::test]
async fn pages_neither_skip_nor_repeat_while_calls_arrive() {
    on_each_database(async |telemetry| {
        let tenant = TenantId::generate();
        // Many at the same microsecond: the id decides among them.
        let at = now() - TimeDelta::seconds(10);
        let before: Vec<_> = (0..60).map(|i| call(tenant, at - TimeDelta::seconds(i / 20))).collect();
        let expected: BTreeSet<_> = before.iter().map(|call| call.id).collect();
        store(&*telemetry, before).await;
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = telemetry.calls(tenant, &CallFilter::default(), 7, after.as_deref()).await.unwrap();
            seen.extend(page.items.into_iter().map(|found| found.call.id));
            store(&*telemetry, vec![call(tenant, now()), call(tenant, now())]).await;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), expected.len());
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), expected);
    })
    .await;
}

#[tokio::test]
async fn a_tenant_sees_nothing_of_another() {
    on_each_database(async |telemetry| {
        let (one, other) = (TenantId::generate(), TenantId::generate());
        let (of_one, mut of_nobody) = (call(one, now()), call(one, now()));
        of_nobody.tenant = None;
        store(&*telemetry, vec![of_one.clone(), of_nobody.clone()]).await;
        assert_eq!(all(&*telemetry, one, &CallFilter::default()).await.len(), 1);
        assert!(all(&*telemetry, other, &CallFilter::default()).await.is_empty());
        assert!(telemetry.call(one, of_one.id).await.is_ok());
        for hidden in [telemetry.call(other, of_one.id).await, telemetry.call(one, of_nobody.id).await] {
            assert!(matches!(hidden, Err(Error::NotFound)));
        }
        assert_eq!(crate::telemetry_traffic::calls(&*telemetry, one).await, 1);
        assert_eq!(crate::telemetry_traffic::calls(&*telemetry, other).await, 0);
    })
    .await;
}

#[tokio::test]
async fn odd_input_never_holds_up_a_gateway() {
    on_each_database(async |telemetry| {
        let tenant = TenantId::generate();
        let mut odd = call(tenant, now() + TimeDelta::days(400));
        odd.method = "M".repeat(20_000);
        odd.path = format!("/{}", "é".repeat(20_000));
        odd.request_id = "r".repeat(20_000);
        odd.user_agent = Some("nul \0 and \\u0000".into());
        odd.route = Some("o\0".repeat(5_000));
        odd.duration_us = u64::MAX;
        let (path, request_id) = (odd.path.clone(), odd.request_id.clone());
        store(&*telemetry, vec![odd.clone(), odd]).await;
        while telemetry.compact().await.unwrap() > 0 {}
        let filter =
            CallFilter { path: Some(path.clone()), request_id: Some(request_id), ..CallFilter::default() };
        let found = all(&*telemetry, tenant, &filter).await;
        assert_eq!(found.len(), 1, "the same call twice in one batch is one call");
        assert_eq!(found[0].call.path, path);
        assert!(found[0].call.at <= now(), "a clock that is a year ahead is not believed");
    })
    .await;
}

#[tokio::test]
async fn retention_removes_what_is_older_and_nothing_else() {
    on_each_database(async |telemetry| {
        let tenant = TenantId::generate();
        let now = now();
        let days = [0, 5, 20, 40, 500];
        let calls: Vec<_> = days.iter().map(|days| call(tenant, now - TimeDelta::days(*days))).collect();
        store(&*telemetry, calls).await;
        while telemetry.compact().await.unwrap() > 0 {}
        assert_eq!(crate::telemetry_traffic::calls_of_days(&*telemetry, tenant, 600).await, 5);

        let retention = Retention { now, call_days: 30, rollup_days: 400 };
        telemetry.retain(&retention).await.unwrap();
        let left = all(&*telemetry, tenant, &CallFilter::default()).await;
        assert_eq!(left.len(), 3);
        assert!(left.iter().all(|left| left.call.at > now - TimeDelta::days(31)));
        assert_eq!(crate::telemetry_traffic::calls_of_days(&*telemetry, tenant, 600).await, 4);
        assert_eq!(crate::telemetry_traffic::calls_of_days(&*telemetry, tenant, 90).await, 4);

        // A spool that comes late still finds a place.
        store(&*telemetry, vec![call(tenant, now - TimeDelta::days(40))]).await;
        assert_eq!(all(&*telemetry, tenant, &CallFilter::default()).await.len(), 4);
        telemetry.retain(&Retention { rollup_days: 1, call_days: 1, ..retention }).await.unwrap();
        assert_eq!(all(&*telemetry, tenant, &CallFilter::default()).await.len(), 1);
    })
    .await;
}
