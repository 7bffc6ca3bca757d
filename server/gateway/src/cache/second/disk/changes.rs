//! From which number on values of a URL count: unsafe methods have changed it before.
//!
//! Kept in memory, where no write can be lost, and written when the folder is closed in order. Numbers and not times: what is written
//! after a change has a higher one, whatever the clocks say.

use hashbrown::HashMap;
use parking_lot::Mutex;

use super::super::Location;
use super::super::era::Era;
use super::super::wire::Origin;

/// URLs whose changes are known; past it the older half becomes one change of all others, which is too much, but never too little.
const MOST: usize = 16_384;
const VERSION: u64 = 2;
const LOCATION: usize = 47;
const ERA: usize = 33;
/// Bytes of a change: location, number, era.
const LENGTH: usize = LOCATION + 8 + ERA;

/// What is known of changes.
#[derive(Default)]
pub(in super::super) struct Changes(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// The number of the newest change.
    newest: u64,
    /// Of URLs that are not in the table, values up to this number do not count.
    floor: u64,
    changed: HashMap<Location, Change, ahash::RandomState>,
    /// What the gateway knows of purges when it closes the folder, or knew then.
    purges: Option<Vec<u8>>,
}

#[derive(Clone, Copy)]
struct Change {
    number: u64,
    era: Era,
}

impl Known {
    /// Values up to this number do not count.
    fn ended(&self, location: &Location) -> u64 {
        self.changed.get(location).map_or(self.floor, |change| change.number)
    }

    /// Forgets the older half.
    fn fold(&mut self) {
        let mut numbers: Vec<u64> = self.changed.values().map(|change| change.number).collect();
        let middle = numbers.len() / 2;
        let (_, &mut median, _) = numbers.select_nth_unstable(middle);
        self.changed.retain(|_, change| change.number > median);
        self.floor = self.floor.max(median);
    }
}

impl Changes {
    /// The URL has changed: what was written of it before does not count any more.
    pub(in super::super) fn begin(&self, location: &Location, era: Era) {
        let mut known = self.0.lock();
        known.newest += 1;
        let number = known.newest;
        known.changed.insert(location.clone(), Change { number, era });
        if known.changed.len() > MOST {
            known.fold();
        }
    }

    /// A change that cannot be told: everything may have changed.
    pub(in super::super) fn begin_anew(&self) {
        let mut known = self.0.lock();
        known.newest += 1;
        known.floor = known.newest;
        known.changed.clear();
    }

    /// Keeps what is known of purges for the next life.
    pub(in super::super) fn remember(&self, purges: Vec<u8>) {
        self.0.lock().purges = Some(purges);
    }

    /// What the last life knew of purges, once.
    pub(in super::super) fn remembered(&self) -> Option<Vec<u8>> {
        self.0.lock().purges.take()
    }

    /// Since when the URL is what it is.
    pub(super) fn era(&self, location: &Location) -> Option<Era> {
        self.0.lock().changed.get(location).map(|change| change.era)
    }

    /// The number of a value that is written now. None: the URL has changed since its fetch began.
    pub(super) fn number(&self, location: &Location, origin: &Origin) -> Option<u64> {
        let known = self.0.lock();
        let allowed = known.changed.get(location).is_none_or(|change| change.era.allows(origin));
        allowed.then_some(known.newest + 1)
    }

    /// Whether a value of this number counts.
    pub(super) fn is_current(&self, location: &Location, number: u64) -> bool {
        number > self.0.lock().ended(location)
    }

    /// For the next life of a folder of this size.
    pub(super) fn encode(&self, max_bytes: u64) -> Vec<u8> {
        let known = self.0.lock();
        let count = known.changed.len() as u64;
        let head = [VERSION, max_bytes, known.newest, known.floor, count].map(u64::to_le_bytes);
        let mut bytes = head.concat();
        for (location, Change { number, era }) in &known.changed {
            bytes.extend_from_slice(&location.0);
            bytes.extend_from_slice(&number.to_le_bytes());
            bytes.extend_from_slice(&era.encode());
        }
        bytes.extend_from_slice(known.purges.as_deref().unwrap_or_default());
        bytes
    }

    /// None when it is of a folder of another size, or not what was written.
    pub(super) fn decode(bytes: &[u8], max_bytes: u64) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(5 * 8)?;
        let (words, _) = head.as_chunks::<8>();
        let words: [_; 5] = words.try_into().ok()?;
        let [version, size, newest, floor, count] = words.map(u64::from_le_bytes);
        if version != VERSION || size != max_bytes {
            return None;
        }
        let (changes, purges) = rest.split_at_checked(usize::try_from(count).ok()?.checked_mul(LENGTH)?)?;
        let (changes, _) = changes.as_chunks::<LENGTH>();
        let changed = changes.iter().map(change).collect::<Option<_>>()?;
        let purges = (!purges.is_empty()).then(|| purges.to_vec());
        Some(Self(Mutex::new(Known { newest, floor, changed, purges })))
    }
}

fn change(bytes: &[u8; LENGTH]) -> Option<(Location, Change)> {
    let (location, rest) = bytes.split_at(LOCATION);
    let (number, era) = rest.split_first_chunk()?;
    let change = Change { number: u64::from_le_bytes(*number), era: Era::decode(era)? };
    Some((Location(location.into()), change))
}

#[cfg(test)]
mod tests {
    use sluice_contract::ids::{ApiId, EnvironmentId, IncarnationId};

    use super::*;

    fn location(number: usize) -> Location {
        let (environment, api) = (EnvironmentId(uuid::Uuid::from_u128(1)), ApiId(uuid::Uuid::from_u128(2)));
        Location::new(environment, api, &format!("/{number}"), b"")
    }

    fn fetched_at(at: u64) -> Origin {
        let incarnation = IncarnationId::generate();
        Origin { incarnation, position: 1, boot: 1, at, begun_ms: 0, made_ms: 0 }
    }

    fn changed_at(at: u64) -> Era {
        Era::changed(1, at).unwrap()
    }

    #[test]
    fn what_was_written_or_begun_before_a_change_does_not_count_after_it_nor_in_the_next_life() {
        let changes = Changes::default();
        let before = changes.number(&location(1), &fetched_at(5)).unwrap();
        assert!(changes.is_current(&location(1), before));
        changes.begin(&location(1), changed_at(10));
        let check = |changes: &Changes| {
            assert!(!changes.is_current(&location(1), before) && changes.is_current(&location(2), before));
            assert_eq!(changes.number(&location(1), &fetched_at(10)), None, "its fetch began before");
            assert_eq!(changes.era(&location(1)).map(|era| era.allows(&fetched_at(11))), Some(true));
            let after = changes.number(&location(1), &fetched_at(11)).unwrap();
            assert!(changes.is_current(&location(1), after));
        };
        check(&changes);
        let next = Changes::decode(&changes.encode(9), 9).unwrap();
        check(&next);
        next.begin(&location(2), changed_at(12));
        assert!(!next.is_current(&location(2), before));
        let last = next.number(&location(1), &fetched_at(20)).unwrap();
        next.begin_anew();
        assert!(!next.is_current(&location(1), last) && !next.is_current(&location(3), last));
        let after = next.number(&location(3), &fetched_at(1)).unwrap();
        assert!(!next.is_current(&location(3), before) && next.is_current(&location(3), after));
    }

    #[test]
    fn what_is_known_of_purges_is_said_to_the_next_life_once() {
        let changes = Changes::default();
        changes.begin(&location(1), changed_at(10));
        assert_eq!(Changes::decode(&changes.encode(9), 9).unwrap().remembered(), None);
        changes.remember(b"purges".to_vec());
        let next = Changes::decode(&changes.encode(9), 9).unwrap();
        assert!(!next.is_current(&location(1), 1));
        assert_eq!(next.remembered().as_deref(), Some(&b"purges"[..]));
        assert_eq!(next.remembered(), None);
    }

    #[test]
    fn past_the_most_the_older_half_is_one_change_of_all_others() {
        let changes = Changes::default();
        let first = changes.number(&location(MOST + 9), &fetched_at(1)).unwrap();
        for number in 0..MOST {
            changes.begin(&location(number), changed_at(2));
        }
        assert!(changes.is_current(&location(MOST + 9), first));
        let late = changes.number(&location(MOST + 9), &fetched_at(1)).unwrap();
        changes.begin(&location(MOST), changed_at(2));
        assert!(changes.0.lock().changed.len() <= MOST / 2 + 1);
        for number in 0..=MOST {
            assert!(!changes.is_current(&location(number), first), "{number}");
        }
        assert!(!changes.is_current(&location(MOST + 9), first));
        assert!(changes.is_current(&location(MOST + 9), late));
        assert!(!changes.is_current(&location(MOST), late), "the newer half is known one by one");
    }

    #[test]
    fn what_is_of_another_size_or_version_or_cut_off_is_not_taken_over() {
        let changes = Changes::default();
        changes.begin(&location(1), changed_at(1));
        let bytes = changes.encode(9);
        assert!(Changes::decode(&bytes, 9).is_some() && Changes::decode(&bytes, 8).is_none());
        for end in 0..bytes.len() {
            assert!(Changes::decode(&bytes[..end], 9).is_none(), "{end}");
        }
        let of_another_version = [&(VERSION + 1).to_le_bytes(), &bytes[8..]].concat();
        assert!(Changes::decode(&of_another_version, 9).is_none());
    }
}
