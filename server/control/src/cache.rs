//! Looking inside the cache of gateways: what is stored of an API's URL, and what would become of a request. Bodies and secrets
//! are not told.

mod request;

use axum::extract::State;
use sluice_contract::ids::{ApiId, TenantId};
use sluice_contract::journal::PurgeScope;
use sluice_contract::questions::{Ask, Reply};
use sluice_contract::rest::asked::FromGateway;
use sluice_contract::rest::cache::{
    CacheExplanation, CacheKey, CacheLookup, ExplainCache, ExplainedRequest, LookUpCache,
};
use sluice_store::applications::Reach;
use sluice_store::{Error, applications, gateways, names, purges};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authorise::{Scope, need};
use crate::extract::{Json, Path};
use crate::ownership;
use crate::problem::ApiError;
use crate::state::App;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(look_up_cache)).routes(routes!(explain_cache))
}

/// Asks the gateways of an environment what they have of one URL in memory: keys, variants, fields without secrets, freshness,
/// tags and sizes, no bodies; and whether their second level has the same, and the key of the URL itself. It waits two seconds at most; a gateway that is not connected to the process that is asked, or
/// does not answer in time, is named as such. For who may purge the API.
#[utoipa::path(
    post, path = "/tenants/{tenant}/apis/{api}/cache/entries", tag = "cache",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path)),
    request_body = LookUpCache,
    responses((status = 200, body = CacheLookup)),
)]
async fn look_up_cache(
    State(app): State<App>,
    scope: Scope<need::ManageCache>,
    Path((_, api)): Path<(TenantId, ApiId)>,
    Json(wanted): Json<LookUpCache>,
) -> Result<Json<CacheLookup>, ApiError> {
    let LookUpCache { environment, path, host, https } = wanted;
    ownership::check_api(&app, &scope, api).await?;
    check_path(&app, scope.tenant, api, &path, "/path").await?;
    request::check_host("/host", &host)?;
    let asked = gateways::lately_seen(app.store.read(), scope.tenant, environment).await?;
    let read = |reply| match reply {
        Reply::CacheEntries(entries) => Some(entries),
        _ => None,
    };
    let ask = Ask::CacheEntries { api, path, host, https };
    let mut gateways = app.link.questions().ask(asked, scope.tenant, ask, read).await?;
    let told = gateways.iter_mut().filter_map(|told| told.answer.as_mut());
    let keys = told.flat_map(|told| {
        let of_entries = told.entries.iter_mut().filter_map(|entry| entry.key.as_mut());
        of_entries.chain(told.asked.as_mut().map(|asked| &mut asked.key))
    });
    name_callers(&app, scope.tenant, keys.collect()).await?;
    Ok(Json(CacheLookup { gateways }))
}

/// Asks the gateways of an environment what they would do with a request that is not sent: whether its caller would be let in and what
/// is left of the limits, the key part by part, what is stored for it, and whether and how a given response would be stored. By the rules that serve requests. For who may purge the API.
#[utoipa::path(
    post, path = "/tenants/{tenant}/apis/{api}/cache/explain", tag = "cache",
    params(("tenant" = TenantId, Path), ("api" = ApiId, Path)),
    request_body = ExplainCache,
    responses((status = 200, body = CacheExplanation)),
)]
async fn explain_cache(
    State(app): State<App>,
    scope: Scope<need::ManageCache>,
    Path((_, api)): Path<(TenantId, ApiId)>,
    Json(wanted): Json<ExplainCache>,
) -> Result<Json<CacheExplanation>, ApiError> {
    let ExplainCache { environment, request } = wanted;
    ownership::check_api(&app, &scope, api).await?;
    check_path(&app, scope.tenant, api, &request.path, "/request/path").await?;
    request::check(&request)?;
    if let Some(application) = request.application {
        let known = applications::get(app.store.read(), scope.tenant, &Reach::Tenant, application).await;
        known.map_err(|error| match error {
            Error::NotFound => {
                Error::invalid("/request/application", "unknown", "There is no such application.")
            }
            other => other,
        })?;
    }
    let asked = gateways::lately_seen(app.store.read(), scope.tenant, environment).await?;
    let read = |reply| match reply {
        Reply::CacheKey(explained) => Some(*explained),
        _ => None,
    };
    let ask = Ask::CacheKey { api, request: Box::new(request) };
    let mut gateways = app.link.questions().ask(asked, scope.tenant, ask, read).await?;
    name_plans(&app, scope.tenant, &mut gateways).await?;
    let explained =
        gateways.iter_mut().filter_map(|told| told.answer.as_mut()).flat_map(|told| &mut told.keys);
    let keys = explained.flat_map(|of| {
        let of_entry = of.entry.as_mut().and_then(|entry| entry.key.as_mut());
        std::iter::once(&mut of.key).chain(of_entry)
    });
    name_callers(&app, scope.tenant, keys.collect()).await?;
    Ok(Json(CacheExplanation { gateways }))
}

/// What may be looked up is what may be purged by its URL.
async fn check_path(
    app: &App,
    tenant: TenantId,
    api: ApiId,
    path: &str,
    pointer: &'static str,
) -> Result<(), ApiError> {
    let scope = PurgeScope::Url { api, path: path.to_owned() };
    purges::check(app.store.read(), tenant, &scope).await.map_err(|error| match error {
        // There it is a part of something else.
        Error::Invalid(mut fields) => {
            fields.iter_mut().for_each(|field| field.pointer = pointer.to_owned());
            Error::Invalid(fields)
        }
        other => other,
    })?;
    Ok(())
}

/// Gateways know plans by their ids only.
async fn name_plans(
    app: &App,
    tenant: TenantId,
    gateways: &mut [FromGateway<ExplainedRequest>],
) -> Result<(), ApiError> {
    let told = gateways.iter_mut().filter_map(|told| told.answer.as_mut());
    let access: Vec<_> = told.filter_map(|answer| answer.access.as_mut()).collect();
    let ids: Vec<_> = access.iter().filter_map(|access| access.plan).collect();
    let names = names::plans(app.store.read(), tenant, ids).await?;
    for access in access {
        access.plan_name = access.plan.and_then(|id| names.get(&id)).map(|(_, name)| name.clone());
    }
    Ok(())
}

/// Gateways know applications by their ids only.
async fn name_callers(app: &App, tenant: TenantId, keys: Vec<&mut CacheKey>) -> Result<(), ApiError> {
    let ids: Vec<_> = keys.iter().filter_map(|key| key.caller.application).collect();
    let names = names::applications(app.store.read(), tenant, ids).await?;
    for CacheKey { caller, .. } in keys {
        caller.application_name = caller.application.and_then(|id| names.get(&id).cloned());
    }
    Ok(())
}
