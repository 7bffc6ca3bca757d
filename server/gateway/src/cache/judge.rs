//! What to do with a request and what is stored for it: serve, validate, or fetch (RFC 9111 §4).

use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Version, response};
use sluice_contract::calls::CacheOutcome;
use sluice_policies::cache::{CacheRule, UNREACHABLE_S};

use super::account::{Account, Owner};
use super::conditional::Conditions;
use super::directives::Directives;
use super::key::{Digest, Keys, Named, Who};
use super::labels::{self, Label, Labels, Tags};
use super::purges::Verdict;
use super::range::Wanted;
use super::rules::{Audience, Storable};
use super::status::Forward;
use super::stored::Stored;
use crate::pipeline::{
    Authorised, Call, Fetched, Outbound, Outcome, changes_responses, is_https, key_rule, stands_for_https,
};
use crate::state::Snapshot;
use crate::worker::Worker;

/// How stale a response may be that is served because the upstream cannot be reached.
pub(super) const MAX_STALE: Duration = Duration::from_secs(UNREACHABLE_S);
/// A request for the cache.
pub(super) struct Asked<'a> {
    pub(super) worker: Rc<Worker>,
    pub(super) authorised: &'a Authorised,
    pub(super) snapshot: &'a Snapshot,
    pub(super) rule: &'a CacheRule,
    pub(super) keys: Held<'a, Keys>,
    pub(super) directives: Directives,
    pub(super) conditions: Conditions,
    /// Nothing about the request makes its answer differ from what is stored, but for what the gateway adds to any.
    pub(super) plain: bool,
    /// The part of the response that the client wants.
    pub(super) wanted: Option<Wanted>,
    /// The client's headers, by which `Vary` selects; copied only when the store has no answer.
    pub(super) headers: HeaderMap,
    pub(super) head_only: bool,
    /// The request's body is part of the key.
    pub(super) by_body: bool,
    /// Nothing was heard from the control plane lately: a purge may have been missed.
    pub(super) distrust: bool,
}

/// What a request has for itself, or has from one before.
pub(super) enum Held<'a, T> {
    Own(T),
    Lent(&'a T),
}

impl<T> Deref for Held<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Own(own) => own,
            Self::Lent(lent) => lent,
        }
    }
}

/// What the store has for a request.
pub(super) enum Found {
    Fresh(Arc<Stored>),
    /// To be validated.
    Stale(Arc<Stored>),
    Nothing(Forward),
}

impl Found {
    /// Why the upstream has to be asked, if it has.
    pub(super) fn missed(&self) -> Forward {
        match self {
            Self::Fresh(_) | Self::Stale(_) => Forward::Stale,
            Self::Nothing(why) => *why,
        }
    }
}

impl<'a> Asked<'a> {
    pub(super) fn new(
        call: &Call,
        snapshot: &'a Snapshot,
        authorised: &'a Authorised,
        rule: &'a CacheRule,
        outbound: &Outbound,
        body: Option<Digest>,
    ) -> Self {
        // Most requests say nothing to caches: none of these fields has to be looked for.
        let told = call.told.to_caches;
        let head = &outbound.head;
        let matched = &authorised.matched;
        let named = Named {
            api: matched.api.id,
            revision: rule.each_release.then_some(matched.api.revision),
            route: &matched.route().id,
            https: is_https(snapshot, call.peer, &head.headers)
                || stands_for_https(&call.worker, &head.headers),
            host: head.client_host.as_ref().map(HeaderValue::as_bytes).unwrap_or_default(),
            path: &head.path,
            query: head.query.as_deref(),
            headers: &head.headers,
            body,
        };
        let who = Who {
            application: authorised.credential().map(|credential| credential.application),
            forwarded_key: key_rule(snapshot, matched).forwarded(&head.headers),
            personal: call.told.personal,
        };
        let keys = Held::Own(Keys::new(&named, who, rule));
        Self {
            directives: if told && (rule.obeys_callers || call.worker.internal) {
                Directives::of_request(&head.headers)
            } else {
                Directives::default()
            },
            head_only: head.method == Method::HEAD,
            by_body: body.is_some(),
            wanted: told.then(|| Wanted::of(&head.method, &head.headers)).flatten(),
            plain: !told
                && head.method == Method::GET
                && call.version < Version::HTTP_2
                && !changes_responses(snapshot, authorised),
            ..Self::plainly(&call.worker, snapshot, authorised, rule, keys)
        }
    }

    /// What a plain request asks.
    pub(super) fn plainly(
        worker: &Rc<Worker>,
        snapshot: &'a Snapshot,
        authorised: &'a Authorised,
        rule: &'a CacheRule,
        keys: Held<'a, Keys>,
    ) -> Self {
        Self {
            worker: Rc::clone(worker),
            authorised,
            snapshot,
            rule,
            keys,
            directives: Directives::default(),
            conditions: Conditions::default(),
            plain: true,
            wanted: None,
            headers: HeaderMap::new(),
            head_only: false,
            by_body: false,
            distrust: worker.shared.switches.link_stale.load(Ordering::Relaxed),
        }
    }

    /// What is recorded of a call that is answered with a response from the store, without asking the upstream.
    pub(super) fn outcome(&self, stored: &Stored, now: u64) -> CacheOutcome {
        if stored.age(now) <= self.lifetime(stored) { CacheOutcome::Hit } else { CacheOutcome::Stale }
    }

    pub(super) fn now(&self) -> u64 {
        self.worker.shared.clock.now()
    }

    pub(super) fn cache(&self) -> &Arc<super::Cache> {
        &self.worker.shared.cache
    }

    /// Who pays for what is stored.
    pub(super) fn account(&self) -> Arc<Account> {
        let matched = &self.authorised.matched;
        let api = &matched.api;
        self.cache().account(Owner { api: api.id, tenant: api.tenant }, &api.slug, &matched.route().id)
    }

    /// The caller's own copy first: it is the more particular one.
    pub(super) fn look_up(&self, headers: &HeaderMap, now: u64) -> Found {
        let mut why = Forward::UriMiss;
        for key in self.keys.caller().into_iter().chain([self.keys.shared()]) {
            match self.cache().get(key.hash, key.bytes, headers) {
                None => {}
                Some(Some(stored)) if !self.is_for_caller(&stored.storable) => {}
                Some(None) => why = Forward::VaryMiss,
                Some(Some(stored)) if self.verdict(&stored) == Verdict::Gone => {}
                Some(Some(stored)) if self.is_usable(&stored, now) => {
                    return Found::Fresh(stored);
                }
                Some(Some(stored)) => return Found::Stale(stored),
            }
        }
        Found::Nothing(why)
    }

    /// Nothing tells the caller from others, or the request from others for the same URL.
    pub(super) fn is_everybodys(&self) -> bool {
        self.plain && self.keys.caller().is_none()
    }

    /// Whether the caller may have it: what was said to somebody without credentials is not for one who has some, unless
    /// somebody has said that it is for everybody. Cookies alone are none here: most callers of a browser have some, and an
    /// upstream to whom they matter says `Vary: Cookie`.
    pub(super) fn is_for_caller(&self, storable: &Storable) -> bool {
        storable.audience != Audience::Anonymous || !self.keys.has_credentials()
    }

    /// Names the URL for purges.
    pub(super) fn url(&self) -> u64 {
        self.keys.url(&self.authorised.matched.path)
    }

    /// What purges can name of a response with these fields that is for this audience.
    pub(super) fn labels(&self, headers: &HeaderMap, audience: Audience) -> Labels {
        self.labels_of(labels::tags(headers).unwrap_or_default(), audience)
    }

    /// The same, with these tags.
    pub(super) fn labels_of(&self, tags: Tags, audience: Audience) -> Labels {
        let Tags { hashes: mut tags, names } = tags;
        let names = if names.is_empty() { Arc::default() } else { names.into() };
        let application = self.authorised.credential().map(|credential| credential.application);
        if let Some(application) = application.filter(|_| audience == Audience::Caller) {
            tags.push(Label::application(application).hash());
        }
        Labels {
            path: (*self.authorised.matched.path).into(),
            url: self.url(),
            tags: tags.into(),
            names: Some(names),
        }
    }

    /// What purges leave of a stored response.
    pub(super) fn verdict(&self, stored: &Stored) -> Verdict {
        self.authorised.matched.api.purges.verdict(&stored.labels.as_ref(), stored.stamp)
    }

    /// How long it is fresh: a soft purge ends that.
    pub(super) fn lifetime(&self, stored: &Stored) -> Duration {
        let lifetime = stored.storable.lifetime;
        match self.verdict(stored) {
            Verdict::Good => lifetime,
            Verdict::Stale { since } => lifetime.min(stored.age(since)),
            Verdict::Gone => Duration::ZERO,
        }
    }

    /// The head of an answer from what is stored.
    pub(super) fn head(&self, stored: &Stored, now: u64) -> response::Parts {
        stored.head(now, self.rule, self.lifetime(stored))
    }

    /// Older than the policy serves, whoever asks and whatever has become of the upstream.
    fn is_too_old(&self, stored: &Stored, now: u64) -> bool {
        self.rule.oldest.is_some_and(|oldest| stored.age(now) > oldest)
    }

    /// Older than the request accepts. A response that will not change while it is fresh (RFC 8246) is what a reload
    /// (`max-age=0`) would bring, too.
    fn is_older_than_asked(&self, stored: &Stored, now: u64) -> bool {
        let age = stored.age(now);
        let unchanged = stored.storable.immutable && age < self.lifetime(stored);
        !unchanged && self.directives.max_age.is_some_and(|most| age > Duration::from_secs(most))
    }

    /// Fresh enough for what the request asks (RFC 9111 §4.2 and §5.2.1).
    pub(super) fn is_usable(&self, stored: &Stored, now: u64) -> bool {
        let Storable { no_cache, must_revalidate, .. } = stored.storable;
        if no_cache || self.directives.no_cache || self.distrust || self.is_too_old(stored, now) {
            return false;
        }
        if self.is_older_than_asked(stored, now) {
            return false;
        }
        let (age, lifetime) = (stored.age(now), self.lifetime(stored));
        let least = Duration::from_secs(self.directives.min_fresh.unwrap_or(0));
        if age + least < lifetime {
            return true;
        }
        let staleness = age.saturating_sub(lifetime);
        match self.directives.max_stale {
            Some(allowed) if !must_revalidate => {
                allowed.is_none_or(|allowed| staleness <= Duration::from_secs(allowed))
            }
            _ => false,
        }
    }

    /// Why what is stored does not answer: it is not fresh, or fresh but not what the request asks for (RFC 9211 §2.2).
    pub(super) fn why_not(&self, stored: &Stored, now: u64) -> Forward {
        let validated = stored.storable.no_cache || self.distrust || self.is_too_old(stored, now);
        let fresh = !validated && stored.age(now) < self.lifetime(stored);
        if fresh { Forward::Request } else { Forward::Stale }
    }

    /// Whether a stale response may be served at once while a new one is fetched.
    pub(super) fn may_refresh_behind(&self, stored: &Stored, now: u64) -> bool {
        let Storable { no_cache, must_revalidate, while_revalidate, .. } = stored.storable;
        let asks_for_fresh = self.directives.no_cache
            || self.directives.min_fresh.is_some()
            || self.is_older_than_asked(stored, now)
            || self.is_too_old(stored, now);
        let staleness = stored.age(now).saturating_sub(self.lifetime(stored));
        let forbidden = no_cache || must_revalidate || asks_for_fresh || self.distrust || self.head_only;
        !forbidden && staleness < while_revalidate
    }

    /// Whether a stored response may stand in for an upstream that cannot be reached (RFC 9111 §4.2.4), or for an error
    /// that it sends where somebody has said so (RFC 5861 §4).
    pub(super) fn may_replace(&self, stored: &Stored, fetched: &Outcome<(response::Parts, Fetched)>) -> bool {
        let Storable { no_cache, must_revalidate, if_error, .. } = stored.storable;
        // The caller may accept more than the upstream and the policy offer.
        let asked = self.directives.stale_if_error.map(Duration::from_secs);
        let most = match fetched {
            Ok((head, _)) if matches!(head.status.as_u16(), 500 | 502 | 503 | 504) => if_error.max(asked),
            Err(failure) if failure.kind.is_upstream_down() => Some(if_error.unwrap_or(MAX_STALE)).max(asked),
            _ => None,
        };
        let forbidden = no_cache || must_revalidate || self.directives.no_cache || self.distrust;
        let now = self.now();
        let forbidden = forbidden || self.is_too_old(stored, now);
        let staleness = stored.age(now).saturating_sub(self.lifetime(stored));
        !forbidden && most.is_some_and(|most| staleness <= most)
    }
}
