//! From advice to the policy: what it takes, and what is predicted of it.

use serde_json::json;
use sluice_contract::definition::{ApiDefinition, PolicyAttachment};
use sluice_contract::rest::apis::{Api, UpdateApi};
use sluice_contract::rest::cache_advice::{CacheAdvice, CachePrediction, MakeCachePolicy, RouteAdvice};

use super::CACHE;
use crate::problem::ApiError;

/// What is predicted of the policy, by whom it is made.
///
/// # Errors
/// 422 for a route or a lifetime that nothing is known of, 409 `has_policy` and `unconfirmed`.
pub(super) fn check(
    draft: &ApiDefinition,
    advice: &CacheAdvice,
    wanted: &MakeCachePolicy,
    by: &str,
) -> Result<CachePrediction, ApiError> {
    let MakeCachePolicy { route, ttl_s, confirmed } = wanted;
    let unknown = |pointer: &str, message: &str| ApiError::invalid_field(pointer, "unknown", message);
    let found = draft.routes.iter().find(|it| it.id == *route);
    let found = found.ok_or_else(|| unknown("/route", "The draft has no such route."))?;
    let of_route = advice.routes.iter().find(|it| it.route == *route);
    // One that is off was switched off by somebody, who may have had a reason.
    if found.policies.iter().any(|it| it.kind == CACHE) || of_route.is_some_and(|it| it.covered) {
        let message = format!("`{route}` has a cache policy already: change that.");
        return Err(ApiError::conflict("has_policy", message));
    }
    let of_route = of_route.ok_or_else(|| {
        unknown("/route", "It was called too seldom in the last day to tell anything of it.")
    })?;
    let chosen = of_route.choices.iter().find(|choice| choice.ttl_s == *ttl_s);
    let chosen = chosen.ok_or_else(|| unknown("/ttl_s", "Not one of the lifetimes of the advice."))?;
    if of_route.to_confirm && !confirmed {
        let message = "Something tells against keeping these responses: read it, and confirm.";
        return Err(ApiError::conflict("unconfirmed", message));
    }
    let RouteAdvice { calls, .. } = of_route;
    Ok(CachePrediction {
        ttl_s: *ttl_s,
        hit_ratio: chosen.hit_ratio,
        memory_bytes: chosen.memory_bytes,
        saved_us_per_call: chosen.saved_us.checked_div(*calls).unwrap_or_default(),
        calls: *calls,
        made_at: sluice_store::now(),
        made_by: by.to_owned(),
    })
}

/// The API with the policy on the route.
pub(super) fn attached(before: Api, wanted: &MakeCachePolicy) -> UpdateApi {
    let Api { name, description, team, listed, mut draft, .. } = before;
    if let Some(route) = draft.routes.iter_mut().find(|it| it.id == wanted.route) {
        let settings = json!({ "ttl_s": wanted.ttl_s });
        route.policies.push(PolicyAttachment { kind: CACHE.to_owned(), enabled: true, settings });
    }
    UpdateApi { name, description, team, listed, draft }
}
