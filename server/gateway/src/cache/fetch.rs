//! Responses from the upstream: one fetch for all who ask at the same time, stored while they read.

mod renew;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::TRAILER;
use http::{HeaderMap, Method, StatusCode, response};
use sluice_contract::calls::CacheOutcome;
use sluice_policies::cache::Found as Refusal;

use super::conditional;
use super::fill::{Fill, Recipe, Unkept};
use super::flight::{Flight, Flights, Part, Stage};
use super::freshness;
use super::judge::{Asked, Found};
use super::key::{self, Key, ShortDigest};
use super::level::Shared;
use super::purges::{Stamp, Verdict};
use super::rules::{Audience, Given, Storable, storable};
use super::status::{Did, Forward, Kept, say};
use super::stored::{Stored, stored_headers, tell};
use super::vary::Selecting;
use super::watch::Watch;
use crate::body::{Origin, UpstreamBody};
use crate::pipeline::{Answer, Call, Fetched, Outbound, Outcome, fetch};

/// When a fetch began and how long its head took.
#[derive(Clone, Copy)]
pub(super) struct Timing {
    stamp: Stamp,
    took: Duration,
}

impl Timing {
    /// The same duration from another beginning.
    pub(super) fn since(self, stamp: Stamp) -> Self {
        Self { stamp, ..self }
    }
}

impl Asked<'_> {
    /// From the upstream: one fetch for all who ask at the same time.
    pub(super) async fn fetch(
        &self,
        call: &mut Call,
        outbound: Outbound,
        stored: Option<Arc<Stored>>,
        why: Forward,
    ) -> Outcome<Answer> {
        let why = if self.directives.no_cache { Forward::Request } else { why };
        // Who insists on validation cannot be served what another asked for earlier, and HEAD stores nothing.
        if self.directives.no_cache {
            return self.fetch_alone(call, outbound, stored, why, None).await;
        }
        if self.head_only {
            let stored = match self.second_level(call, None).await {
                Some(Shared::Usable(answer)) => return Ok(*answer),
                Some(Shared::Stale(shared)) => Some(shared),
                None => stored,
            };
            return self.fetch_alone(call, outbound, stored, why, None).await;
        }
        let own = self.keys.own();
        match Flights::take_part(self.cache(), own.hash, own.bytes).await {
            Part::Leads(flight) => {
                // Another's fetch may have ended between the look at the store and this one's beginning.
                let now = self.now();
                if let Found::Fresh(stored) = self.look_up(&self.headers, now) {
                    call.cache = CacheOutcome::Coalesced;
                    return Ok(self.answer(&stored, now));
                }
                let stored = match self.second_level(call, Some(&flight)).await {
                    Some(Shared::Usable(answer)) => return Ok(*answer),
                    Some(Shared::Stale(shared)) => Some(shared),
                    None => stored,
                };
                return self.fetch_alone(call, outbound, stored, why, Some(flight)).await;
            }
            Part::Joins(stage) => {
                if let Some(answer) = self.join(call, stage, why) {
                    return Ok(answer);
                }
            }
            Part::Alone => {}
        }
        self.fetch_alone(call, outbound, stored, why, None).await
    }

    /// The answer that another's fetch has brought, if it answers this request too.
    fn join(&self, call: &mut Call, stage: Stage, why: Forward) -> Option<Answer> {
        let (mut answer, key) = match stage {
            Stage::Stored(stored) if self.may_join(&stored) => {
                let head = self.head(&stored, self.now());
                (Answer::new(head, Origin::of(stored.body.clone())), stored.digest)
            }
            Stage::Arriving(fill) => {
                let selecting = Selecting::new(&fill.head.headers, &self.rule.vary_headers, &self.headers);
                let purges = &self.authorised.matched.api.purges;
                let verdict = purges.verdict(&fill.labels.as_ref(), fill.stamp);
                if selecting != fill.selecting || verdict != Verdict::Good {
                    return None;
                }
                (Answer::new(fill.head.clone(), Origin::Fill(fill.join()?)), fill.digest)
            }
            _ => return None,
        };
        call.cache = CacheOutcome::Coalesced;
        say(&mut answer.head.headers, Did::Joined { why, key });
        Some(self.conditioned(answer))
    }

    fn may_join(&self, stored: &Stored) -> bool {
        stored.selecting.matches(&self.headers) && self.verdict(stored) == Verdict::Good
    }

    /// Asks the upstream, and stores what it says if that may be.
    pub(super) async fn fetch_alone(
        &self,
        call: &mut Call,
        mut outbound: Outbound,
        stored: Option<Arc<Stored>>,
        why: Forward,
        flight: Option<Flight>,
    ) -> Outcome<Answer> {
        call.cache = why.outcome();
        let stamp = self.stamp();
        let validates =
            |stored: &&Arc<Stored>| conditional::validate(&stored.headers, &mut outbound.head.headers);
        let validating = stored.as_ref().filter(validates).cloned();
        let fetched = fetch(call, self.snapshot, self.authorised, outbound).await;
        if let Some(stored) = stored.as_ref().filter(|stored| self.may_replace(stored, &fetched)) {
            call.cache = CacheOutcome::Stale;
            return Ok(self.answer(stored, self.now()));
        }
        let (mut head, body) = fetched?;
        let timing = self.timing(stamp);
        if let Some(stored) = validating.filter(|_| head.status == StatusCode::NOT_MODIFIED) {
            return Ok(self.validated(call, &stored, (&head, why), timing, flight));
        }
        if let Some(stored) = stored.filter(|_| self.head_only && head.status == StatusCode::OK) {
            self.described(&stored, &head, timing);
        }
        let plan = match self.plan(&self.method(), &head, &body) {
            Ok(plan) => plan,
            Err(why_not) => {
                self.tell_of_passing(&mut head);
                let (answer, kept) = self.pass(head, body, why_not, flight);
                return Ok(self.conditioned(said(answer, why, kept)));
            }
        };
        let (answer, kept) = self.store(head, body, plan, timing, flight);
        Ok(self.conditioned(said(answer, why, kept)))
    }

    /// Passes a response on that is not stored, and tells those who wait for it; there may be something in it that forbids it.
    pub(super) fn pass(
        &self,
        head: response::Parts,
        body: Fetched,
        why_not: Option<Refusal>,
        flight: Option<Flight>,
    ) -> (Answer, Kept) {
        let hash = self.keys.own().hash;
        let answer = Answer::new(head, body.into_origin());
        if let Some(found) = why_not {
            self.cache().refuse(hash, found, flight.as_ref());
            return (answer, Kept::Refused(found));
        }
        if let Some(flight) = flight {
            self.cache().remember_uncacheable(hash);
            flight.is_now(Stage::Uncacheable);
        }
        (answer, Kept::No)
    }

    /// Taken before a fetch: what a purge covers from then on is older than it.
    pub(super) fn stamp(&self) -> Stamp {
        Stamp { position: self.snapshot.position, at: self.now() }
    }

    pub(super) fn timing(&self, stamp: Stamp) -> Timing {
        Timing { stamp, took: Duration::from_nanos(self.now().saturating_sub(stamp.at)) }
    }

    /// Of the requests that are answered by what is stored for this one.
    fn method(&self) -> Method {
        if self.by_body { Method::POST } else { Method::GET }
    }

    /// How a response that has a body of its own is stored, or what it has that forbids it, or None: it is not to be stored
    /// anyway.
    pub(super) fn plan(
        &self,
        method: &Method,
        head: &response::Parts,
        body: &Fetched,
    ) -> Result<Storable, Option<Refusal>> {
        if self.head_only || body.announced().is_some_and(|length| length > self.rule.max_body_bytes) {
            return Err(None);
        }
        self.storable(method, head.status, &head.headers)
    }

    fn storable(
        &self,
        method: &Method,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Storable, Option<Refusal>> {
        let given = Given { method, status, headers };
        let plan = storable(given, self.keys.caller().is_some(), self.rule).ok_or(None)?;
        if let Some(forbidden) = &self.rule.forbidden {
            forbidden.check_fields(headers).map_err(Some)?;
        }
        let draw = key::hash(&self.now().to_le_bytes());
        Ok(Storable { lifetime: self.rule.jittered(plan.lifetime, draw), ..plan })
    }

    /// Caches downstream are told the same of what could have been stored: by HEAD, in part, too large. But not of what would have
    /// had to be looked at first.
    pub(super) fn tell_of_passing(&self, head: &mut response::Parts) {
        if self.rule.telling.is_none() || self.rule.forbidden.is_some() {
            return;
        }
        let status = match head.status {
            StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED => StatusCode::OK,
            status => status,
        };
        if let Ok(plan) = self.storable(&self.method(), status, &head.headers) {
            tell(&mut head.headers, self.rule, &plan);
        }
    }

    /// Stores the response while the client, and those who wait for the same, read it; unless it has something that must not be
    /// stored.
    pub(super) fn store(
        &self,
        mut head: response::Parts,
        body: Fetched,
        plan: Storable,
        timing: Timing,
        flight: Option<Flight>,
    ) -> (Answer, Kept) {
        let watch = match Watch::new(self.rule, &head, !self.by_body) {
            Ok(watch) => watch,
            Err(found) => return self.pass(head, body, Some(found), flight),
        };
        let here = match body {
            Fetched::Body(upstream) => {
                return self.store_arriving(head, *upstream, (plan, watch), timing, flight);
            }
            Fetched::Here(bytes) => bytes,
            Fetched::Empty => Bytes::new(),
        };
        let made_tag = match watch.whole(&here) {
            Ok(made_tag) => made_tag,
            Err(found) => return self.pass(head, Fetched::Here(here), Some(found), flight),
        };
        let recipe = self.recipe(&head, plan, timing);
        let kept = Kept::Yes(recipe.digest);
        // Memory of its own: these bytes are part of a larger buffer.
        recipe.store(Bytes::copy_from_slice(&here), made_tag, flight.as_ref());
        self.say_stored(&mut head, &plan);
        if let Some(tag) = made_tag {
            tag.say(&mut head.headers);
        }
        (Answer::new(head, Origin::of(here)), kept)
    }

    fn store_arriving(
        &self,
        mut head: response::Parts,
        upstream: UpstreamBody,
        (plan, watch): (Storable, Watch),
        timing: Timing,
        flight: Option<Flight>,
    ) -> (Answer, Kept) {
        let length = upstream.size_hint().exact();
        let Some(room) = self.cache().room(length.unwrap_or_default()) else {
            // Who waits fetches for himself; the next to ask may find room again.
            if let Some(flight) = flight {
                flight.is_now(Stage::Uncacheable);
            }
            return (Answer::new(head, Fetched::Body(Box::new(upstream)).into_origin()), Kept::No);
        };
        let recipe = self.recipe(&head, plan, timing);
        let is_sure = !watch.is_looking();
        let kept = if is_sure { Kept::Yes(recipe.digest) } else { Kept::Perhaps };
        if is_sure {
            self.say_stored(&mut head, &plan);
        }
        head.headers.remove(TRAILER);
        let (fill, reader) = Fill::new(head.clone(), &recipe, (length, room), self.rule);
        if let Some(flight) = flight.as_ref().filter(|_| is_sure) {
            flight.is_now(Stage::Arriving(Arc::clone(&fill)));
        }
        let (cache, own) = (Arc::clone(self.cache()), self.keys.own().hash);
        tokio::task::spawn_local(async move {
            let keep = |kept| match kept {
                Ok((whole, made_tag)) => recipe.store(whole, made_tag, flight.as_ref()),
                Err(Unkept::Forbidden(found)) => cache.refuse(own, found, flight.as_ref()),
                Err(Unkept::TooLarge) => cache.pass_on(own, flight.as_ref()),
            };
            fill.pump(upstream, watch, keep).await;
            drop(flight);
        });
        (Answer::new(head, Origin::Fill(reader)), kept)
    }

    fn recipe(&self, head: &response::Parts, plan: Storable, timing: Timing) -> Recipe {
        let key = self.key_for(plan.audience);
        Recipe {
            cache: Arc::clone(self.cache()),
            hash: key.hash,
            key: key.bytes.into(),
            digest: ShortDigest::of(key.bytes),
            labels: self.labels(&head.headers, plan.audience),
            status: head.status,
            headers: stored_headers(&head.headers, self.rule),
            selecting: Selecting::new(&head.headers, &self.rule.vary_headers, &self.headers),
            initial_age: freshness::initial_age(&head.headers, self.rule, SystemTime::now(), timing.took),
            arrived: self.now(),
            stamp: timing.stamp,
            storable: plan,
            account: self.account(),
            clock: self.worker.shared.clock,
            shared: self.context(),
        }
    }

    /// What the first caller is told of what is stored, as those who come later are. Trailers are not stored, and nobody who
    /// reads along gets them (RFC 9110 §6.5.1).
    fn say_stored(&self, head: &mut response::Parts, plan: &Storable) {
        tell(&mut head.headers, self.rule, plan);
        head.headers.remove(TRAILER);
    }

    fn key_for(&self, audience: Audience) -> Key<'_> {
        match audience {
            Audience::Everyone | Audience::Anonymous => self.keys.shared(),
            Audience::Caller => self.keys.own(),
        }
    }
}

/// Says what the cache did with a response of the upstream.
pub(super) fn said(mut answer: Answer, why: Forward, kept: Kept) -> Answer {
    say(&mut answer.head.headers, Did::Forwarded { why, status: None, kept });
    answer
}
