//! Responses from the upstream: one fetch for all who ask at the same time, stored while they read.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{StatusCode, response};
use sluice_contract::calls::CacheOutcome;

use super::conditional;
use super::fill::{Fill, Recipe};
use super::flight::{Boarding, Flight, Flights, Stage};
use super::freshness;
use super::judge::Asked;
use super::key::Key;
use super::purges::Stamp;
use super::rules::{Audience, Storable, storable};
use super::status::{Did, Forward, forwarded, say};
use super::stored::{Stored, stored_headers, updated_headers};
use super::vary::Selecting;
use crate::body::Origin;
use crate::pipeline::{Answer, Call, Fetched, Outbound, Outcome, fetch};

/// How long to wait for another's fetch before fetching oneself.
const PATIENCE: Duration = Duration::from_secs(10);

/// When a fetch began and how long its head took.
#[derive(Clone, Copy)]
struct Timing {
    stamp: Stamp,
    took: Duration,
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
    pub(super) async fn fetch_alone(
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
