//! Calls and batches as a gateway sends them.

use chrono::{DateTime, Utc};
use sluice_contract::calls::{CacheOutcome, CacheSigns, Call, CallBatch};
use sluice_contract::ids::{ApiId, BootId, CallId, TenantId};
use sluice_contract::rollup::{Cell, Counts, Measure, RollupDelta};

/// An answered call of a tenant to an API.
pub fn call(tenant: TenantId, api: ApiId, at: DateTime<Utc>) -> Call {
    let id = CallId::generate();
    Call {
        id,
        at,
        tenant: Some(tenant),
        api: Some(api),
        route: Some("listItems".to_owned()),
        method: "GET".to_owned(),
        host: "api.example.com".to_owned(),
        path: "/acme/shop/items".to_owned(),
        query: None,
        status: 200,
        error: None,
        error_source: None,
        application: None,
        credential: None,
        subscription: None,
        plan: None,
        cache: CacheOutcome::Miss,
        signs: CacheSigns::default(),
        second_level: None,
        target: Some("http://127.0.0.1:9000".to_owned()),
        duration_us: 1_500,
        upstream_us: Some(1_200),
        bytes_in: 10,
        bytes_out: 2_000,
        client_ip: "192.0.2.7".to_owned(),
        user_agent: None,
        request_id: id.to_string(),
        trace_id: None,
        stages: Vec::new(),
    }
}

/// A batch of these calls, with what they add to the rollups.
pub fn batch(boot: BootId, sequence: u64, calls: Vec<Call>) -> CallBatch {
    let rollups = calls.iter().flat_map(deltas).collect();
    CallBatch { boot, sequence, calls, rollups, dropped: 0 }
}

fn deltas(call: &Call) -> Vec<RollupDelta> {
    let traffic = Cell::Traffic {
        tenant: call.tenant,
        api: call.api,
        route: call.route.clone(),
        status: call.status,
        cache: call.cache,
    };
    let consumer = call.tenant.zip(call.api).zip(call.application).map(|((tenant, api), application)| {
        Cell::Consumer { tenant, application, plan: call.plan, api, failed: call.status >= 500 }
    });
    let target = call
        .tenant
        .zip(call.api)
        .zip(call.target.clone())
        .map(|((tenant, api), target)| Cell::Target { tenant, api, target, failed: call.status >= 500 });
    let mut counts = Counts::default();
    counts.record(&Measure {
        status: call.status,
        cache: call.cache,
        bytes_in: call.bytes_in,
        bytes_out: call.bytes_out,
        duration_us: call.duration_us,
        upstream_us: call.upstream_us,
        second_level: call.second_level,
    });
    let minute = u32::try_from(call.at.timestamp() / 60).expect("a time of our days");
    let delta = |cell| RollupDelta { minute, cell, counts: counts.clone() };
    [Some(traffic), consumer, target].into_iter().flatten().map(delta).collect()
}
