//! What the cache would do with a request, and whether it would get so far, by the same rules that serve one, for people who ask.

use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use sluice_contract::ids::{ApiId, TenantId};
use sluice_contract::rest::cache::{
    CacheReason, CacheRequest, ExplainedKey, ExplainedRequest, ExplainedStoring, RequestField,
};
use sluice_policies::cache::CacheRule;

use super::conditional;
use super::directives::Directives;
use super::inspect::{Sought, Teller, copies, digest, for_whom};
use super::invalidate;
use super::key::{Key, Keys, Named, Who};
use super::range::Wanted;
use super::rules::{Audience, Given, storable};
use super::serve::body_digest;
use crate::compile::Api;
use crate::pipeline::{Applicant, Assumed, assume, key_rule, let_in};
use crate::shared::Shared;

/// What would become of a request to an API of the tenant. None: it cannot be one.
pub(crate) async fn explain(
    shared: &Arc<Shared>,
    tenant: TenantId,
    api: ApiId,
    request: Box<CacheRequest>,
) -> Option<ExplainedRequest> {
    let memory = Arc::clone(shared);
    let looked = tokio::task::spawn_blocking(move || in_memory(&memory, tenant, api, &request)).await;
    let (mut told, wanted) = looked.ok()??;
    for (key, copy) in told.keys.iter_mut().zip(copies(shared, wanted).await) {
        key.copy = copy;
    }
    Some(told)
}

/// With what is to be looked for in the second level, key by key.
fn in_memory(
    shared: &Shared,
    tenant: TenantId,
    api: ApiId,
    request: &CacheRequest,
) -> Option<(ExplainedRequest, Vec<Option<Sought>>)> {
    let method = Method::from_bytes(request.method.as_bytes()).ok()?;
    let headers = fields(&request.headers)?;
    let snapshot = shared.snapshot();
    let served = snapshot.apis.get(api).filter(|served| served.tenant == tenant);
    let mut told = ExplainedRequest {
        route: None,
        access: None,
        reasons: vec![],
        cached: false,
        keys: vec![],
        stored: None,
    };
    let assumed = served.and_then(|served| assume(&snapshot, served, &method, &request.path, &headers));
    let (Some(assumed), Some(served)) = (assumed, served) else {
        told.reasons.push(CacheReason::NoRoute);
        return Some((told, Vec::new()));
    };
    told.route = Some(assumed.matched.route().id.to_string());
    let query = request.path.split_once('?').map(|(_, query)| query);
    let applicant = Applicant { application: request.application, headers: &headers, query };
    let (access, application) = let_in(shared, &snapshot, &assumed.matched, &applicant);
    told.access = Some(access);
    let Some(rule) = &assumed.matched.policies().cache else {
        told.reasons.push(CacheReason::NoPolicy);
        return Some((told, Vec::new()));
    };
    told.reasons = reasons(rule, &method, &headers, &assumed, request);
    told.cached = !told.reasons.iter().any(|reason| goes_past(*reason));
    let asks_by_body = method == Method::POST && rule.post_max_body_bytes.is_some();
    let said = request.body.as_deref().unwrap_or_default().as_bytes();
    let body = asks_by_body.then(|| body_digest(&headers, std::iter::once(said)));
    let named = Named { body, ..named(served, &assumed, rule, (request.https, &request.host), &headers) };
    let who = Who {
        application,
        forwarded_key: key_rule(&snapshot, &assumed.matched).forwarded(&headers),
        personal: assumed.personal,
    };
    let keys = Keys::new(&named, who, rule);
    let teller = Teller::new(shared, &snapshot, served);
    let tags: Vec<u64> = application.map(|id| super::Label::application(id).hash()).into_iter().collect();
    let path = &assumed.matched.path;
    let place = (&**path, keys.query(), keys.url(path));
    let looked = keys.caller().into_iter().chain([keys.shared()]).filter_map(|key| {
        let wanted = Sought::new((shared, &snapshot, served), place, key.bytes, headers.clone());
        Some((found(shared, &teller, key, &keys, &headers, &tags)?, wanted))
    });
    let wanted;
    (told.keys, wanted) = looked.unzip();
    let takes_part = told.reasons.contains(&CacheReason::Range);
    if told.cached && !takes_part && fills(&method, asks_by_body) {
        let method = if asks_by_body { Method::POST } else { Method::GET };
        told.stored = storing(request, &method, keys.caller().is_some(), rule)?;
        if told.stored.is_none() {
            told.reasons.push(CacheReason::NotStorable);
        }
    }
    Some((told, wanted))
}

/// What tells the response to a request without a body from others; a host over TLS or not.
pub(super) fn named<'r>(
    api: &Api,
    assumed: &'r Assumed,
    rule: &CacheRule,
    (https, host): (bool, &'r str),
    headers: &'r HeaderMap,
) -> Named<'r> {
    Named {
        api: api.id,
        revision: rule.each_release.then_some(api.revision),
        route: &assumed.matched.route().id,
        https,
        host: host.as_bytes(),
        path: &assumed.path,
        query: assumed.query.as_deref(),
        headers,
        body: None,
    }
}

/// Whether what the upstream says to it may be stored.
fn fills(method: &Method, asks_by_body: bool) -> bool {
    *method == Method::GET || asks_by_body
}

fn found(
    shared: &Shared,
    teller: &Teller<'_>,
    key: Key<'_>,
    keys: &Keys,
    headers: &HeaderMap,
    tags: &[u64],
) -> Option<ExplainedKey> {
    let kept = shared.cache.find(key.hash, key.bytes, headers);
    let entry = kept.as_ref().map(|kept| teller.entry(kept));
    // As the lookup has it: what was said to somebody without credentials is not for one who has some.
    let usable = kept
        .is_some_and(|kept| kept.stored.storable.audience != Audience::Anonymous || !keys.has_credentials());
    let (hash, key) = (digest(key.bytes), teller.key(key.bytes, tags)?);
    Some(ExplainedKey { hash, key, entry, usable, copy: None })
}

/// In the order in which a request meets them.
fn reasons(
    rule: &CacheRule,
    method: &Method,
    headers: &HeaderMap,
    assumed: &Assumed,
    request: &CacheRequest,
) -> Vec<CacheReason> {
    let told = assumed.to_caches;
    let directives =
        if told && rule.obeys_callers { Directives::of_request(headers) } else { Directives::default() };
    let has_body = request.body.as_ref().is_some_and(|body| !body.is_empty());
    let asks_by_body = method == Method::POST && rule.post_max_body_bytes.is_some();
    let too_long = || {
        let length = request.body.as_ref().map_or(0, |body| body.len() as u64);
        rule.post_max_body_bytes.is_some_and(|most| length > most)
    };
    let checks = [
        (!asks_by_body && !invalidate::is_cacheable(method), CacheReason::Method),
        (asks_by_body && too_long(), CacheReason::Body),
        (rule.strong, CacheReason::StrongConsistency),
        (directives.no_store, CacheReason::NoStore),
        (told && conditional::is_for_upstream(headers), CacheReason::Condition),
        (invalidate::is_cacheable(method) && has_body, CacheReason::Body),
        (told && Wanted::of(method, headers).is_some(), CacheReason::Range),
        (directives.no_cache, CacheReason::Validates),
        (directives.only_if_cached, CacheReason::OnlyIfCached),
        (method == Method::HEAD, CacheReason::Head),
    ];
    checks.into_iter().filter_map(|(holds, reason)| holds.then_some(reason)).collect()
}

/// Whether a request goes to the upstream whatever is stored, and leaves nothing.
fn goes_past(reason: CacheReason) -> bool {
    match reason {
        CacheReason::NoRoute
        | CacheReason::NoPolicy
        | CacheReason::StrongConsistency
        | CacheReason::Method
        | CacheReason::NoStore
        | CacheReason::Condition
        | CacheReason::Body => true,
        CacheReason::Range
        | CacheReason::Validates
        | CacheReason::OnlyIfCached
        | CacheReason::Head
        | CacheReason::NotStorable => false,
    }
}

/// How the assumed response would be stored. The outer None: it cannot be one.
fn storing(
    request: &CacheRequest,
    method: &Method,
    identified: bool,
    rule: &CacheRule,
) -> Option<Option<ExplainedStoring>> {
    let status = StatusCode::from_u16(request.response_status).ok()?;
    let headers = fields(&request.response_headers)?;
    let plan = storable(Given { method, status, headers: &headers }, identified, rule);
    Some(plan.map(|plan| ExplainedStoring {
        for_whom: for_whom(plan.audience),
        lifetime_s: plan.lifetime.as_secs(),
        stale_while_revalidate_s: plan.while_revalidate.as_secs(),
        stale_if_error_s: plan.if_error.map(|window| window.as_secs()),
        no_cache: plan.no_cache,
        must_revalidate: plan.must_revalidate,
    }))
}

fn fields(fields: &[RequestField]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for RequestField { name, value } in fields {
        headers.append(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?);
    }
    Some(headers)
}
