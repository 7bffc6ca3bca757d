//! Which of several servers has a URL, and how each of them is.
//!
//! Rendezvous hashing: each node draws a number for each URL, and the highest has it. A node that is added takes its share from all
//! others, one that is removed leaves its own to them, and nothing else moves. All gateways must name the nodes alike.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use sluice_contract::link::{SecondLevelDisk, SecondLevelServer, SecondLevelState};

use super::Location;
use super::breaker::Breaker;

/// The servers by name, and what is known of each.
pub(super) struct Nodes {
    nodes: Box<[Node]>,
}

/// One server; several of a Redis cluster are one here, and so is a disk.
pub(super) struct Node {
    pub(super) name: String,
    /// What it draws with.
    seed: u64,
    pub(super) breaker: Breaker,
    /// The last thing that was heard was an answer.
    pub(super) answering: AtomicBool,
    pub(super) server: Mutex<Option<SecondLevelServer>>,
    pub(super) disk: Mutex<Option<SecondLevelDisk>>,
}

impl Nodes {
    /// At least one.
    pub(super) fn new(names: impl IntoIterator<Item = String>) -> Self {
        let node = |name: String| Node {
            seed: number(&Sha256::digest(name.as_bytes())),
            name,
            breaker: Breaker::default(),
            answering: AtomicBool::new(false),
            server: Mutex::default(),
            disk: Mutex::default(),
        };
        Self { nodes: names.into_iter().map(node).collect() }
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Node> {
        self.nodes.iter()
    }

    /// Which one has a URL.
    pub(super) fn index_of(&self, location: &Location) -> usize {
        if self.nodes.len() == 1 {
            return 0;
        }
        // The location is a hash already, in hexadecimal digits.
        let (words, _) = location.0.as_chunks::<8>();
        let of_location = words.iter().fold(0, |sum, word| mixed(sum ^ u64::from_le_bytes(*word)));
        let drawn = |(_, node): &(usize, &Node)| mixed(node.seed ^ of_location);
        self.nodes.iter().enumerate().max_by_key(drawn).map_or(0, |(index, _)| index)
    }

    pub(super) fn of(&self, location: &Location) -> Option<&Node> {
        self.nodes.get(self.index_of(location))
    }

    /// Up as long as one is.
    pub(super) fn state(&self) -> SecondLevelState {
        let is = |state: SecondLevelState| self.iter().any(|node| node.state() == state);
        if is(SecondLevelState::Up) {
            SecondLevelState::Up
        } else if is(SecondLevelState::Unknown) {
            SecondLevelState::Unknown
        } else {
            SecondLevelState::Tripped
        }
    }

    /// How long they were not asked, in all their lives; the mean of several.
    pub(super) fn tripped_for(&self, now: Instant) -> Duration {
        let all: Duration = self.iter().map(|node| node.breaker.open_for(now)).sum();
        all / u32::try_from(self.nodes.len().max(1)).unwrap_or(u32::MAX)
    }

    /// What all of them say of themselves, together; None while none does.
    pub(super) fn figures(&self) -> Option<SecondLevelServer> {
        self.iter().filter_map(|node| node.server.lock().clone()).reduce(SecondLevelServer::plus)
    }

    /// What a disk says of itself.
    pub(super) fn disk(&self) -> Option<SecondLevelDisk> {
        self.iter().find_map(|node| node.disk.lock().clone())
    }
}

impl Node {
    pub(super) fn state(&self) -> SecondLevelState {
        if self.breaker.is_open() {
            SecondLevelState::Tripped
        } else if self.answering.load(Ordering::Relaxed) {
            SecondLevelState::Up
        } else {
            SecondLevelState::Unknown
        }
    }
}

fn number(hash: &[u8]) -> u64 {
    hash.first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}

/// A number for each number, without any order in them (the end of SplitMix64).
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use sluice_contract::ids::{ApiId, EnvironmentId};

    use super::*;

    const URLS: usize = 8_000;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("cache-{number}.example:11211")).collect()
    }

    /// The name of the node that has each URL.
    fn shares(names: Vec<String>) -> Vec<String> {
        let nodes = Nodes::new(names);
        let (environment, api) = (EnvironmentId(uuid::Uuid::from_u128(1)), ApiId(uuid::Uuid::from_u128(2)));
        let of =
            |url| nodes.of(&Location::new(environment, api, &format!("/{url}"), b"")).unwrap().name.clone();
        (0..URLS).map(of).collect()
    }

    #[test]
    fn a_node_that_comes_or_goes_moves_its_share_and_nothing_else() {
        let (three, four) = (shares(names(3)), shares(names(4)));
        let new = "cache-3.example:11211";
        let moved = three.iter().zip(&four).filter(|(before, after)| before != after).count();
        assert!(three.iter().zip(&four).all(|(before, after)| before == after || after == new));
        assert!((URLS / 5..URLS / 3).contains(&moved), "{moved} of {URLS}");
        // The order in which nodes are named does not matter.
        let mut reversed = names(4);
        reversed.reverse();
        assert_eq!(shares(reversed), four);
    }

    #[test]
    fn each_node_has_about_the_same() {
        let four = shares(names(4));
        for name in names(4) {
            let share = four.iter().filter(|node| **node == name).count();
            assert!((URLS / 4 - URLS / 20..URLS / 4 + URLS / 20).contains(&share), "{name}: {share}");
        }
    }

    #[test]
    fn what_all_say_is_added_up_and_one_that_is_up_is_enough() {
        let nodes = Nodes::new(names(2));
        assert_eq!((nodes.state(), nodes.figures()), (SecondLevelState::Unknown, None));
        let of = |number| SecondLevelServer {
            memory_bytes: number,
            max_memory_bytes: number,
            evicted: number,
            operations_per_s: number,
            cpu_ms: number,
            network_kbps: number,
            connections: number,
            hits: number,
            misses: number,
        };
        for (node, number) in nodes.iter().zip([1, 2]) {
            *node.server.lock() = Some(of(number));
        }
        assert_eq!(nodes.figures(), Some(of(3)));
        let [one, other] = &nodes.nodes[..] else { panic!("two") };
        (0..5).for_each(|_| _ = one.breaker.failed(Instant::now()));
        other.answering.store(true, Ordering::Relaxed);
        assert_eq!((one.state(), nodes.state()), (SecondLevelState::Tripped, SecondLevelState::Up));
        (0..5).for_each(|_| _ = other.breaker.failed(Instant::now()));
        assert_eq!(nodes.state(), SecondLevelState::Tripped);
    }

    #[test]
    fn of_two_nodes_one_that_is_not_asked_counts_for_half_of_the_time() {
        let (nodes, start) = (Nodes::new(names(2)), Instant::now());
        let [one, _] = &nodes.nodes[..] else { panic!("two") };
        (0..5).for_each(|_| _ = one.breaker.failed(start));
        assert_eq!(nodes.tripped_for(start + Duration::from_secs(6)), Duration::from_secs(3));
    }
}
