use bytes::Bytes;
use http::header::{ACCEPT, HeaderValue};
use sluice_contract::ids::{ApiId, TenantId};
use sluice_contract::link::CacheEvictions;

use super::*;
use crate::cache::labels::Label;
use crate::cache::purges::{Stamp, Strength};
use crate::cache::rules::Audience;
use crate::cache::vary::Selecting;

fn account(cache: &Cache, tenant: TenantId) -> Arc<Account> {
    let api = ApiId::generate();
    cache.account(Owner { api, tenant }, "a", "r")
}

/// Under a key, with a body of so many bytes.
fn response(key: &[u8], bytes: usize, headers: HeaderMap) -> Stored {
    let stamp = Stamp { position: 1, at: 1 };
    let mut stored = Stored::for_tests(headers, vec![0; bytes].into(), stamp, Audience::Everyone);
    stored.key = key.into();
    stored
}

#[test]
fn of_several_that_answer_the_one_that_was_made_last_does_and_else_the_newest_here() {
    let dated = |number: u64, day: &'static str, field: &'static str| {
        let mut stored = response(b"k", 0, HeaderMap::from_iter([(DATE, day.parse().unwrap())]));
        let name = field.parse().unwrap();
        stored.selecting = Selecting::of_request(&[name], &HeaderMap::new());
        stored.arrived = number;
        Arc::new(stored)
    };
    let (early, late) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Mon, 07 Nov 1994 08:49:37 GMT");
    for (first, second, found) in [(early, late, 2), (late, early, 1), (early, early, 2)] {
        let cache = Cache::new(CacheLimits::new(1 << 20));
        let account = account(&cache, TenantId::generate());
        cache.put(1, dated(1, first, "x-one"), Arc::clone(&account));
        cache.put(1, dated(2, second, "x-two"), account);
        let stored = cache.get(1, b"k", &HeaderMap::new()).unwrap().unwrap();
        assert_eq!(stored.arrived, found, "{first}, {second}");
    }
}

#[test]
fn who_asks_for_what_is_stored_again_waits_for_one_fetch_again() {
    let cache = Cache::new(CacheLimits::new(1 << 20));
    cache.remember_uncacheable(1);
    assert!(cache.is_uncacheable(1) && !cache.is_uncacheable(2));
    cache.put(1, Arc::new(response(b"k", 0, HeaderMap::new())), account(&cache, TenantId::generate()));
    assert!(!cache.is_uncacheable(1));
}

#[test]
fn what_is_larger_than_all_memory_is_not_stored_and_displaces_nothing() {
    let large = |bytes| Arc::new(response(b"k", bytes, HeaderMap::new()));
    for eviction in Eviction::ALL {
        let cache = Cache::new(CacheLimits { eviction, ..CacheLimits::new(20_000) });
        let account = account(&cache, TenantId::generate());
        cache.put(1, large(1_000), Arc::clone(&account));
        cache.put(2, large(20_000), account);
        cache.forget_aged(0);
        assert_eq!(
            (cache.entries(), cache.health().evictions),
            (1, CacheEvictions::default()),
            "{eviction:?}"
        );
    }
}

#[test]
fn who_has_more_than_a_share_makes_room_of_his_own_until_it_is_enough() {
    let cache = Cache::new(CacheLimits::new(100_000));
    let (tenant, other) = (TenantId::generate(), TenantId::generate());
    let (mine, theirs) = (account(&cache, tenant), account(&cache, other));
    let put = |hash, bytes, account: &Arc<Account>| {
        cache.put(hash, Arc::new(response(b"k", bytes, HeaderMap::new())), Arc::clone(account));
    };
    let has = |hash| cache.get(hash, b"k", &HeaderMap::new()).is_some();
    put(1, 45_000, &theirs);
    put(2, 20_000, &mine);
    put(3, 20_000, &mine);
    // One has to go for it, and that is enough.
    put(4, 20_000, &mine);
    assert_eq!([1, 2, 3, 4].map(has), [true, false, true, true]);
    assert_eq!(cache.health().evictions, CacheEvictions { api_share: 1, ..CacheEvictions::default() });
    // Alone it is larger than the share: all that goes for it is counted, and so is what does not come.
    put(5, 51_000, &mine);
    assert_eq!([1, 3, 4, 5].map(has), [true, false, false, false]);
    assert_eq!(cache.health().evictions, CacheEvictions { api_share: 4, ..CacheEvictions::default() });
}

#[test]
fn what_is_too_old_to_be_of_use_leaves_and_is_counted() {
    let cache = Cache::new(CacheLimits::new(1 << 20));
    let owner = Owner { api: ApiId::generate(), tenant: TenantId::generate() };
    let account = cache.account(owner, "a", "r");
    let stored = |key: &[u8], must_revalidate| {
        let stamp = Stamp { position: 1, at: 1 };
        let mut stored = Stored::for_tests(HeaderMap::new(), Bytes::new(), stamp, Audience::Everyone);
        stored.key = key.into();
        stored.storable.must_revalidate = must_revalidate;
        Arc::new(stored)
    };
    // Two of one hash, of which one goes, and one by itself.
    cache.put(1, stored(b"a", true), Arc::clone(&account));
    cache.put(1, stored(b"b", false), Arc::clone(&account));
    cache.put(2, stored(b"c", true), account);
    cache.forget_aged(60_000_000_000);
    assert_eq!((cache.entries(), cache.health().evictions), (3, CacheEvictions::default()));
    cache.forget_aged(60_000_000_001);
    assert_eq!(cache.health().evictions, CacheEvictions { age: 2, ..CacheEvictions::default() });
    let found = |hash, key| cache.get(hash, key, &HeaderMap::new()).is_some();
    assert_eq!((found(1, b"a"), found(1, b"b"), found(2, b"c")), (false, true, false));
    let held = cache.health().apis;
    assert_eq!((held[0].api, held[0].entries), (owner.api, 1));
    assert_eq!(held[0].evictions, cache.health().evictions);
    assert_eq!((cache.entries(), cache.bytes()), (1, held[0].bytes));
}

/// A response of an API to what a URL of its own names, whose fetch began at this time.
fn fetched(api: ApiId, url: u64, at: u64) -> Arc<Stored> {
    let mut stored = response(api.0.as_bytes(), 0, HeaderMap::new());
    stored.labels.url = url;
    stored.stamp.at = at;
    Arc::new(stored)
}

/// Everywhere where responses can be kept.
fn each_kind() -> impl Iterator<Item = Cache> {
    Eviction::ALL
        .into_iter()
        .map(|eviction| Cache::new(CacheLimits { eviction, ..CacheLimits::new(1 << 20) }))
}

#[test]
fn only_so_many_variants_of_a_key_are_kept_and_the_oldest_goes() {
    for cache in each_kind() {
        only_so_many_variants(&cache);
    }
}

fn only_so_many_variants(cache: &Cache) {
    let owner = Owner { api: ApiId::generate(), tenant: TenantId::generate() };
    let account = cache.account(owner, "a", "r");
    let key = owner.api.0.as_bytes();
    let accept = |number: usize| HeaderMap::from_iter([(ACCEPT, HeaderValue::from(number))]);
    for number in 0..=MAX_VARIANTS {
        let mut stored = response(key, 0, HeaderMap::new());
        stored.selecting = Selecting::of_request(&[ACCEPT], &accept(number));
        stored.arrived = number as u64;
        cache.put(1, Arc::new(stored), Arc::clone(&account));
    }
    cache.shelves.settle();
    assert_eq!((cache.entries(), cache.health().evictions.replaced), (MAX_VARIANTS as u64, 1));
    let all = cache.amount(owner.api, &Covered::All);
    assert_eq!((all.entries, all.bytes), (1, cache.bytes()), "all of one key");
    assert!(cache.get(1, key, &accept(0)).unwrap().is_none(), "the first had to go");
    for number in 1..=MAX_VARIANTS {
        let found = cache.find(1, key, &accept(number)).unwrap();
        assert_eq!(found.stored.arrived, number as u64, "people see the one that answers");
    }
}

#[test]
fn what_is_made_of_a_response_takes_its_place_and_that_of_no_other() {
    let cache = Cache::new(CacheLimits::new(1 << 20));
    let account = account(&cache, TenantId::generate());
    let of = |number: usize, arrived| {
        let mut stored = response(b"k", 0, HeaderMap::new());
        let accept = HeaderMap::from_iter([(ACCEPT, HeaderValue::from(number))]);
        (stored.selecting, stored.arrived) = (Selecting::of_request(&[ACCEPT], &accept), arrived);
        Arc::new(stored)
    };
    let (one, two) = (of(1, 1), of(2, 2));
    cache.put(1, Arc::clone(&one), Arc::clone(&account));
    cache.put(1, two, Arc::clone(&account));
    // Of the first, for other requests.
    cache.put_instead(1, Some(&one), of(3, 3), account);
    let found = |number: usize| {
        let accept = HeaderMap::from_iter([(ACCEPT, HeaderValue::from(number))]);
        cache.get(1, b"k", &accept).unwrap().map(|stored| stored.arrived)
    };
    assert_eq!([1, 2, 3].map(found), [None, Some(2), Some(3)]);
}

#[test]
fn who_has_to_make_room_gives_what_is_oldest_now_and_not_what_was_replaced() {
    let cache = Cache::new(CacheLimits::new(100_000));
    let (mine, theirs) = (account(&cache, TenantId::generate()), account(&cache, TenantId::generate()));
    let put = |hash, bytes, account: &Arc<Account>| {
        cache.put(hash, Arc::new(response(b"k", bytes, HeaderMap::new())), Arc::clone(account));
    };
    put(1, 45_000, &theirs);
    put(2, 20_000, &mine);
    put(3, 20_000, &mine);
    put(2, 20_000, &mine);
    put(4, 20_000, &mine);
    assert_eq!([2, 3, 4].map(|hash| cache.get(hash, b"k", &HeaderMap::new()).is_some()), [true, false, true]);
}

#[test]
fn a_purge_gives_back_the_memory_of_what_it_covers_of_its_api_and_of_nothing_else() {
    for cache in each_kind() {
        forgets_what_is_purged(&cache);
    }
}

fn forgets_what_is_purged(cache: &Cache) {
    let purges = ApiPurges::default();
    let (tenant, api, other) = (TenantId::generate(), ApiId::generate(), ApiId::generate());
    let of = |api| cache.account(Owner { api, tenant }, "a", "r");
    cache.put(1, fetched(api, 1, 1), of(api));
    // The same hash by chance.
    cache.put(1, fetched(other, 1, 1), of(other));
    cache.put(2, fetched(api, 2, 9), of(api));
    purges.all(Strength::Hard, Stamp { position: 1, at: 5 });
    cache.forget(api, &Covered::All, &purges);
    let left = |hash, api: ApiId| cache.get(hash, api.0.as_bytes(), &HeaderMap::new()).is_some();
    assert_eq!([left(1, api), left(1, other), left(2, api)], [false, true, true]);
    let found = |api| cache.amount(api, &Covered::All).entries;
    assert_eq!([found(api), found(other)], [1, 1], "nor does the index have what is gone");
    assert_eq!(cache.health().evictions, CacheEvictions { purged: 1, ..CacheEvictions::default() });
}

#[test]
fn before_a_purge_is_forgotten_what_it_covers_leaves() {
    for cache in each_kind() {
        forgets_with_the_purge(&cache);
    }
}

fn forgets_with_the_purge(cache: &Cache) {
    let purges = Purges::default();
    let owner = Owner { api: ApiId::generate(), tenant: TenantId::generate() };
    let (api, account) = (owner.api, cache.account(owner, "a", "r"));
    let stamp = |at| Stamp { position: 1, at };
    // Covered hard, softly, and by nothing; and what began at the time of which purges are forgotten, which one still covers.
    for (url, at) in [(1, 1), (2, 1), (3, 1), (4, 10)] {
        cache.put(url, fetched(api, url, at), Arc::clone(&account));
    }
    let of_api = purges.of(api);
    for (url, strength, at) in [(1, Strength::Hard, 5), (2, Strength::Soft, 5), (4, Strength::Hard, 11)] {
        of_api.label(Label::Url(url), strength, stamp(at));
    }
    cache.forget_purged_before(10, &purges);
    let left = |hash| cache.get(hash, api.0.as_bytes(), &HeaderMap::new()).is_some();
    assert_eq!([1, 2, 3, 4].map(left), [false, false, true, true]);
    assert_eq!(cache.health().evictions, CacheEvictions { purged: 2, ..CacheEvictions::default() });
}

#[test]
fn a_key_whose_response_is_refused_is_not_worth_waiting_for() {
    let cache = Cache::new(CacheLimits::new(1 << 20));
    cache.refuse(1, Found::Email, None);
    assert!(cache.is_uncacheable(1));
    assert!(cache.refused().any(|(_, count)| count == 1));
}

#[test]
fn nobody_makes_room_while_there_is_some_and_of_a_tenant_the_largest_gives_it() {
    let shares = Shares { api: 50, tenant: 60 };
    let new = || Cache::new(CacheLimits { shares, ..CacheLimits::new(100_000) });
    let put = |cache: &Cache, hash, bytes, account: &Arc<Account>| {
        cache.put(hash, Arc::new(response(b"k", bytes, HeaderMap::new())), Arc::clone(account));
    };
    let has = |cache: &Cache, hashes: &[u64]| -> Vec<bool> {
        hashes.iter().map(|hash| cache.get(*hash, b"k", &HeaderMap::new()).is_some()).collect()
    };
    let (tenant, other) = (TenantId::generate(), TenantId::generate());
    let cache = new();
    let (mine, theirs) = (account(&cache, tenant), account(&cache, other));
    put(&cache, 1, 5_000, &theirs);
    put(&cache, 2, 30_000, &mine);
    put(&cache, 3, 30_000, &mine);
    assert_eq!(has(&cache, &[1, 2, 3]), [true; 3], "more than a share, and nobody needs the room");

    let cache = new();
    let (small, large, theirs) = (account(&cache, tenant), account(&cache, tenant), account(&cache, other));
    put(&cache, 1, 40_000, &theirs);
    put(&cache, 2, 20_000, &small);
    put(&cache, 3, 25_000, &large);
    put(&cache, 4, 20_000, &small);
    assert_eq!(has(&cache, &[1, 2, 3, 4]), [true, true, false, true]);
    assert_eq!(cache.health().evictions, CacheEvictions { tenant_share: 1, ..CacheEvictions::default() });
}
