//! What the control plane asks this gateway, and what it answers; see [`sluice_contract::questions`].

use std::sync::Arc;

use sluice_contract::ids::TenantId;
use sluice_contract::journal::PurgeScope;
use sluice_contract::questions::{Ask, Reply};
use sluice_contract::rest::purges::{PurgeAmount, SecondLevelAmount};

use crate::cache::explain;
use crate::cache::inspect::{self, Address};
use crate::shared::Shared;

/// Answers a question on behalf of a tenant, of whose things alone it tells. What takes long is done on a thread for that.
pub async fn answer(shared: &Arc<Shared>, tenant: TenantId, ask: Ask) -> Reply {
    match ask {
        Ask::PurgeAmount { scope } => {
            let shared = Arc::clone(shared);
            let amount = tokio::task::spawn_blocking(move || purge_amount(&shared, &scope, tenant)).await;
            amount.map_or(Reply::Unknown, Reply::PurgeAmount)
        }
        Ask::Warm { job, what } => Reply::Warm { answer: shared.warming.ask(shared, tenant, job, what) },
        Ask::CacheEntries { api, path, host, https } => {
            let looked = inspect::look_up(shared, tenant, Address { api, path, host, https }).await;
            looked.map_or(Reply::Unknown, Reply::CacheEntries)
        }
        Ask::CacheKey { api, request } => {
            let explained = explain::explain(shared, tenant, api, request).await;
            explained.map_or(Reply::Unknown, |explained| Reply::CacheKey(Box::new(explained)))
        }
        Ask::Unknown => Reply::Unknown,
    }
}

fn purge_amount(shared: &Shared, scope: &PurgeScope, tenant: TenantId) -> PurgeAmount {
    let amount = shared.purge_amount(scope, tenant);
    let second_level = match shared.cache.second_level() {
        Some(_) => SecondLevelAmount::Unknown,
        None => SecondLevelAmount::None,
    };
    PurgeAmount { entries: amount.entries, bytes: amount.bytes, second_level }
}
