//! The journal becomes what is served.

use sluice_contract::ids::ApiId;
use sluice_contract::journal::Change;
use sluice_contract::part::Sha256Hash;

use super::*;

#[test]
fn a_new_gateway_takes_a_snapshot_then_follows_and_acknowledges() {
    let control = FakeControl::start();
    let (first, second) = (ApiId::generate(), ApiId::generate());
    control.release(&part(first, 1));
    control.append(key_set("old key"));
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(data.path(), &control);
    eventually("the snapshot is served", || gateway.revision(first) == Some(1) && gateway.accepts("old key"));

    control.release(&part(second, 7));
    control.append(key_set("new key"));
    let (position, _) = control.release(&part(first, 2));
    eventually("the head is acknowledged", || control.state().acknowledged() == position);
    assert_eq!((gateway.revision(first), gateway.revision(second)), (Some(2), Some(7)));
    assert!(gateway.accepts("new key"));
    control.append(Change::ApiWithdrawn { api: second });
    eventually("the withdrawn API is gone", || gateway.revision(second).is_none());
    assert_eq!(control.state().snapshots_served, 1);
    eventually("it beats", || control.state().heartbeats.iter().any(|beat| beat.boot == gateway.boot));
    gateway.stop();
}

#[test]
fn positions_are_acknowledged_in_order_and_quickly() {
    let control = FakeControl::start();
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(data.path(), &control);
    control.append(key_set("0"));
    eventually("it has begun", || control.state().acknowledged() == 1);
    let mut slowest = Duration::ZERO;
    for key in 2..=50 {
        let begun = Instant::now();
        let position = control.append(key_set(&key.to_string()));
        eventually("it is acknowledged", || control.state().acknowledged() >= position);
        slowest = slowest.max(begun.elapsed());
    }
    let acknowledged: Vec<_> = control.state().acknowledgements.iter().map(|ack| ack.position).collect();
    assert!(acknowledged.is_sorted(), "{acknowledged:?}");
    println!("slowest of 49 changes, appended to acknowledged: {slowest:?}");
    gateway.stop();
}

#[test]
fn a_part_that_does_not_compile_leaves_the_version_before_and_blocks_nothing() {
    let control = FakeControl::start();
    let (bad, good) = (ApiId::generate(), ApiId::generate());
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(data.path(), &control);
    control.release(&part(bad, 1));
    eventually("the first version is served", || gateway.revision(bad) == Some(1));

    let mut broken = part(bad, 2);
    broken.definition.routes[0].path = "no slash".to_owned();
    let (_, broken_hash) = control.release(&broken);
    control.append(key_set("key"));
    let (position, _) = control.release(&part(good, 1));
    eventually("the rest is acknowledged", || control.state().acknowledged() == position);
    assert_eq!((gateway.revision(bad), gateway.revision(good)), (Some(1), Some(1)));
    let failed = control.state().acknowledgements.last().unwrap().failed.clone();
    assert_eq!((failed.len(), failed[0].api, failed[0].part), (1, bad, broken_hash));
    assert!(failed[0].reason.contains("route `get`"), "{}", failed[0].reason);

    // The next life comes to the same: the version before, and the same report.
    gateway.stop();
    control.state().acknowledgements.clear();
    let gateway = Gateway::start(data.path(), &control);
    assert_eq!((gateway.revision(bad), gateway.revision(good)), (Some(1), Some(1)));
    eventually("it is reported again", || {
        control.state().acknowledgements.last().is_some_and(|ack| ack.failed == failed)
    });
    // A good version heals it.
    control.release(&part(bad, 3));
    eventually("it is healed", || {
        control.state().acknowledgements.last().is_some_and(|ack| ack.failed.is_empty())
    });
    assert_eq!(gateway.revision(bad), Some(3));
    gateway.stop();
}

#[test]
fn a_part_of_a_newer_shape_is_refused_by_name() {
    let control = FakeControl::start();
    let api = ApiId::generate();
    let bytes = serde_json::to_vec(&serde_json::json!({ "schema": 99, "anything": true })).unwrap();
    let hash = Sha256Hash::of(&bytes);
    control.state().parts.insert(hash, bytes.into());
    control.release_hash(api, hash);
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(data.path(), &control);
    eventually("it is reported", || {
        let state = control.state();
        let failed = state.acknowledgements.last().and_then(|ack| ack.failed.first());
        failed.is_some_and(|failed| failed.reason.contains("schema 99"))
    });
    gateway.stop();
}

#[test]
fn a_revocation_does_not_wait_for_a_part_that_never_comes() {
    let control = FakeControl::start();
    let api = ApiId::generate();
    control.append(key_set("stolen"));
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(data.path(), &control);
    eventually("the key is accepted", || gateway.accepts("stolen"));

    let (_, hash) = part(api, 1).canonical().unwrap();
    control.state().hanging_parts.insert(hash);
    let released = control.release_hash(api, hash);
    let revoked = control.append(key_removed("stolen"));
    let begun = Instant::now();
    eventually("the key is refused", || !gateway.accepts("stolen"));
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(gateway.position(), revoked);
    assert_eq!(control.state().acknowledged(), released - 1, "the release is not done, so not acknowledged");
    // A newer release of the same API decides it.
    let (position, _) = control.release(&part(api, 2));
    eventually("everything is acknowledged", || control.state().acknowledged() == position);
    gateway.stop();
}

#[test]
fn a_part_that_cannot_be_fetched_is_reported_and_fetched_later() {
    let mut control = FakeControl::start();
    let api = ApiId::generate();
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(data.path(), &control);
    let (_, hash) = part(api, 1).canonical().unwrap();
    control.state().broken_parts.insert(hash, 503);
    let (position, _) = control.release(&part(api, 1));
    eventually("it is reported", || {
        let state = control.state();
        state.acknowledgements.last().is_some_and(|ack| ack.position == position && ack.failed.len() == 1)
    });
    control.state().broken_parts.clear();
    // Tried again every ten seconds, and at once after a reconnection.
    control.down();
    control.up();
    eventually("it is served", || gateway.revision(api) == Some(1));
    eventually("it is acknowledged", || {
        control.state().acknowledgements.last().is_some_and(|ack| ack.failed.is_empty())
    });
    gateway.stop();
}

#[test]
fn bytes_that_are_not_what_their_hash_says_are_never_served() {
    let control = FakeControl::start();
    let api = ApiId::generate();
    let (_, hash) = part(api, 1).canonical().unwrap();
    let other = part(api, 666).canonical().unwrap().0;
    control.state().parts.insert(hash, other.into());
    let position = control.release_hash(api, hash);
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(data.path(), &control);
    eventually("it is reported", || {
        let state = control.state();
        state.acknowledgements.last().is_some_and(|ack| ack.position == position && ack.failed.len() == 1)
    });
    assert_eq!(gateway.revision(api), None);
    gateway.stop();
}

#[test]
fn a_part_is_fetched_once_and_a_rollback_not_at_all() {
    let control = FakeControl::start();
    let api = ApiId::generate();
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(data.path(), &control);
    for revision in [1, 2, 1, 2, 1] {
        let (position, _) = control.release(&part(api, revision));
        eventually("it is acknowledged", || control.state().acknowledged() == position);
        assert_eq!(gateway.revision(api), Some(revision));
    }
    assert_eq!(control.state().parts_served.len(), 2);
    gateway.stop();
}

#[test]
fn a_gateway_that_is_too_far_behind_takes_a_snapshot_and_drops_what_is_gone() {
    let mut control = FakeControl::start();
    let (kept, gone) = (ApiId::generate(), ApiId::generate());
    control.release(&part(kept, 1));
    control.release(&part(gone, 1));
    control.append(key_set("revoked meanwhile"));
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(data.path(), &control);
    eventually("it has begun", || gateway.revision(gone) == Some(1));
    control.down();
    control.append(Change::ApiWithdrawn { api: gone });
    control.append(key_removed("revoked meanwhile"));
    control.append(key_set("added meanwhile"));
    control.compact();
    let position = control.append(key_set("after"));
    control.up();
    eventually("it has caught up", || control.state().acknowledged() == position);
    assert_eq!((gateway.revision(kept), gateway.revision(gone)), (Some(1), None));
    assert!(!gateway.accepts("revoked meanwhile") && gateway.accepts("added meanwhile"));
    assert_eq!(control.state().snapshots_served, 2);
    gateway.stop();
}

#[test]
fn a_restored_backup_replaces_everything_although_its_positions_are_lower() {
    let control = FakeControl::start();
    let api = ApiId::generate();
    control.release(&part(api, 1));
    for key in 0..10 {
        control.append(key_set(&key.to_string()));
    }
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(data.path(), &control);
    eventually("it has begun", || gateway.position() == 11);
    control.state().credentials.remove(&Sha256Hash::of(b"3"));
    control.restore_backup();
    eventually("it follows the new incarnation", || gateway.position() == 1);
    assert!(!gateway.accepts("3") && gateway.accepts("4"));
    assert_eq!(gateway.revision(api), Some(1));
    let incarnation = control.state().incarnation.unwrap();
    eventually("it acknowledges the new incarnation", || {
        control.state().acknowledgements.last().is_some_and(|ack| ack.incarnation == incarnation)
    });
    gateway.stop();
}

#[test]
fn within_an_incarnation_no_gateway_goes_back() {
    let mut control = FakeControl::start();
    for key in 0..5 {
        control.append(key_set(&key.to_string()));
    }
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(data.path(), &control);
    eventually("it has begun", || gateway.position() == 5);
    control.append(key_removed("4"));
    eventually("the key is gone", || !gateway.accepts("4"));
    // A database that forgot its last entries without a new incarnation.
    control.down();
    control.state().entries.truncate(3);
    control.append(key_set("4"));
    control.up();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(gateway.position(), 6);
    assert!(!gateway.accepts("4"), "a revocation is never undone by an older state");
    gateway.stop();
}

#[test]
fn a_thousand_changes_at_once_are_applied_in_order() {
    let control = FakeControl::start();
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(data.path(), &control);
    eventually("it has begun", || gateway.shared.is_ready());
    for key in 0..1_000 {
        control.append(key_set(&key.to_string()));
        if key % 2 == 0 {
            control.append(key_removed(&key.to_string()));
        }
    }
    eventually("all are acknowledged", || control.state().acknowledged() == 1_500);
    assert_eq!(gateway.shared.snapshot().credentials.len(), 500);
    gateway.stop();
}
