//! Whether a request that nobody has sent would be let in, for people who ask: by the rules of the stages before the cache.

use std::sync::Arc;

use http::HeaderMap;
use sluice_contract::definition::Access;
use sluice_contract::ids::{ApplicationId, TenantId};
use sluice_contract::rest::cache::{AccessRefusal, ExplainedAccess, ExplainedLimit};
use sluice_policies::rate_limit::Decision;

use super::failure::Kind;
use super::route::Matched;
use super::{authenticate, authorise, limit};
use crate::compile::{BoundLimit, Credential};
use crate::shared::Shared;
use crate::state::Snapshot;

/// Who is asked about: the key that the request carries, else any key of the application.
pub(crate) struct Applicant<'r> {
    pub(crate) application: Option<ApplicationId>,
    pub(crate) headers: &'r HeaderMap,
    pub(crate) query: Option<&'r str>,
}

/// What the stages of authentication, authorisation and limits would say, and whose call it would be; nothing is taken from a limit.
pub(crate) fn let_in(
    shared: &Shared,
    snapshot: &Snapshot,
    matched: &Matched,
    applicant: &Applicant<'_>,
) -> (ExplainedAccess, Option<ApplicationId>) {
    let access = matched.route().access;
    let Heard { credential, application } = hear(snapshot, matched, applicant);
    let (credential, refused) = match credential {
        Ok(credential) => (Some(credential), None),
        Err(refusal) => (None, (access == Access::Subscription).then_some(refusal)),
    };
    let subscription = credential.and_then(|known| known.subscription(matched.api.id));
    let refused = refused.or_else(|| match authorise::refusal(access, subscription)? {
        Kind::Suspended => Some(AccessRefusal::SubscriptionSuspended),
        _ => Some(AccessRefusal::NotSubscribed),
    });
    let holding = limit::peek(shared, snapshot, matched, credential.map(|known| &**known), subscription);
    let limits: Vec<_> = holding.into_iter().map(|(bound, decision)| told(bound, decision)).collect();
    let used_up = limits.iter().any(|limit| limit.remaining == Some(0));
    let told = ExplainedAccess {
        access,
        refusal: refused.or(used_up.then_some(AccessRefusal::RateLimited)),
        plan: subscription.map(|subscription| subscription.plan),
        plan_name: None,
        limits,
    };
    (told, application)
}

/// Who calls.
struct Heard<'s> {
    credential: Result<&'s Arc<Credential>, AccessRefusal>,
    /// Known by its key; or, where the request carries none, assumed to be known.
    application: Option<ApplicationId>,
}

fn hear<'s>(snapshot: &'s Snapshot, matched: &Matched, applicant: &Applicant<'_>) -> Heard<'s> {
    let tenant = matched.api.tenant;
    let rule = authenticate::rule(snapshot, matched);
    let Some(found) = rule.find(applicant.headers, applicant.query) else {
        let credential = any_key(snapshot, tenant, applicant.application);
        return Heard { credential, application: applicant.application };
    };
    let known = authenticate::holder(snapshot, tenant, &found.key).ok_or(AccessRefusal::UnknownKey);
    let credential = known.and_then(|known| {
        if authenticate::has_expired(known) { Err(AccessRefusal::ExpiredKey) } else { Ok(known) }
    });
    Heard { application: credential.ok().map(|known| known.application), credential }
}

/// A key of the application with which it could call.
fn any_key(
    snapshot: &Snapshot,
    tenant: TenantId,
    application: Option<ApplicationId>,
) -> Result<&Arc<Credential>, AccessRefusal> {
    let mut refusal = AccessRefusal::MissingKey;
    let own = |key: &&Arc<Credential>| key.tenant == tenant && Some(key.application) == application;
    for key in snapshot.credentials.iter().filter(own) {
        if !authenticate::has_expired(key) {
            return Ok(key);
        }
        refusal = AccessRefusal::ExpiredKey;
    }
    Err(refusal)
}

fn told(bound: &BoundLimit, decision: Option<Decision>) -> ExplainedLimit {
    let BoundLimit { limit, name, .. } = bound;
    let (remaining, retry_s) = match decision {
        None => (None, None),
        // What would remain after this one, and this one.
        Some(Decision::Allowed { remaining, .. }) => (Some(remaining + 1), None),
        Some(Decision::Refused { retry_s }) => (Some(0), Some(retry_s)),
    };
    ExplainedLimit {
        name: (*name).to_owned(),
        requests: limit.requests,
        period_s: limit.period_s,
        remaining,
        retry_s,
    }
}
