//! Whether the caller may call this API. Later stages take only what comes out of here.

use sluice_contract::definition::Access;
use sluice_policies::cache::CacheRule;
use sluice_policies::key_auth::Place;

use super::Call;
use super::authenticate::Caller;
use super::failure::{Kind, Outcome};
use super::route::Matched;
use crate::compile::{Credential, Subscription};

/// A request that may be served: nothing else makes one of these.
#[derive(Clone)]
pub(crate) struct Authorised {
    pub(crate) matched: Matched,
    caller: Option<Caller>,
    subscription: Option<usize>,
}

/// Checks the subscription where one is needed.
pub(super) fn authorise(call: &mut Call, matched: Matched, caller: Option<Caller>) -> Outcome<Authorised> {
    let subscriptions = caller.as_ref().map(|caller| &caller.credential.subscriptions);
    let subscription = caller.as_ref().and_then(|caller| caller.credential.subscription(matched.api.id));
    if !call.worker.internal {
        match refusal(matched.route().access, subscription) {
            Some(Kind::Suspended) => {
                return Err(Kind::Suspended.because("Ask who approves subscriptions to this API."));
            }
            Some(kind) => return Err(kind.because("Ask for a subscription in the catalogue.")),
            None => {}
        }
    }
    let id = subscription.map(|subscription| subscription.id);
    call.subscription = id.zip(subscriptions).and_then(|(id, all)| all.iter().position(|one| one.id == id));
    Ok(Authorised { matched, caller, subscription: call.subscription })
}

/// Why somebody with this subscription to the API, or none, may not call.
pub(super) fn refusal(access: Access, subscription: Option<&Subscription>) -> Option<Kind> {
    match (access, subscription) {
        (Access::Public, _) => None,
        (Access::Subscription, None) => Some(Kind::NotSubscribed),
        (Access::Subscription, Some(subscription)) => subscription.suspended.then_some(Kind::Suspended),
    }
}

impl Authorised {
    pub(crate) fn credential(&self) -> Option<&Credential> {
        self.caller.as_ref().map(|caller| &*caller.credential)
    }

    /// The subscription that the call is made under.
    pub(crate) fn subscription(&self) -> Option<&Subscription> {
        self.credential()?.subscriptions.get(self.subscription?)
    }

    /// Where the key was.
    pub(crate) fn key_place(&self) -> Option<Place> {
        self.caller.as_ref().map(|caller| caller.place)
    }

    pub(crate) fn cache_rule(&self) -> Option<&CacheRule> {
        self.matched.policies().cache.as_ref()
    }
}
