//! What gateways send back: stored once, then shown to who watches.

use sluice_contract::calls::{BatchReceipt, CallBatch};
use sluice_contract::ids::{EnvironmentId, GatewayId, TenantId};
use sluice_contract::rollup::Cell;
use sluice_store::environments;

use crate::problem::ApiError;
use crate::state::App;

/// Stores a batch of a gateway of this environment.
pub(crate) async fn ingest(
    app: &App,
    gateway: GatewayId,
    environment: EnvironmentId,
    mut batch: CallBatch,
) -> Result<BatchReceipt, ApiError> {
    if let Some(tenant) = environments::get(app.store.read(), environment).await?.dedicated_to {
        keep_to(&mut batch, tenant, gateway);
    }
    let stored = app.telemetry.store_batch(gateway, environment, &batch).await?;
    if stored.fresh {
        app.tail.publish(gateway, batch.calls);
    }
    Ok(BatchReceipt { boot: batch.boot, stored: stored.sequence })
}

/// In an environment of one tenant, no gateway writes into the log of another: such calls are nobody's.
fn keep_to(batch: &mut CallBatch, owner: TenantId, gateway: GatewayId) {
    let mut strange = 0_usize;
    for call in batch.calls.iter_mut().filter(|call| call.tenant.is_some_and(|tenant| tenant != owner)) {
        call.tenant = None;
        strange += 1;
    }
    batch.rollups.retain(|delta| match delta.cell {
        Cell::Traffic { tenant, .. } => tenant.is_none_or(|tenant| tenant == owner),
        Cell::Consumer { tenant, .. } | Cell::Target { tenant, .. } => tenant == owner,
    });
    if strange > 0 {
        tracing::warn!(%gateway, strange, "a gateway sent calls of tenants that its environment is not for");
    }
}
