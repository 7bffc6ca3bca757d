//! What the control plane asks this gateway, and what it answers; see [`sluice_contract::questions`].

use std::sync::Arc;

use sluice_contract::ids::TenantId;
use sluice_contract::journal::PurgeScope;
use sluice_contract::questions::{Ask, Reply};
use sluice_contract::rest::purges::{PurgeAmount, SecondLevelAmount};

use crate::cache::{explain, inspect};
use crate::shared::Shared;

/// Answers a question on behalf of a tenant, of whose things alone it tells. What takes long is done on a thread for that.
pub async fn answer(shared: &Arc<Shared>, tenant: TenantId, ask: Ask) -> Reply {
    let shared = Arc::clone(shared);
    let looked = match ask {
        Ask::PurgeAmount { scope } => {
            tokio::task::spawn_blocking(move || Reply::PurgeAmount(purge_amount(&shared, &scope, tenant)))
                .await
        }
        Ask::Warm { job, what } => {
            return Reply::Warm { answer: shared.warming.ask(&shared, tenant, job, what) };
        }
        Ask::CacheEntries { api, path } => {
            let look = move || Reply::CacheEntries(inspect::look_up(&shared, tenant, api, &path));
            tokio::task::spawn_blocking(look).await
        }
        Ask::CacheKey { api, request } => {
            let look = move || {
                let explained = explain::explain(&shared, tenant, api, &request);
                explained.map_or(Reply::Unknown, |explained| Reply::CacheKey(Box::new(explained)))
            };
            tokio::task::spawn_blocking(look).await
        }
        Ask::Unknown => return Reply::Unknown,
    };
    looked.unwrap_or(Reply::Unknown)
}

fn purge_amount(shared: &Shared, scope: &PurgeScope, tenant: TenantId) -> PurgeAmount {
    let amount = shared.purge_amount(scope, tenant);
    let second_level = match shared.cache.second_level() {
        Some(_) => SecondLevelAmount::Unknown,
        None => SecondLevelAmount::None,
    };
    PurgeAmount { entries: amount.entries, bytes: amount.bytes, second_level }
}
