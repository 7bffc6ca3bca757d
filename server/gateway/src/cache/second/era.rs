//! When a URL was last changed by an unsafe method, as gateways tell each other through the second level.
//!
//! What is stored of the URL is taken out when it changes, but not what is on its way: a fetch of another gateway that began before
//! and ends after. The era stays behind for these, and refuses them.

use super::CLOCKS;
use super::wire::{Origin, unix_ms};

const VERSION: u8 = 1;
/// Bytes of an era.
const LENGTH: usize = 1 + 4 * 8;

/// What is of an earlier one is no longer what the URL stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Era {
    /// Random: no two eras are one, where a server can only be asked for equality.
    pub(super) generation: u64,
    /// Whose clock `at` is of: a life of a gateway.
    boot: u64,
    at: u64,
    /// Milliseconds of Unix time; zero: nothing is known to have changed.
    changed_ms: u64,
}

impl Era {
    /// Nothing is known to have changed. None: there are no random numbers.
    pub(super) fn beginning() -> Option<Self> {
        let mut generation = [0; 8];
        getrandom::fill(&mut generation).ok()?;
        Some(Self { generation: u64::from_le_bytes(generation), boot: 0, at: 0, changed_ms: 0 })
    }

    /// Something has changed just now: `at` by the clock of this life of the gateway.
    pub(super) fn changed(boot: u64, at: u64) -> Option<Self> {
        Some(Self { boot, at, changed_ms: unix_ms(), ..Self::beginning()? })
    }

    /// Whether a fetch began after the change. Of another gateway's only the time of day is known, and clocks differ.
    pub(super) fn allows(&self, origin: &Origin) -> bool {
        if self.changed_ms == 0 {
            return true;
        }
        if origin.boot == self.boot {
            return origin.at > self.at;
        }
        let clocks = u64::try_from(CLOCKS.as_millis()).unwrap_or(u64::MAX);
        origin.begun_ms > self.changed_ms.saturating_add(clocks)
    }

    pub(super) fn encode(&self) -> [u8; LENGTH] {
        let Self { generation, boot, at, changed_ms } = *self;
        let mut bytes = [VERSION; LENGTH];
        for (place, number) in bytes[1..].chunks_exact_mut(8).zip([generation, boot, at, changed_ms]) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// None when it is not an era.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let [VERSION, numbers @ ..] = bytes else { return None };
        let numbers: &[u8; LENGTH - 1] = numbers.try_into().ok()?;
        let (words, _) = numbers.as_chunks::<8>();
        let [generation, boot, at, changed_ms] = *words else { return None };
        Some(Self {
            generation: u64::from_le_bytes(generation),
            boot: u64::from_le_bytes(boot),
            at: u64::from_le_bytes(at),
            changed_ms: u64::from_le_bytes(changed_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use sluice_contract::ids::IncarnationId;

    use super::*;

    #[test]
    fn what_began_before_a_change_is_refused_by_whoever_reads_it() {
        let era = Era::changed(1, 100).unwrap();
        let origin = |boot, at, begun_ms| Origin {
            incarnation: IncarnationId::generate(),
            position: 1,
            boot,
            at,
            begun_ms,
            made_ms: 0,
        };
        assert!(!era.allows(&origin(1, 100, u64::MAX)), "the same gateway, by its clock");
        assert!(era.allows(&origin(1, 101, 0)));
        assert!(!era.allows(&origin(2, u64::MAX, era.changed_ms + 2_000)), "another, by the time of day");
        assert!(era.allows(&origin(2, 0, era.changed_ms + 2_001)));
        assert!(Era::beginning().unwrap().allows(&origin(1, 0, 0)));
    }

    #[test]
    fn an_era_comes_back_as_it_was_and_nothing_else_is_one() {
        let era = Era::changed(u64::MAX, 7).unwrap();
        let bytes = era.encode();
        assert_eq!(Era::decode(&bytes), Some(era));
        assert_ne!(era.generation, Era::changed(u64::MAX, 7).unwrap().generation);
        let other_version = [&[VERSION + 1], &bytes[1..]].concat();
        for bytes in [&bytes[1..], &bytes[..LENGTH - 1], b"", b"nonsense", &other_version] {
            assert_eq!(Era::decode(bytes), None);
        }
    }
}
