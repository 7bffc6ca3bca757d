//! Responses from the upstream: one fetch for all who ask at the same time, stored while they read.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{DATE, TRAILER};
use http::{HeaderMap, Method, StatusCode, response};
use sluice_contract::calls::CacheOutcome;

use super::conditional;
use super::fill::{Fill, Recipe};
use super::flight::{Boarding, Flight, Flights, Stage};
use super::freshness;
use super::judge::{Asked, Found};
use super::key::{self, Key};
use super::labels;
use super::level::Shared;
use super::made_tag::Making;
use super::purges::{Stamp, Verdict};
use super::rules::{Audience, Given, Storable, storable};
use super::status::{Did, Forward, forwarded, say};
use super::stored::{Stored, Written, stored_headers, tell, updated_headers};
use super::vary::Selecting;
use crate::body::Origin;
use crate::pipeline::{Answer, Call, Fetched, Outbound, Outcome, fetch};

/// How long to wait for another's fetch before fetching oneself.
const PATIENCE: Duration = Duration::from_secs(10);

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
        // HEAD stores nothing, and who insists on validation cannot be served what another asked for earlier.
        if self.head_only || self.directives.no_cache {
            return self.fetch_alone(call, outbound, stored, why, None).await;
        }
        let own = self.keys.own();
        let until = tokio::time::Instant::now() + PATIENCE;
        while !self.cache().is_uncacheable(own.hash) {
            match Flights::board(self.cache(), own.hash, own.bytes) {
                Boarding::Leader(flight) => {
                    // Another's fetch may have ended between the look at the store and this one's beginning.
                    let now = self.now();
                    if let Found::Fresh(stored) = self.look_up(&self.headers, now) {
                        call.cache = CacheOutcome::Coalesced;
                        return Ok(self.answer(&stored, now));
                    }
                    let stored = match self.second_level(call, &flight).await {
                        Some(Shared::Usable(answer)) => return Ok(*answer),
                        Some(Shared::Stale(shared)) => Some(shared),
                        None => stored,
                    };
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
            Stage::Stored(stored) if self.may_join(&stored) => {
                Answer::new(self.head(&stored, self.now()), Origin::of(stored.body.clone()))
            }
            Stage::Arriving(fill) => {
                let selecting = Selecting::new(&fill.head.headers, &self.rule.vary_headers, &self.headers);
                let purges = &self.authorised.matched.api.purges;
                let verdict = purges.verdict(&fill.labels.as_ref(), fill.stamp);
                if selecting != fill.selecting || verdict != Verdict::Good {
                    return None;
                }
                Answer::new(fill.head.clone(), Origin::Fill(fill.reader()))
            }
            _ => return None,
        };
        call.cache = CacheOutcome::Coalesced;
        say(&mut answer.head.headers, Did::Forwarded { why, status: None, stored: false, collapsed: true });
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
        call.cache = CacheOutcome::Miss;
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
            return Ok(self.validated(call, &stored, &head, timing, flight));
        }
        if let Some(stored) = stored.filter(|_| self.head_only && head.status == StatusCode::OK) {
            self.described(&stored, &head, timing);
        }
        let Some(plan) = self.plan(&Method::GET, &head, &body) else {
            forwarded(&mut head.headers, why);
            self.tell_of_passing(&mut head);
            if let Some(flight) = flight {
                self.cache().remember_uncacheable(self.keys.own().hash);
                flight.is_now(Stage::Uncacheable);
            }
            return Ok(self.conditioned(Answer::new(head, body.into_origin())));
        };
        let mut answer = self.store(head, body, plan, timing, flight);
        say(&mut answer.head.headers, Did::Forwarded { why, status: None, stored: true, collapsed: false });
        Ok(self.conditioned(answer))
    }

    /// Taken before a fetch: what a purge covers from then on is older than it.
    pub(super) fn stamp(&self) -> Stamp {
        Stamp { position: self.snapshot.position, at: self.now() }
    }

    pub(super) fn timing(&self, stamp: Stamp) -> Timing {
        Timing { stamp, took: Duration::from_nanos(self.now().saturating_sub(stamp.at)) }
    }

    /// How a response that has a body of its own is stored, if it is.
    pub(super) fn plan(&self, method: &Method, head: &response::Parts, body: &Fetched) -> Option<Storable> {
        if self.head_only || body.announced().is_some_and(|length| length > self.rule.max_body_bytes) {
            return None;
        }
        self.storable(method, head.status, &head.headers)
    }

    fn storable(&self, method: &Method, status: StatusCode, headers: &HeaderMap) -> Option<Storable> {
        let plan = storable(Given { method, status, headers }, self.keys.caller().is_some(), self.rule)?;
        let draw = key::hash(&self.now().to_le_bytes());
        Some(Storable { lifetime: self.rule.jittered(plan.lifetime, draw), ..plan })
    }

    /// Caches downstream are told the same of what could have been stored: by HEAD, in part, too large.
    pub(super) fn tell_of_passing(&self, head: &mut response::Parts) {
        if self.rule.telling.is_none() {
            return;
        }
        let status = match head.status {
            StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED => StatusCode::OK,
            status => status,
        };
        if let Some(plan) = self.storable(&Method::GET, status, &head.headers) {
            tell(&mut head.headers, self.rule, &plan);
        }
    }

    /// The upstream has confirmed what is stored: its fields are brought up to date (RFC 9111 §4.3.4).
    fn validated(
        &self,
        call: &mut Call,
        stored: &Stored,
        head: &response::Parts,
        timing: Timing,
        flight: Option<Flight>,
    ) -> Answer {
        call.cache = CacheOutcome::Revalidated;
        let headers = if conditional::is_about(&head.headers, &stored.headers) {
            updated_headers(&stored.headers, &head.headers, self.rule)
        } else {
            // The stored tag was confirmed, and the fields are those of another version.
            let only_date = head.headers.get(DATE).map(|date| (DATE, date.clone())).into_iter().collect();
            updated_headers(&stored.headers, &only_date, self.rule)
        };
        let plan = self.storable(&Method::GET, stored.status, &headers);
        let may_store = plan.is_some();
        let plan = plan.unwrap_or(Storable { lifetime: Duration::ZERO, no_cache: true, ..stored.storable });
        let tags = labels::tags(&head.headers);
        let fresh = Arc::new(self.renewed(stored, headers, tags, plan, timing));
        let stage = if may_store { Stage::Stored(Arc::clone(&fresh)) } else { Stage::Uncacheable };
        if may_store {
            self.put(&fresh);
        }
        if let Some(flight) = flight {
            flight.is_now(stage);
        }
        let mut head = self.head(&fresh, self.now());
        let status = Some(StatusCode::NOT_MODIFIED.as_u16());
        let did = Did::Forwarded { why: Forward::Stale, status, stored: may_store, collapsed: false };
        say(&mut head.headers, did);
        self.conditioned(Answer::new(head, Origin::of(fresh.body.clone())))
    }

    /// The upstream has described what is stored in its answer to HEAD: the same response is brought up to date, another
    /// has made it stale (RFC 9111 §4.3.5).
    fn described(&self, stored: &Stored, head: &response::Parts, timing: Timing) {
        let stale =
            Storable { lifetime: Duration::ZERO, while_revalidate: Duration::ZERO, ..stored.storable };
        let renewed = if conditional::describes(&head.headers, &stored.headers, stored.body.len()) {
            let headers = updated_headers(&stored.headers, &head.headers, self.rule);
            let Some(plan) = self.storable(&Method::GET, stored.status, &headers) else { return };
            self.renewed(stored, headers, labels::tags(&head.headers), plan, timing)
        } else {
            self.renewed(stored, stored.headers.clone(), None, stale, timing)
        };
        self.put(&Arc::new(renewed));
    }

    /// A stored response with other fields, and other tags where it has been given some.
    fn renewed(
        &self,
        stored: &Stored,
        headers: HeaderMap,
        tags: Option<Vec<u64>>,
        plan: Storable,
        timing: Timing,
    ) -> Stored {
        // Under the key that it has.
        let own = *stored.key != *self.keys.shared().bytes;
        let audience = if own { Audience::Caller } else { plan.audience };
        Stored {
            key: stored.key.clone(),
            labels: tags.map_or_else(|| stored.labels.clone(), |tags| self.labels_of(tags, audience)),
            status: stored.status,
            initial_age: freshness::initial_age(&headers, SystemTime::now(), timing.took),
            headers,
            body: stored.body.clone(),
            selecting: stored.selecting.clone(),
            stamp: timing.stamp,
            arrived: self.now(),
            storable: plan,
            made_tag: stored.made_tag,
            written: Written::default(),
        }
    }

    fn put(&self, stored: &Arc<Stored>) {
        let shared = self.keys.shared();
        let key = if *stored.key == *shared.bytes { shared } else { self.keys.own() };
        self.cache().put(key.hash, Arc::clone(stored), self.account());
        self.share(stored);
    }

    /// Stores the response while the client, and those who wait for the same, read it.
    pub(super) fn store(
        &self,
        mut head: response::Parts,
        body: Fetched,
        plan: Storable,
        timing: Timing,
        flight: Option<Flight>,
    ) -> Answer {
        let key = self.key_for(plan.audience);
        let recipe = Recipe {
            cache: Arc::clone(self.cache()),
            hash: key.hash,
            key: key.bytes.into(),
            labels: self.labels(&head.headers, plan.audience),
            status: head.status,
            headers: stored_headers(&head.headers, self.rule),
            selecting: Selecting::new(&head.headers, &self.rule.vary_headers, &self.headers),
            initial_age: freshness::initial_age(&head.headers, SystemTime::now(), timing.took),
            arrived: self.now(),
            stamp: timing.stamp,
            storable: plan,
            account: self.account(),
            clock: self.worker.shared.clock,
            shared: self.context(),
        };
        // After what is stored, by which later responses are judged, has been taken from it.
        tell(&mut head.headers, self.rule, &plan);
        let makes_tag = self.rule.make_etags && !self.by_body;
        let making = makes_tag.then(|| Making::begin(head.status, &head.headers)).flatten();
        // Trailers are not stored, and nobody who reads along gets them (RFC 9110 §6.5.1).
        head.headers.remove(TRAILER);
        let upstream = match body {
            Fetched::Empty => {
                let tag = making.map(Making::finish);
                recipe.store(Bytes::new(), tag, flight.as_ref());
                tag.inspect(|tag| tag.say(&mut head.headers));
                return Answer::new(head, Origin::Empty);
            }
            Fetched::Here(bytes) => {
                // Memory of its own: these bytes are part of a larger buffer.
                let tag = making.map(|making| making.of(&bytes));
                recipe.store(Bytes::copy_from_slice(&bytes), tag, flight.as_ref());
                tag.inspect(|tag| tag.say(&mut head.headers));
                return Answer::new(head, Origin::Full(bytes));
            }
            Fetched::Body(upstream) => upstream,
        };
        let length = upstream.size_hint().exact();
        let fill = Fill::new(head.clone(), &recipe, length, self.rule);
        if let Some(flight) = flight.as_ref().filter(|_| fill.is_open_to_others()) {
            flight.is_now(Stage::Arriving(Arc::clone(&fill)));
        }
        let reader = fill.reader();
        tokio::task::spawn_local(async move {
            fill.pump(*upstream, making, |whole, tag| recipe.store(whole, tag, flight.as_ref())).await;
            drop(flight);
        });
        Answer::new(head, Origin::Fill(reader))
    }

    fn key_for(&self, audience: Audience) -> Key<'_> {
        match audience {
            Audience::Everyone | Audience::Anonymous => self.keys.shared(),
            Audience::Caller => self.keys.own(),
        }
    }
}
