//! What happens to a call on a route with the cache policy.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, Method, StatusCode, response};
use sluice_contract::calls::CacheOutcome;
use sluice_policies::cache::CacheRule;

use super::conditional::{self, Conditions};
use super::directives::Directives;
use super::fill::{Fill, Recipe};
use super::flight::{Boarding, Flight, Flights, Stage};
use super::key::{Key, Keys};
use super::purges::Stamp;
use super::range::Wanted;
use super::rules::{Audience, Storable, storable};
use super::status::{Did, Forward, forwarded, say};
use super::stored::{Stored, stored_headers, updated_headers};
use super::vary::Selecting;
use super::{freshness, invalidate};
use crate::body::Origin;
use crate::pipeline::{Answer, Authorised, Call, Fetched, Kind, Outbound, Outcome, fetch, forward};
use crate::state::Snapshot;
use crate::worker::Worker;

/// How long to wait for another's fetch before fetching oneself.
const PATIENCE: Duration = Duration::from_secs(10);
/// How stale a response may be that is served because the upstream cannot be reached.
const MAX_STALE: Duration = Duration::from_secs(86_400);

/// A request for the cache.
struct Asked<'a> {
    worker: Rc<Worker>,
    authorised: &'a Authorised,
    snapshot: &'a Snapshot,
    rule: &'a CacheRule,
    keys: Keys,
    directives: Directives,
    conditions: Conditions,
    /// The part of the response that the client wants.
    wanted: Option<Wanted>,
    /// The client's headers, by which `Vary` selects; copied only when the store has no answer.
    headers: HeaderMap,
    head_only: bool,
    /// Nothing was heard from the control plane lately: a purge may have been missed.
    distrust: bool,
}

/// When a fetch began and how long its head took.
#[derive(Clone, Copy)]
struct Timing {
    stamp: Stamp,
    took: Duration,
}

/// What the store has for a request.
enum Found {
    Fresh(Arc<Stored>),
    /// To be validated.
    Stale(Arc<Stored>),
    Nothing(Forward),
}

/// Answers from the store, or from the upstream, storing what it says. What goes to the upstream is boxed, so that a hit
/// does not carry the size of a fetch.
pub(crate) async fn serve(
    call: &mut Call,
    snapshot: &Snapshot,
    authorised: &Authorised,
    rule: &CacheRule,
    mut outbound: Outbound,
) -> Outcome<Answer> {
    if !invalidate::is_cacheable(&outbound.head.method) {
        let mut answer = Box::pin(forward(call, snapshot, authorised, outbound)).await?;
        invalidate::after(call, authorised, rule, answer.head.status, &answer.head.headers);
        forwarded(&mut answer.head.headers, Forward::Method);
        return Ok(answer);
    }
    let mut asked = Asked::new(call, snapshot, authorised, rule, &outbound);
    if asked.directives.no_store
        || conditional::is_for_upstream(&outbound.head.headers)
        || !outbound.body.is_empty()
    {
        let mut answer = Box::pin(forward(call, snapshot, authorised, outbound)).await?;
        forwarded(&mut answer.head.headers, Forward::Bypass);
        return Ok(answer);
    }
    let now = call.moment();
    let found = asked.look_up(&outbound.head.headers, now);
    call.mark("cache");
    match &found {
        Found::Fresh(stored) => {
            asked.conditions = Conditions::take(&mut outbound.head.headers);
            let fresh = stored.age(now) <= stored.storable.lifetime;
            call.cache = if fresh { CacheOutcome::Hit } else { CacheOutcome::Stale };
            return Ok(asked.answer(stored, now));
        }
        _ if asked.directives.only_if_cached => {
            return Err(Kind::OnlyIfCached.because("The request allows only a stored response."));
        }
        // A part alone is not stored, and to fetch the whole for it could cost far more than was asked for.
        _ if asked.wanted.is_some() => {
            let mut answer = Box::pin(forward(call, snapshot, authorised, outbound)).await?;
            forwarded(&mut answer.head.headers, Forward::Bypass);
            return Ok(answer);
        }
        _ => {
            asked.conditions = Conditions::take(&mut outbound.head.headers);
            asked.headers = outbound.head.headers.clone();
        }
    }
    match found {
        Found::Stale(stored) if asked.may_refresh_behind(&stored, now) => {
            call.cache = CacheOutcome::Stale;
            let answer = asked.answer(&stored, now);
            tokio::task::spawn_local(refresh(call.behind(), authorised.clone(), outbound, stored));
            Ok(answer)
        }
        Found::Fresh(stored) | Found::Stale(stored) => {
            Box::pin(asked.fetch(call, outbound, Some(stored), Forward::Stale)).await
        }
        Found::Nothing(why) => Box::pin(asked.fetch(call, outbound, None, why)).await,
    }
}

/// Fetches a response anew behind an answer that was stale (RFC 5861 §3); one at a time for each key.
async fn refresh(mut call: Call, authorised: Authorised, outbound: Outbound, stored: Arc<Stored>) {
    let worker = Rc::clone(&call.worker);
    let snapshot = worker.snapshot();
    let Some(rule) = authorised.cache_rule() else { return };
    let asked = Asked::new(&call, &snapshot, &authorised, rule, &outbound);
    let asked = Asked { headers: outbound.head.headers.clone(), ..asked };
    let own = asked.keys.own();
    if let Boarding::Leader(flight) = Flights::board(asked.cache(), own.hash, &own.bytes) {
        // Whoever asks next sees what came of it.
        let _ = asked.fetch_alone(&mut call, outbound, Some(stored), Forward::Stale, Some(flight)).await;
    }
}

impl<'a> Asked<'a> {
    fn new(
        call: &Call,
        snapshot: &'a Snapshot,
        authorised: &'a Authorised,
        rule: &'a CacheRule,
        outbound: &Outbound,
    ) -> Self {
        Self {
            worker: Rc::clone(&call.worker),
            authorised,
            snapshot,
            rule,
            keys: Keys::new(authorised, &outbound.head, rule),
            directives: Directives::of_request(&outbound.head.headers),
            head_only: outbound.head.method == Method::HEAD,
            headers: HeaderMap::new(),
            conditions: Conditions::default(),
            wanted: Wanted::of(&outbound.head.method, &outbound.head.headers),
            distrust: call.worker.shared.switches.link_stale.load(Ordering::Relaxed),
        }
    }

    fn now(&self) -> u64 {
        self.worker.shared.clock.now()
    }

    fn cache(&self) -> &Arc<super::Cache> {
        &self.worker.shared.cache
    }

    /// The caller's own copy first: it is the more particular one.
    fn look_up(&self, headers: &HeaderMap, now: u64) -> Found {
        let mut why = Forward::UriMiss;
        for key in self.keys.caller.iter().chain([&self.keys.shared]) {
            match self.cache().get(key.hash, &key.bytes, headers) {
                None => {}
                Some(None) => why = Forward::VaryMiss,
                Some(Some(stored)) if self.is_purged(&stored) => {}
                Some(Some(stored)) if self.is_usable(&stored, now) => {
                    return Found::Fresh(stored);
                }
                Some(Some(stored)) => return Found::Stale(stored),
            }
        }
        Found::Nothing(why)
    }

    fn is_purged(&self, stored: &Stored) -> bool {
        !self.authorised.matched.api.purges.allow(stored.url, stored.stamp)
    }

    /// Fresh enough for what the request asks (RFC 9111 §4.2 and §5.2.1).
    fn is_usable(&self, stored: &Stored, now: u64) -> bool {
        let Storable { lifetime, no_cache, must_revalidate, .. } = stored.storable;
        if no_cache || self.directives.no_cache || self.distrust {
            return false;
        }
        let age = stored.age(now);
        let least = Duration::from_secs(self.directives.min_fresh.unwrap_or(0));
        if self.directives.max_age.is_some_and(|most| age > Duration::from_secs(most)) {
            return false;
        }
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

    /// Whether a stale response may be served at once while a new one is fetched.
    fn may_refresh_behind(&self, stored: &Stored, now: u64) -> bool {
        let Storable { lifetime, no_cache, must_revalidate, while_revalidate, .. } = stored.storable;
        let asks_for_fresh = self.directives.no_cache
            || self.directives.min_fresh.is_some()
            || self.directives.max_age.is_some_and(|most| stored.age(now) > Duration::from_secs(most));
        let staleness = stored.age(now).saturating_sub(lifetime);
        let forbidden = no_cache || must_revalidate || asks_for_fresh || self.distrust || self.head_only;
        !forbidden && staleness < while_revalidate
    }

    /// An answer from the store: 304 when the client has it already, without a body to HEAD, a part when that is wanted.
    fn answer(&self, stored: &Stored, now: u64) -> Answer {
        let mut head = stored.head(now);
        let ttl = stored.storable.lifetime.as_secs() as i64 - stored.age(now).as_secs() as i64;
        say(&mut head.headers, Did::Hit { ttl });
        let mut body = stored.body.clone();
        // §13.2.2: conditions come before ranges.
        if let Some(wanted) = &self.wanted
            && !self.conditions.hold_for(head.status, &head.headers)
        {
            body = wanted.cut(&mut head, body);
        }
        self.conditioned(Answer { head, body: Origin::of(body) })
    }

    fn conditioned(&self, mut answer: Answer) -> Answer {
        if self.conditions.hold_for(answer.head.status, &answer.head.headers) {
            conditional::not_modified(&mut answer.head);
            answer.body = Origin::Empty;
        } else if self.head_only {
            answer.body = Origin::Empty;
        }
        answer
    }

    /// From the upstream: one fetch for all who ask at the same time.
    async fn fetch(
        &self,
        call: &mut Call,
        outbound: Outbound,
        stored: Option<Arc<Stored>>,
        why: Forward,
    ) -> Outcome<Answer> {
        let why = if self.directives.no_cache { Forward::Request } else { why };
        // HEAD stores nothing, and who insists on validation cannot be served what another asked for earlier.
        if self.head_only || self.directives.no_cache {
            return self.fetch_alone(call, outbound, stored, why, None).await;
        }
        let own = self.keys.own();
        let until = tokio::time::Instant::now() + PATIENCE;
        while !self.cache().is_uncacheable(own.hash) {
            match Flights::board(self.cache(), own.hash, &own.bytes) {
                Boarding::Leader(flight) => {
                    return self.fetch_alone(call, outbound, stored, why, Some(flight)).await;
                }
                Boarding::Follower(mut stage) => {
                    let waiting = stage.wait_for(|stage| !matches!(stage, Stage::Waiting));
                    let stage = match tokio::time::timeout_at(until, waiting).await {
                        Ok(Ok(stage)) => stage.clone(),
                        // Whoever fetched has gone: try again, perhaps as who fetches.
                        Ok(Err(_)) => continue,
                        Err(_) => break,
                    };
                    match self.join(call, stage, why) {
                        Some(answer) => return Ok(answer),
                        None => break,
                    }
                }
            }
        }
        self.fetch_alone(call, outbound, stored, why, None).await
    }

    /// The answer that another's fetch has brought, if it answers this request too.
    fn join(&self, call: &mut Call, stage: Stage, why: Forward) -> Option<Answer> {
        let mut answer = match stage {
            Stage::Stored(stored) if stored.selecting.matches(&self.headers) && !self.is_purged(&stored) => {
                Answer { head: stored.head(self.now()), body: Origin::of(stored.body.clone()) }
            }
            Stage::Arriving(fill) => {
                let selecting = Selecting::new(&fill.head.headers, &self.rule.vary_headers, &self.headers);
                let purged = !self.authorised.matched.api.purges.allow(self.keys.url, fill.stamp);
                if selecting != fill.selecting || purged {
                    return None;
                }
                Answer { head: fill.head.clone(), body: Origin::Fill(fill.reader()) }
            }
            _ => return None,
        };
        call.cache = CacheOutcome::Coalesced;
        say(&mut answer.head.headers, Did::Forwarded { why, status: None, stored: false, collapsed: true });
        Some(self.conditioned(answer))
    }

    /// Asks the upstream, and stores what it says if that may be.
    async fn fetch_alone(
        &self,
        call: &mut Call,
        mut outbound: Outbound,
        stored: Option<Arc<Stored>>,
        why: Forward,
        flight: Option<Flight>,
    ) -> Outcome<Answer> {
        call.cache = CacheOutcome::Miss;
        // Before the fetch: what a purge covers from now on is older than it.
        let stamp = Stamp { position: self.snapshot.position, at: self.now() };
        let validates =
            |stored: &&Arc<Stored>| conditional::validate(&stored.headers, &mut outbound.head.headers);
        let validating = stored.as_ref().filter(validates).cloned();
        let fetched = fetch(call, self.snapshot, self.authorised, outbound).await;
        if let Some(stored) = stored.filter(|stored| self.may_replace(stored, &fetched)) {
            call.cache = CacheOutcome::Stale;
            return Ok(self.answer(&stored, self.now()));
        }
        let (mut head, body) = fetched?;
        let timing = Timing { stamp, took: Duration::from_nanos(self.now() - stamp.at) };
        if let Some(stored) = validating.filter(|_| head.status == StatusCode::NOT_MODIFIED) {
            return Ok(self.validated(call, &stored, &head, timing, flight));
        }
        let identified = self.keys.caller.is_some();
        let plan =
            if self.head_only { None } else { storable(head.status, &head.headers, identified, self.rule) };
        let announced = body.announced();
        let plan = plan.filter(|_| announced.is_none_or(|length| length <= self.rule.max_body_bytes));
        let Some(plan) = plan else {
            forwarded(&mut head.headers, why);
            if let Some(flight) = flight {
                self.cache().remember_uncacheable(self.keys.own().hash);
                flight.is_now(Stage::Uncacheable);
            }
            return Ok(self.conditioned(Answer { head, body: body.into_origin() }));
        };
        let mut answer = self.store(head, body, plan, timing, flight);
        say(&mut answer.head.headers, Did::Forwarded { why, status: None, stored: true, collapsed: false });
        Ok(self.conditioned(answer))
    }

    /// Whether a stored response may stand in for an upstream that cannot be reached (RFC 9111 §4.2.4), or for an error
    /// that it sends where somebody has said so (RFC 5861 §4).
    fn may_replace(&self, stored: &Stored, fetched: &Outcome<(response::Parts, Fetched)>) -> bool {
        let Storable { lifetime, no_cache, must_revalidate, if_error, .. } = stored.storable;
        let most = match fetched {
            Ok((head, _)) if matches!(head.status.as_u16(), 500 | 502 | 503 | 504) => if_error,
            Err(failure) if failure.kind.is_upstream_down() => Some(if_error.unwrap_or(MAX_STALE)),
            _ => None,
        };
        let forbidden = no_cache || must_revalidate || self.directives.no_cache || self.distrust;
        let staleness = stored.age(self.now()).saturating_sub(lifetime);
        !forbidden && most.is_some_and(|most| staleness <= most)
    }

    /// The upstream has confirmed what is stored: its fields are brought up to date (RFC 9111 §4.3.4).
    fn validated(
        &self,
        call: &mut Call,
        stored: &Arc<Stored>,
        head: &response::Parts,
        timing: Timing,
        flight: Option<Flight>,
    ) -> Answer {
        let headers = updated_headers(&stored.headers, &head.headers);
        let identified = self.keys.caller.is_some();
        let plan = storable(stored.status, &headers, identified, self.rule).unwrap_or(Storable {
            lifetime: Duration::ZERO,
            no_cache: true,
            ..stored.storable
        });
        let shared = *stored.key == *self.keys.shared.bytes;
        let key = if shared { &self.keys.shared } else { self.keys.own() };
        let fresh = Arc::new(Stored {
            key: key.bytes.clone(),
            url: stored.url,
            status: stored.status,
            initial_age: freshness::initial_age(&headers, SystemTime::now(), timing.took),
            headers,
            body: stored.body.clone(),
            selecting: stored.selecting.clone(),
            stamp: timing.stamp,
            arrived: self.now(),
            storable: plan,
        });
        self.cache().put(key.hash, Arc::clone(&fresh));
        if let Some(flight) = flight {
            flight.is_now(Stage::Stored(Arc::clone(&fresh)));
        }
        call.cache = CacheOutcome::Revalidated;
        let mut head = fresh.head(self.now());
        say(
            &mut head.headers,
            Did::Forwarded { why: Forward::Stale, status: Some(304), stored: true, collapsed: false },
        );
        self.conditioned(Answer { head, body: Origin::of(fresh.body.clone()) })
    }

    /// Stores the response while the client, and those who wait for the same, read it.
    fn store(
        &self,
        head: response::Parts,
        body: Fetched,
        plan: Storable,
        timing: Timing,
        flight: Option<Flight>,
    ) -> Answer {
        let key = self.key_for(plan.audience);
        let recipe = Recipe {
            cache: Arc::clone(self.cache()),
            hash: key.hash,
            key: key.bytes.clone(),
            url: self.keys.url,
            status: head.status,
            headers: stored_headers(&head.headers),
            selecting: Selecting::new(&head.headers, &self.rule.vary_headers, &self.headers),
            initial_age: freshness::initial_age(&head.headers, SystemTime::now(), timing.took),
            arrived: self.now(),
            stamp: timing.stamp,
            storable: plan,
        };
        let upstream = match body {
            Fetched::Empty => {
                recipe.store(bytes::Bytes::new(), flight.as_ref());
                return Answer { head, body: Origin::Empty };
            }
            Fetched::Body(upstream) => upstream,
        };
        let length = upstream.size_hint().exact();
        let fill = Fill::new(head.clone(), &recipe, length, self.rule.max_body_bytes);
        if let Some(flight) = flight.as_ref().filter(|_| fill.is_open_to_others()) {
            flight.is_now(Stage::Arriving(Arc::clone(&fill)));
        }
        let reader = fill.reader();
        tokio::task::spawn_local(async move {
            fill.pump(*upstream, |whole| recipe.store(whole, flight.as_ref())).await;
            drop(flight);
        });
        Answer { head, body: Origin::Fill(reader) }
    }

    fn key_for(&self, audience: Audience) -> &Key {
        match audience {
            Audience::Everyone => &self.keys.shared,
            Audience::Caller => self.keys.own(),
        }
    }
}
