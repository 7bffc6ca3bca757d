//! Whose key it is.

use std::sync::{Arc, LazyLock};

use chrono::Utc;
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use http::request::Parts;
use sluice_contract::definition::Access;
use sluice_contract::ids::TenantId;
use sluice_contract::part::Sha256Hash;
use sluice_policies::key_auth::{KeyRule, Place};
use subtle::ConstantTimeEq as _;

use super::failure::{Failure, Kind, Outcome};
use super::route::Matched;
use super::{Call, address};
use crate::compile::Credential;
use crate::state::Snapshot;

/// A caller who is known.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) credential: Arc<Credential>,
    pub(crate) place: Place,
}

/// The caller, if the route has to know it. A route for anybody still knows a caller who brings a valid key, so that
/// records and limits are the caller's; a key that is not valid is no hindrance there.
pub(super) fn caller(
    snapshot: &Snapshot,
    call: &mut Call,
    matched: &Matched,
    head: &Parts,
) -> Outcome<Option<Caller>> {
    let rule = rule(snapshot, matched);
    // Whatever comes of it, a key in the query reaches neither upstream, cache key nor record.
    call.clean_query = rule.strip_query(head.uri.query());
    let public = matched.route().access == Access::Public || call.worker.internal;
    let refuse = |kind, detail| if public { Ok(None) } else { Err(refusal(rule, kind, detail)) };
    let Some(found) = rule.find(&head.headers, head.uri.query()) else {
        return refuse(Kind::MissingKey, "Send a key with the request.");
    };
    let may_be_plain = call.worker.shared.plain_keys;
    if !may_be_plain && !address::is_private(snapshot, call.peer, call.client, &head.headers) {
        return refuse(
            Kind::PlainKey,
            "Somebody on the way may have read the key. Call over HTTPS, with a new key.",
        );
    }
    let Some(credential) = holder(snapshot, matched.api.tenant, &found.key) else {
        return refuse(Kind::UnknownKey, "The key is wrong or revoked.");
    };
    if has_expired(credential) {
        return refuse(Kind::ExpiredKey, "Ask for a new key.");
    }
    call.credential = Some(Arc::clone(credential));
    Ok(Some(Caller { credential: Arc::clone(credential), place: found.place }))
}

/// Whose key it is. Keys of other tenants are as unknown as keys that do not exist.
pub(super) fn holder<'s>(
    snapshot: &'s Snapshot,
    tenant: TenantId,
    key: &[u8],
) -> Option<&'s Arc<Credential>> {
    let hash = Sha256Hash::of(key);
    let known = snapshot.credentials.get(&hash).filter(|key| bool::from(key.hash.0.ct_eq(&hash.0)));
    known.filter(|key| key.tenant == tenant)
}

pub(super) fn has_expired(credential: &Credential) -> bool {
    credential.expires_at.is_some_and(|at| at <= Utc::now())
}

/// Where keys stand: what the route, the API or the environment says, else the default header.
pub(crate) fn rule<'s>(snapshot: &'s Snapshot, matched: &'s Matched) -> &'s KeyRule {
    static DEFAULT: LazyLock<KeyRule> = LazyLock::new(KeyRule::default);
    matched.policies().key.as_ref().or(snapshot.settings.policies.key.as_ref()).unwrap_or(&DEFAULT)
}

fn refusal(rule: &KeyRule, kind: Kind, detail: &'static str) -> Box<Failure> {
    let challenge = HeaderValue::from_str(&rule.challenge()).unwrap_or(HeaderValue::from_static("ApiKey"));
    kind.because(detail).with(WWW_AUTHENTICATE, challenge)
}
