//! Rates: of the environment, the API or route, the plan and the application, all at once.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::BytesMut;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use sluice_policies::rate_limit::{Counter, CounterKey, Decision};

use super::failure::{Failure, Kind, Outcome};
use super::route::Matched;
use super::{Authorised, Call};
use crate::compile::{BoundLimit, Counting, Credential, Subscription};
use crate::http1::fields::write_one;
use crate::shared::Shared;
use crate::state::Snapshot;

static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
static RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// What is said of limits: the gateway's where it has some, else the upstream's.
pub(crate) static RATE_FIELDS: [&HeaderName; 2] = [&RATE_LIMIT, &RATE_LIMIT_POLICY];

/// `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers) of the limit that is nearest to its end.
#[derive(Clone, Debug)]
pub(crate) struct RateFields {
    limit: HeaderValue,
    policy: HeaderValue,
}

impl RateFields {
    /// Adds them to those of an answer.
    pub(super) fn add(&self, headers: &mut HeaderMap) {
        headers.insert(RATE_LIMIT.clone(), self.limit.clone());
        headers.insert(RATE_LIMIT_POLICY.clone(), self.policy.clone());
    }

    /// Writes them as HTTP/1 does.
    pub(crate) fn write(&self, into: &mut BytesMut) {
        write_one(&RATE_LIMIT, self.limit.as_bytes(), into);
        write_one(&RATE_LIMIT_POLICY, self.policy.as_bytes(), into);
    }
}

/// Takes one request from every limit that holds for the call, or none from any.
pub(super) fn take(snapshot: &Snapshot, call: &mut Call, authorised: &Authorised) -> Outcome<()> {
    if call.worker.internal {
        return Ok(());
    }
    match allow(&call.worker.shared, snapshot, authorised, call.client, call.moment()) {
        Ok(rate) => {
            call.rate = rate;
            Ok(())
        }
        Err((bound, retry_s)) => {
            call.rate = Some(fields(bound, 0, retry_s));
            Err(refused(bound, retry_s))
        }
    }
}

/// Takes one request of a client from every limit that holds, and says what is to be told of them. Err: none from any, since this
/// one is used up for so many seconds.
pub(super) fn allow<'l>(
    shared: &Shared,
    snapshot: &'l Snapshot,
    authorised: &'l Authorised,
    client: IpAddr,
    now: u64,
) -> Result<Option<RateFields>, (&'l BoundLimit, u64)> {
    let mut taken: Vec<(&BoundLimit, Taken<'_>)> = Vec::new();
    let mut tightest: Option<(&BoundLimit, u64, u64)> = None;
    let (matched, credential) = (&authorised.matched, authorised.credential());
    for bound in all(snapshot, matched, credential, authorised.subscription()) {
        let subject = || subject(credential, Some(client));
        let Some(counter) = counter(shared, bound, subject) else { continue };
        match counter.get().take(&bound.limit, now) {
            Decision::Allowed { remaining, reset_s } => {
                if tightest.is_none_or(|(_, least, _)| remaining < least) {
                    tightest = Some((bound, remaining, reset_s));
                }
                taken.push((bound, counter));
            }
            Decision::Refused { retry_s } => {
                taken.iter().for_each(|(bound, counter)| counter.get().give_back(&bound.limit));
                return Err((bound, retry_s));
            }
        }
    }
    Ok(tightest.map(|(bound, remaining, reset_s)| fields(bound, remaining, reset_s)))
}

/// A counter, held by the limit or looked up.
enum Taken<'l> {
    Held(&'l Counter),
    Found(Arc<Counter>),
}

impl Taken<'_> {
    fn get(&self) -> &Counter {
        match self {
            Self::Held(counter) => counter,
            Self::Found(counter) => counter,
        }
    }
}

/// What the limits that hold would say to a request, widest first, without taking from any. None: a limit counts by address.
pub(super) fn peek<'s>(
    shared: &Shared,
    snapshot: &'s Snapshot,
    matched: &'s Matched,
    credential: Option<&'s Credential>,
    subscription: Option<&'s Subscription>,
) -> Vec<(&'s BoundLimit, Option<Decision>)> {
    let now = shared.clock.now();
    let decision = |bound: &BoundLimit| {
        let counter = counter(shared, bound, || subject(credential, None))?;
        Some(counter.get().peek(&bound.limit, now))
    };
    all(snapshot, matched, credential, subscription).map(|bound| (bound, decision(bound))).collect()
}

/// The limits that hold: widest first.
fn all<'a>(
    snapshot: &'a Snapshot,
    matched: &'a Matched,
    credential: Option<&'a Credential>,
    subscription: Option<&'a Subscription>,
) -> impl Iterator<Item = &'a BoundLimit> {
    let environment = &snapshot.settings.policies.limits;
    let route = &matched.policies().limits;
    let application = credential.map(|credential| &credential.limits[..]).unwrap_or_default();
    let plan = subscription.map(|subscription| &subscription.limits[..]).unwrap_or_default();
    environment.iter().chain(route).chain(application).chain(plan)
}

/// What a limit counts in. None: it counts somebody who is nobody yet.
fn counter<'l>(
    shared: &Shared,
    bound: &'l BoundLimit,
    subject: impl FnOnce() -> Option<u128>,
) -> Option<Taken<'l>> {
    Some(match &bound.counting {
        Counting::One(counter) => Taken::Held(counter),
        Counting::Caller { limit, index } => {
            let key = CounterKey { limit: *limit, subject: subject()?, index: *index };
            Taken::Found(shared.compiler.counters.counter(key))
        }
    })
}

/// Whom a limit for each caller counts: the application, else the address.
fn subject(credential: Option<&Credential>, client: Option<IpAddr>) -> Option<u128> {
    if let Some(credential) = credential {
        return Some(credential.application.0.as_u128());
    }
    Some(match client? {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        // A household has at least a /64: addresses in it are one caller.
        IpAddr::V6(v6) => v6.to_bits() >> 64,
    })
}

fn refused(bound: &BoundLimit, retry_s: u64) -> Box<Failure> {
    let BoundLimit { limit, name, .. } = bound;
    let detail = format!(
        "The {name} allows {} requests in {} seconds; the next is allowed in {retry_s} seconds.",
        limit.requests, limit.period_s
    );
    Kind::RateLimited.because(detail).retry_after(retry_s)
}

fn fields(bound: &BoundLimit, remaining: u64, reset_s: u64) -> RateFields {
    let mut text = String::with_capacity(48);
    text.push('"');
    text.push_str(bound.name);
    text.push_str("\";r=");
    text.push_str(itoa::Buffer::new().format(remaining));
    text.push_str(";t=");
    text.push_str(itoa::Buffer::new().format(reset_s));
    let limit = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
    RateFields { limit, policy: bound.policy.clone() }
}
