//! What a thread of a gateway writes: calls, each context before the first that has it.

use std::net::IpAddr;

use super::bytes::put_number;
use super::context::{Client, Consumer, Context, Place};
use super::{CallRecord, NoBatch, read};
use crate::calls::{CacheOutcome, Call};

/// Contexts of each kind that a thread remembers. One that is forgotten is written again.
const SLOTS: usize = 256;
/// Bytes of text up to which a context is remembered, so that strange clients fill no memory.
const REMEMBERED: usize = 2_048;

/// Calls one after the other, as they are sent. Keeps no call, only bytes, and the contexts that were used last.
#[derive(Default)]
pub struct Section {
    packed: PackedCalls,
    places: Table<Place>,
    consumers: Table<Consumer>,
    clients: Table<Client>,
}

/// What a [`Section`] wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackedCalls {
    pub(super) bytes: Vec<u8>,
    pub(super) calls: u64,
    weight: usize,
}

/// Numbers of a call's contexts in its section, from 0 in the order of their first calls. Calls with the same numbers
/// have these contexts in common; the reverse does not hold, as one may be written twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seat {
    /// Says tenant, API, route, status, cache, target and minute.
    pub place: u32,
    /// Says application, credential, subscription and plan.
    pub consumer: u32,
}

/// What the last of some calls found in its section: calls that are alike but for their times, sizes and ids, for how they were
/// answered and who the client is. The next of them need not look for what it has in common with that one.
#[derive(Clone, Copy, Debug)]
pub struct Likeness {
    section: u64,
    minute: i64,
    status: u16,
    cache: CacheOutcome,
    client_ip: IpAddr,
    found: [Found; 3],
}

impl Section {
    /// Appends a call.
    pub fn append(&mut self, call: &CallRecord<'_>) -> Seat {
        let found = self.find(call);
        self.finish(call, found)
    }

    /// Appends one of some calls that are alike.
    pub fn append_alike(&mut self, call: &CallRecord<'_>, last: &mut Option<Likeness>) -> Seat {
        if let Some(last) = last.filter(|last| last.is_of(call) && last.section == self.places.section) {
            for found in last.found {
                put_number(&mut self.packed.bytes, u64::from(found.number) + 1);
            }
            return self.finish(call, last.found);
        }
        let found = self.find(call);
        *last = Some(Likeness::of(call, self.places.section, found));
        self.finish(call, found)
    }

    /// Writes the call's contexts.
    fn find(&mut self, call: &CallRecord<'_>) -> [Found; 3] {
        let bytes = &mut self.packed.bytes;
        [self.places.find(call, bytes), self.consumers.find(call, bytes), self.clients.find(call, bytes)]
    }

    /// Writes what is the call's own, behind its contexts.
    fn finish(&mut self, call: &CallRecord<'_>, found: [Found; 3]) -> Seat {
        let PackedCalls { bytes, calls, weight } = &mut self.packed;
        call.write(bytes);
        *calls += 1;
        *weight += call.weight() + found.iter().map(|found| found.weight).sum::<usize>();
        let [place, consumer, _client] = found;
        Seat { place: place.number, consumer: consumer.number }
    }

    /// Calls since the last [`Self::take`].
    pub fn calls(&self) -> u64 {
        self.packed.calls
    }

    /// What has to be read again of these calls; see [`super::CALL_WEIGHT`].
    pub fn weight(&self) -> usize {
        self.packed.weight
    }

    /// Takes what was written. What comes next can be read without it.
    pub fn take(&mut self) -> PackedCalls {
        self.places.forget_numbers();
        self.consumers.forget_numbers();
        self.clients.forget_numbers();
        let roomy =
            PackedCalls { bytes: Vec::with_capacity(self.packed.bytes.len()), ..PackedCalls::default() };
        std::mem::replace(&mut self.packed, roomy)
    }
}

impl Likeness {
    fn of(call: &CallRecord<'_>, section: u64, found: [Found; 3]) -> Self {
        let &CallRecord { status, cache, client_ip, .. } = call;
        Self { section, minute: call.minute(), status, cache, client_ip, found }
    }

    /// Of what calls that are alike may differ in, their contexts say this.
    fn is_of(&self, call: &CallRecord<'_>) -> bool {
        self.minute == call.minute()
            && self.status == call.status
            && self.cache == call.cache
            && self.client_ip == call.client_ip
    }
}

impl PackedCalls {
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// See [`Section::weight`].
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// The calls, as a control plane would read them.
    ///
    /// # Errors
    /// When they are not what [`Section`] writes: a bug.
    pub fn read(&self) -> Result<Vec<Call>, NoBatch> {
        read::section(&self.bytes, self.calls)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put_number(out, self.calls);
        out.extend_from_slice(&self.bytes);
    }
}

/// The contexts of one kind that were used last, each where its hint says.
struct Table<T> {
    slots: Box<[Option<Slot<T>>]>,
    next: u32,
    /// Which section it is: numbers of earlier ones mean nothing.
    section: u64,
}

struct Slot<T> {
    context: T,
    found: Found,
    section: u64,
}

#[derive(Clone, Copy, Debug)]
struct Found {
    number: u32,
    weight: usize,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { slots: (0..SLOTS).map(|_| None).collect(), next: 0, section: 0 }
    }
}

impl<T: Context> Table<T> {
    /// Writes the number of the call's context, and at its first use the context.
    fn find(&mut self, call: &CallRecord<'_>, out: &mut Vec<u8>) -> Found {
        let index = slot_of(T::hint(call));
        if let Some(slot) = &self.slots[index]
            && slot.section == self.section
            && slot.context.is_of(call)
        {
            put_number(out, u64::from(slot.found.number) + 1);
            return slot.found;
        }
        self.define(index, call, out)
    }

    #[cold]
    fn define(&mut self, index: usize, call: &CallRecord<'_>, out: &mut Vec<u8>) -> Found {
        let known = self.slots[index].take().map(|slot| slot.context).filter(|context| context.is_of(call));
        let context = known.unwrap_or_else(|| T::of(call));
        put_number(out, 0);
        context.write(out);
        let found = Found { number: self.next, weight: context.weight() };
        self.next += 1;
        if found.weight <= REMEMBERED {
            self.slots[index] = Some(Slot { context, found, section: self.section });
        }
        found
    }

    fn forget_numbers(&mut self) {
        self.next = 0;
        self.section += 1;
    }
}

/// Fibonacci hashing: the upper bits of the product depend on all bits of the hint.
fn slot_of(hint: u64) -> usize {
    (hint.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - SLOTS.trailing_zeros())) as usize
}
