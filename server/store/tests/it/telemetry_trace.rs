//! The calls of an API, page by page: what the cache advisor reads.

use chrono::TimeDelta;
use sluice_contract::calls::{Call, CallBatch};
use sluice_contract::ids::{BootId, CallId, EnvironmentId, GatewayId, TenantId};
use sluice_store::telemetry::{TraceQuery, TracedCall};
use uuid::Uuid;

use crate::telemetry::{now, on_each_database};
use crate::telemetry_traffic::world;

#[tokio::test]
async fn pages_of_calls_have_each_get_of_the_api_once_and_are_bounded_by_what_is_read() {
    on_each_database(async |telemetry| {
        let mut world = world(5, now());
        let api = world.apis[4];
        let same = world.calls[0].at;
        for (i, call) in world.calls.iter_mut().enumerate() {
            call.api = Some(if i % 3 == 0 { world.apis[3] } else { api });
            call.method = if i % 5 == 0 { "POST" } else { "GET" }.to_owned();
            // Many at one moment: the order within it is that of their ids.
            call.at = if i % 2 == 0 { same } else { call.at };
        }
        let calls = world.calls.clone();
        let batch =
            CallBatch { boot: BootId::generate(), sequence: 1, calls, rollups: Vec::new(), dropped: 0 };
        telemetry.store_batch(GatewayId::generate(), EnvironmentId::generate(), &batch).await.unwrap();
        let from = now() - TimeDelta::days(400);
        let mut query =
            TraceQuery { api, from, before: (now() + TimeDelta::days(1), CallId(Uuid::nil())), most: 7 };
        let mut found: Vec<TracedCall> = Vec::new();
        let mut read = 0;
        loop {
            let page = telemetry.trace(world.tenant, &query).await.unwrap();
            assert!(page.read <= 7 && page.calls.len() <= page.read as usize);
            read += page.read as usize;
            found.extend(page.calls);
            let Some(next) = page.next else { break };
            query.before = next;
        }
        let of_api: Vec<&Call> = world.calls.iter().filter(|call| call.api == Some(api)).collect();
        assert_eq!(read, of_api.len());
        let mut wanted: Vec<&Call> = of_api.into_iter().filter(|call| call.method == "GET").collect();
        wanted.sort_by_key(|call| std::cmp::Reverse((call.at, call.id)));
        let paths = |call: &TracedCall| (call.at, call.path.clone(), call.status, call.cache, call.bytes_out);
        assert_eq!(
            found.iter().map(paths).collect::<Vec<_>>(),
            wanted
                .iter()
                .map(|call| (call.at, call.path.clone(), call.status, call.cache, call.bytes_out))
                .collect::<Vec<_>>()
        );
        query.before = (now() + TimeDelta::days(1), CallId(Uuid::nil()));
        let others = telemetry.trace(TenantId::generate(), &query).await.unwrap();
        assert_eq!((others.read, others.next), (0, None), "of another tenant");
        query.from = now();
        assert_eq!(telemetry.trace(world.tenant, &query).await.unwrap().read, 0, "before the time asked for");
    })
    .await;
}
