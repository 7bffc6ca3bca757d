//! What becomes of one call in the trace that is played.

use super::*;

fn seen(status: u16, bytes: u64, signs: &[CacheSign]) -> Seen {
    Seen {
        at_ms: 0,
        resource: 1,
        caller: Some(7),
        bytes,
        upstream_us: Some(10),
        status,
        signs: signs.iter().copied().collect(),
        has_application: true,
    }
}

fn played(calls: &[Seen]) -> Vec<(u64, bool)> {
    requests(calls, true).iter().map(|request| (request.bytes - BESIDE_BODY, request.is_storable)).collect()
}

#[test]
fn what_a_policy_would_not_store_is_not_stored() {
    for (call, is_stored) in [
        (seen(200, 10, &[]), true),
        (seen(404, 10, &[]), false),
        (seen(206, 10, &[]), false),
        (seen(200, LARGEST + 1, &[]), false),
        (seen(200, 10, &[CacheSign::Forbids]), false),
        (seen(200, 10, &[CacheSign::SetsCookie]), false),
        (seen(200, 10, &[CacheSign::SetsCookie, CacheSign::Public]), true),
        (seen(200, 10, &[CacheSign::Varies, CacheSign::Lifetime, CacheSign::Personal]), true),
    ] {
        assert_eq!(played(&[call])[0].1, is_stored, "{call:?}");
    }
}

#[test]
fn an_answer_that_the_client_has_already_is_as_large_as_the_one_before() {
    let calls = [seen(304, 0, &[]), seen(200, 900, &[]), seen(304, 0, &[])];
    assert_eq!(played(&calls), [(0, true), (900, true), (900, true)]);
}

#[test]
fn callers_have_copies_of_their_own_unless_the_upstream_says_that_it_is_for_everybody() {
    let keys = |signs: &[CacheSign], by_caller| {
        let one = seen(200, 1, signs);
        let other = Seen { caller: Some(8), ..one };
        let found = requests(&[one, other], by_caller);
        found[0].key == found[1].key
    };
    assert!(!keys(&[], true));
    assert!(keys(&[CacheSign::Public], true));
    assert!(keys(&[], false), "if they shared");
}
