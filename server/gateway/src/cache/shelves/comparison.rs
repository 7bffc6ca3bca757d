//! How many requests each way to evict answers, on traces that are made and always the same.
//!
//! `cargo test -p sluice-gateway --lib -- --ignored --nocapture hit_ratios` prints the table of docs/caching.md.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use sluice_contract::ids::{ApiId, TenantId};

use super::Eviction;
use crate::cache::account::{Owner, Shares};
use crate::cache::purges::Stamp;
use crate::cache::rules::Audience;
use crate::cache::store::{Cache, CacheLimits};
use crate::cache::stored::Stored;

/// The largest body; bodies of all sizes from 1 KiB have equal weight in powers of two.
static BODY: [u8; 64 << 10] = [0; 64 << 10];

/// Requests for keys, one after another.
struct Trace {
    name: &'static str,
    keys: Vec<u64>,
}

/// Numbers that only look random (SplitMix64).
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn mixed(value: u64) -> u64 {
    let mixed = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Ranks of which the nth is asked for as often as `1 / n^0.9` says.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(keys: usize) -> Self {
        let mut sum = 0.0;
        let weights = (1..=keys).map(|rank| {
            sum += (rank as f64).powf(-0.9);
            sum
        });
        let mut sums: Vec<f64> = weights.collect();
        sums.iter_mut().for_each(|part| *part /= sum);
        Self(sums)
    }

    fn rank(&self, unit: f64) -> u64 {
        self.0.partition_point(|part| *part < unit) as u64
    }
}

fn traces(keys: usize, requests: usize) -> [Trace; 3] {
    let zipf = Zipf::new(keys);
    let mut draws = Draws(7);
    let plain = (0..requests).map(|_| zipf.rank(draws.unit())).collect();
    let mut scanned = keys as u64;
    let polluted = (0..requests).map(|_| {
        if draws.unit() < 0.25 {
            scanned += 1;
            scanned
        } else {
            zipf.rank(draws.unit())
        }
    });
    let polluted = polluted.collect();
    let shifting = (0..requests).map(|number| {
        // Four times another part of the keys is what is asked for most.
        let shift = number * 4 / requests * keys / 4;
        (zipf.rank(draws.unit()) + shift as u64) % keys as u64
    });
    let shifting = shifting.collect();
    [
        Trace { name: "Zipf", keys: plain },
        Trace { name: "Zipf, a quarter of the requests a scan", keys: polluted },
        Trace { name: "Zipf, other keys four times", keys: shifting },
    ]
}

fn size(key: u64) -> usize {
    let unit = (mixed(key) >> 11) as f64 / (1_u64 << 53) as f64;
    (1_024.0 * 64_f64.powf(unit)) as usize
}

/// The part of the requests, and of the bytes, that is answered from a cache of so many bytes.
fn hit_ratio(eviction: Eviction, max_bytes: u64, trace: &Trace) -> [f64; 2] {
    let shares = Shares { api: 100, tenant: 100 };
    let cache = Cache::new(CacheLimits { max_bytes, eviction, shares });
    let account = cache.account(Owner { api: ApiId::generate(), tenant: TenantId::generate() }, "a", "r");
    let nothing = HeaderMap::new();
    let (mut hits, mut hit_bytes, mut bytes) = (0, 0, 0);
    for key in &trace.keys {
        let (hash, name) = (mixed(*key), key.to_le_bytes());
        bytes += size(*key);
        if cache.get(hash, &name, &nothing).is_some() {
            hits += 1;
            hit_bytes += size(*key);
            continue;
        }
        let body = Bytes::from_static(&BODY[..size(*key)]);
        let stamp = Stamp { position: 1, at: 1 };
        let mut stored = Stored::for_tests(HeaderMap::new(), body, stamp, Audience::Everyone);
        stored.key = name.as_slice().into();
        cache.put(hash, Arc::new(stored), Arc::clone(&account));
    }
    cache.forget_aged(0);
    assert!(cache.bytes() <= max_bytes, "{} {} {max_bytes}", eviction.name(), cache.bytes());
    [f64::from(hits) / trace.keys.len() as f64, hit_bytes as f64 / bytes as f64]
}

fn total_bytes(keys: usize) -> u64 {
    (0..keys as u64).map(|key| size(key) as u64).sum()
}

#[test]
fn what_is_asked_for_again_and_again_stays_where_that_counts() {
    let (keys, requests) = (2_000, 30_000);
    let [_, polluted, _] = traces(keys, requests);
    let ratios = Eviction::ALL.map(|eviction| hit_ratio(eviction, total_bytes(keys) / 10, &polluted)[0]);
    let [by_size, often, lately, first, by_lot] = ratios;
    assert!(by_size > often + 0.05 && often > lately + 0.03, "{ratios:?}");
    assert!(lately > first + 0.01 && by_lot > 0.2, "{ratios:?}");
}

#[test]
fn what_was_wanted_often_once_makes_room_for_what_is_wanted_now() {
    // Fifty keys fit, each of which is asked for more often at first than can be counted of what is not stored.
    let rounds = |first: u64, rounds: u64| (0..rounds).flat_map(move |_| first..first + 50);
    let keys: Vec<u64> = rounds(0, 400).chain(rounds(1_000, 400)).collect();
    let room = (0..50).chain(1_000..1_050).map(|key| size(key) as u64 + 500).sum::<u64>() / 2;
    for eviction in [Eviction::SizeLfu, Eviction::Lru] {
        let trace = Trace { name: "", keys: keys.clone() };
        let [ratio, _] = hit_ratio(eviction, room, &trace);
        assert!(ratio > 0.8, "{} {ratio}", eviction.name());
    }
}

#[test]
#[ignore = "a measurement that takes minutes in a debug build"]
fn hit_ratios() {
    let (keys, requests) = (20_000, 300_000);
    let mut table = String::from(
        "| Trace | Memory | sizelfu | tinylfu | lru | fifo | random |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for trace in traces(keys, requests) {
        for percent in [1, 5, 20] {
            let _ = write!(table, "| {} | {percent} % |", trace.name);
            for eviction in Eviction::ALL {
                let [requests, bytes] = hit_ratio(eviction, total_bytes(keys) / 100 * percent, &trace);
                let _ = write!(table, " {:.1} ({:.1}) |", requests * 100.0, bytes * 100.0);
            }
            table.push('\n');
        }
    }
    println!("{table}");
}
