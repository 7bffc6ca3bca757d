//! Names of what calls refer to, looked up once for many calls.

use std::collections::{HashMap, HashSet};

use sluice_contract::ids::{ApiId, ApplicationId, GatewayId, PlanId, TenantId};
use sluice_contract::rest::calls::CallRow;
use sluice_store::telemetry::StoredCall;
use sluice_store::{Store, names};

/// Names that are known. What has none is remembered as well, so that it is not asked for with every call.
#[derive(Default)]
pub(crate) struct Names {
    apis: HashMap<ApiId, Option<String>>,
    applications: HashMap<ApplicationId, Option<String>>,
    plans: HashMap<PlanId, Option<String>>,
    gateways: HashMap<GatewayId, Option<String>>,
}

impl Names {
    /// Looks up what these calls need and is not known yet.
    pub(crate) async fn learn(
        &mut self,
        store: &Store,
        tenant: TenantId,
        calls: &[StoredCall],
    ) -> sluice_store::Result<()> {
        let db = store.read();
        let wanted = unknown(&self.apis, calls.iter().filter_map(|stored| stored.call.api));
        let found = names::apis(db, tenant, wanted.iter().copied()).await?;
        note(&mut self.apis, wanted, found);
        let wanted = unknown(&self.applications, calls.iter().filter_map(|stored| stored.call.application));
        let found = names::applications(db, tenant, wanted.iter().copied()).await?;
        note(&mut self.applications, wanted, found);
        let wanted = unknown(&self.plans, calls.iter().filter_map(|stored| stored.call.plan));
        let found = names::plans(db, tenant, wanted.iter().copied()).await?;
        note(&mut self.plans, wanted, found.into_iter().map(|(id, (_, name))| (id, name)).collect());
        let wanted = unknown(&self.gateways, calls.iter().map(|stored| stored.gateway));
        let found = names::gateways(db, wanted.iter().copied()).await?;
        note(&mut self.gateways, wanted, found);
        Ok(())
    }
}

/// A call with the names that are known.
pub(crate) fn row(stored: StoredCall, names: &Names) -> CallRow {
    let StoredCall { call, gateway } = stored;
    CallRow {
        gateway,
        gateway_name: names.gateways.get(&gateway).cloned().flatten(),
        api_name: call.api.and_then(|api| names.apis.get(&api).cloned().flatten()),
        application_name: call.application.and_then(|id| names.applications.get(&id).cloned().flatten()),
        plan_name: call.plan.and_then(|plan| names.plans.get(&plan).cloned().flatten()),
        call,
    }
}

fn unknown<Id: Copy + Eq + std::hash::Hash>(
    known: &HashMap<Id, Option<String>>,
    ids: impl Iterator<Item = Id>,
) -> HashSet<Id> {
    ids.filter(|id| !known.contains_key(id)).collect()
}

fn note<Id: Copy + Eq + std::hash::Hash>(
    known: &mut HashMap<Id, Option<String>>,
    wanted: HashSet<Id>,
    mut found: HashMap<Id, String>,
) {
    known.extend(wanted.into_iter().map(|id| (id, found.remove(&id))));
}
