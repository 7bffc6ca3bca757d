//! Reads what gateways sent. They may be anybody's: everything is checked, and what a batch unfolds to is bounded.

use super::bytes::Bytes;
use super::context::{Client, Consumer, Context, Place};
use super::{CALL_WEIGHT, Malformed, NoBatch, VERSION, record};
use crate::calls::Call;
use crate::link::CALL_BATCH_MAX;

/// The sections of a batch.
pub(super) struct Calls<'a> {
    bytes: Bytes<'a>,
    version: u8,
    calls: Vec<Call>,
    weight: usize,
}

/// The contexts that a section has defined so far.
#[derive(Default)]
struct Contexts {
    places: Vec<Place>,
    consumers: Vec<Consumer>,
    clients: Vec<Client>,
}

/// One section's calls.
pub(super) fn section(bytes: &[u8], count: u64) -> Result<Vec<Call>, NoBatch> {
    let mut calls = Calls::new(Bytes::new(bytes), VERSION);
    calls.read(count)?;
    calls.finish()
}

impl<'a> Calls<'a> {
    pub(super) fn new(bytes: Bytes<'a>, version: u8) -> Self {
        Self { bytes, version, calls: Vec::new(), weight: 0 }
    }

    /// Section after section, until there are `count` calls.
    pub(super) fn read_sections(&mut self, count: u64) -> Result<(), NoBatch> {
        while (self.calls.len() as u64) < count {
            let missing = count - self.calls.len() as u64;
            let calls = self.bytes.number().map_err(NoBatch::Section)?;
            if calls == 0 || calls > missing {
                return Err(NoBatch::Section(Malformed::Number));
            }
            self.read(calls)?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Vec<Call>, NoBatch> {
        if self.bytes.is_empty() { Ok(self.calls) } else { Err(NoBatch::Trailing) }
    }

    fn read(&mut self, count: u64) -> Result<(), NoBatch> {
        let mut contexts = Contexts::default();
        for _ in 0..count {
            let number = self.calls.len() as u64 + 1;
            let call = self.read_one(&mut contexts).map_err(|error| NoBatch::Call(number, error))?;
            if self.weight > CALL_BATCH_MAX {
                return Err(NoBatch::TooLarge);
            }
            self.calls.push(call);
        }
        Ok(())
    }

    fn read_one(&mut self, contexts: &mut Contexts) -> Result<Call, Malformed> {
        let place = find(&mut contexts.places, &mut self.bytes, self.version)?;
        let consumer = find(&mut contexts.consumers, &mut self.bytes, self.version)?;
        let client = find(&mut contexts.clients, &mut self.bytes, self.version)?;
        self.weight += CALL_WEIGHT + place.weight() + consumer.weight() + client.weight();
        record::read(&mut self.bytes, place, consumer, client)
    }
}

/// The context that comes next: a new one, or the number of one that came before.
fn find<'t, T: Context>(
    table: &'t mut Vec<T>,
    bytes: &mut Bytes<'_>,
    version: u8,
) -> Result<&'t T, Malformed> {
    let index = match bytes.number()?.checked_sub(1) {
        Some(index) => usize::try_from(index).map_err(|_| Malformed::Context)?,
        None => {
            table.push(T::read(bytes, version)?);
            table.len() - 1
        }
    };
    table.get(index).ok_or(Malformed::Context)
}
