//! Requests in the words of one that was answered from the store: what they mean is not found out again.
//!
//! Clients that keep a connection say the same head over and over, and so do all clients of one kind. To read it, to find the
//! route and to make the cache's key takes longer than the rest of a hit, and nothing of that depends on more than the head's
//! bytes, the settings and the APIs, where the head names nobody (no credential, no cookie), belongs to no other call (no
//! trace, no id) and comes from no proxy that speaks for others. What does depend on more is asked each time: readiness,
//! limits, what is stored, and whether that is still fresh (docs/adr/0012).

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;

use bytes::Bytes;
use http::{Method, StatusCode, Uri};
use sluice_contract::calls::wire::{CallRecord, Likeness, Stage};
use sluice_contract::calls::{CacheOutcome, CacheSigns};
use sluice_contract::ids::CallId;

use super::call::text;
use super::trace::Trace;
use super::{Authorised, Call, RequestId, authenticate, limit};
use crate::cache::{Question, Ready};
use crate::state::Snapshot;
use crate::telemetry::OpenCall;
use crate::worker::Worker;

/// Heads that a thread remembers at most, each in the slot of its hash.
const SLOTS: usize = 512;
/// Longer heads are not remembered: they would take more memory than they are worth.
const MAX_BYTES: usize = 1_024;

/// What heads mean that a thread has answered from the store, by their bytes.
#[derive(Default)]
pub(crate) struct Repeats {
    /// None before the first.
    slots: RefCell<Vec<Slot>>,
}

#[derive(Clone, Default)]
struct Slot {
    /// The hash of the last head here that was not known.
    seen: u64,
    /// How often it came since then.
    times: u32,
    known: Option<Rc<Understood>>,
}

/// How often a head was seen.
pub(crate) enum Seen {
    Seldom,
    /// So that it is worth remembering what it means.
    Often,
    Understood(Rc<Understood>),
}

/// What a head means with certain settings and APIs.
pub(crate) struct Understood {
    words: Bytes,
    /// Of these.
    generation: u64,
    uri: Uri,
    host: Box<str>,
    user_agent: Option<Box<str>>,
    authorised: Authorised,
    question: Question,
    last: Cell<Option<Likeness>>,
}

impl Repeats {
    /// Looks for a head, and notes that it was seen.
    pub(crate) fn look(&self, head: &[u8]) -> Seen {
        if head.len() > MAX_BYTES || !head.starts_with(b"GET ") {
            return Seen::Seldom;
        }
        let hash = crate::cache::key::hash(head);
        let mut slots = self.slots.borrow_mut();
        if slots.is_empty() {
            slots.resize(SLOTS, Slot::default());
        }
        let slot = &mut slots[place(hash)];
        match &slot.known {
            Some(known) if *known.words == *head => Seen::Understood(Rc::clone(known)),
            _ if slot.seen == hash => {
                slot.times = slot.times.wrapping_add(1);
                // The more often that was in vain, the more seldom it is tried: most heads are none to be remembered.
                let is_worth_it = slot.times.is_power_of_two() || slot.times.is_multiple_of(256);
                if is_worth_it { Seen::Often } else { Seen::Seldom }
            }
            _ => {
                (slot.seen, slot.times) = (hash, 0);
                Seen::Seldom
            }
        }
    }

    fn insert(&self, understood: Understood) {
        let slot = place(crate::cache::key::hash(&understood.words));
        if let Some(slot) = self.slots.borrow_mut().get_mut(slot) {
            slot.known = Some(Rc::new(understood));
        }
    }

    /// Forgets what heads mean: with other settings or APIs it may be something else.
    pub(crate) fn forget(&self) {
        self.slots.borrow_mut().iter_mut().for_each(|slot| (slot.times, slot.known) = (0, None));
    }
}

fn place(hash: u64) -> usize {
    hash as usize % SLOTS
}

/// Remembers what the head of a call means that was answered from everybody's copy in the store, if it means that whoever sends
/// it.
pub(crate) fn remember(
    call: &mut Call,
    words: Bytes,
    snapshot: &Snapshot,
    authorised: &Authorised,
    question: Question,
) {
    let has_key =
        authenticate::rule(snapshot, &authorised.matched).find(&question.headers, call.uri.query()).is_some();
    let means_more = has_key || snapshot.settings.trusts(call.peer);
    let Some(generation) = call.worker.generation(snapshot).filter(|_| !means_more) else { return };
    call.worker.repeats.insert(Understood {
        words,
        generation,
        uri: call.uri.clone(),
        host: text(call.host.as_ref()).unwrap_or_default().into(),
        user_agent: text(call.user_agent.as_ref()).map(Box::from),
        authorised: authorised.clone(),
        question,
        last: Cell::default(),
    });
}

/// Answers a request from the store whose head is understood: `write` is given the answer, all of which is in memory, and says
/// how many bytes of a body it sent. Nothing of that waits for anything, so that it needs no [`Call`]. None: it takes the whole
/// pipeline; all that has happened is that what is stored counts as asked for.
pub(crate) fn answer_again<T>(
    worker: &Rc<Worker>,
    peer: IpAddr,
    known: &Understood,
    write: impl FnOnce(Ready) -> (u64, T),
) -> Option<T> {
    let snapshot = worker.snapshot();
    let stands = worker.generation(&snapshot) == Some(known.generation)
        && worker.shared.is_ready()
        && !snapshot.settings.trusts(peer);
    if !stands {
        return None;
    }
    let started = worker.shared.clock.now();
    let hit = known.question.ask(worker, &snapshot, &known.authorised, started)?;
    let mut answer = hit.ready()?;
    // Who has used up a limit is told so by the pipeline.
    let rate = limit::allow(&worker.shared, &snapshot, &known.authorised, peer, started).ok()?;
    let at_us = worker.unix_us(started);
    let id = worker.ids.call(at_us);
    answer.lead.answers(RequestId::Own(id), rate);
    let call = Repeat {
        open: worker.recorder.open(),
        id,
        at_us,
        started,
        found: worker.shared.clock.now(),
        status: answer.status,
        cache: hit.outcome(),
        client: peer,
    };
    let (bytes_out, written) = write(answer);
    call.end(worker, known, bytes_out);
    Some(written)
}

/// What the record of a call says that others with the same head do not.
struct Repeat {
    open: OpenCall,
    id: CallId,
    at_us: i64,
    /// Nanoseconds of the gateway's clock, as when the answer was found.
    started: u64,
    found: u64,
    status: StatusCode,
    cache: CacheOutcome,
    client: IpAddr,
}

impl Repeat {
    /// The call has ended: records it.
    fn end(self, worker: &Worker, known: &Understood, bytes_out: u64) {
        let since_start_us = |moment: u64| (moment - self.started) / 1_000;
        let (found_us, duration_us) = (since_start_us(self.found), since_start_us(worker.shared.clock.now()));
        let matched = &known.authorised.matched;
        let record = CallRecord {
            id: self.id,
            at_us: self.at_us,
            tenant: Some(matched.api.tenant),
            api: Some(matched.api.id),
            route: Some(&*matched.route().id),
            method: Method::GET.as_str(),
            host: &known.host,
            path: known.uri.path(),
            query: known.uri.query(),
            status: self.status.as_u16(),
            error: None,
            error_source: None,
            application: None,
            credential: None,
            subscription: None,
            plan: None,
            cache: self.cache,
            signs: CacheSigns::default(),
            second_level: None,
            target: None,
            duration_us,
            upstream_us: None,
            bytes_in: 0,
            bytes_out,
            client_ip: self.client,
            user_agent: known.user_agent.as_deref(),
            request_id: None,
            trace_id: Some(u128::from_be_bytes(Trace::of(None, &worker.ids).id)),
            stages: &[
                Stage { stage: "cache", start_us: 0, took_us: found_us },
                Stage { stage: "respond", start_us: found_us, took_us: duration_us - found_us },
            ],
        };
        self.open.record_alike(&record, &known.last);
    }
}
