//! Policy types, with the JSON Schemas that the console draws its forms from.

use sluice_contract::rest::policy_types::PolicyType;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::Caller;
use crate::extract::Json;
use crate::state::App;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_policy_types))
}

/// Every type of policy, in the order in which to offer them.
#[utoipa::path(
    get, path = "/policy-types", tag = "policies",
    responses((status = 200, body = Vec<PolicyType>)),
)]
async fn list_policy_types(_: Caller) -> Json<Vec<PolicyType>> {
    Json(sluice_policies::policy_types())
}
