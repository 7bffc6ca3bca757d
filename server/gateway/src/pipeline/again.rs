//! Requests in the words of one that was answered from the store: what they mean is not found out again.
//!
//! Clients that keep a connection say the same head over and over, and so do all clients of one kind. To read it, to find the
//! route and to make the cache's key takes longer than the rest of a hit, and nothing of that depends on more than the head's
//! bytes, the settings and the APIs, where the head names nobody (no credential, no cookie), belongs to no other call (no
//! trace, no id) and comes from no proxy that speaks for others. What does depend on more is asked each time: readiness,
//! limits, what is stored, and whether that is still fresh (docs/adr/0012).

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use http::header::HeaderValue;
use http::{Method, Response, Uri, Version};

use super::call::{Saying, Told};
use super::{Authorised, Call, authenticate, limit, respond, transform};
use crate::body::Body;
use crate::cache::Question;
use crate::listen::Connection;
use crate::state::Snapshot;
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
    host: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
    told: Told,
    authorised: Authorised,
    question: Question,
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
        host: call.host.clone(),
        user_agent: call.user_agent.clone(),
        told: call.told,
        authorised: authorised.clone(),
        question,
    });
}

/// Answers a request from the store whose head is understood. None: it takes the whole pipeline; all that has happened is that
/// what is stored counts as asked for.
pub(crate) fn answer_again(
    worker: &Rc<Worker>,
    connection: &Rc<Connection>,
    known: &Understood,
) -> Option<Response<Body>> {
    let snapshot = worker.snapshot();
    let stands = worker.generation(&snapshot) == Some(known.generation)
        && worker.shared.is_ready()
        && !snapshot.settings.trusts(connection.peer.ip().to_canonical());
    if !stands {
        return None;
    }
    let authorised = &known.authorised;
    let started = worker.shared.clock.now();
    let hit = known.question.ask(worker, &snapshot, authorised, started)?;
    let mut call = Call::begin(worker, connection, started, known.saying());
    authorised.matched.note(&mut call);
    let response = match limit::take(&snapshot, &mut call, authorised) {
        Ok(()) => {
            call.cache = hit.outcome();
            let answer = hit.answer(worker.spare.take());
            call.mark("cache");
            transform::response(&snapshot, authorised, answer)
        }
        Err(failure) => respond::with_failure(&mut call, failure),
    };
    Some(respond::finish(call, &snapshot, response))
}

impl Understood {
    fn saying(&self) -> Saying<'_> {
        Saying {
            method: Method::GET,
            uri: self.uri.clone(),
            version: Version::HTTP_11,
            host: self.host.clone(),
            user_agent: self.user_agent.clone(),
            // Nothing is said to pages here, or the answer would not be the same for all.
            origin: None,
            request_id: None,
            traceparent: None,
            told: self.told,
        }
    }
}
