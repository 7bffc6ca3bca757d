//! Without the control plane: what is on disk serves, for as long as it may.

use std::sync::atomic::Ordering;

use sluice_contract::environment::EnvironmentSettings;
use sluice_contract::ids::ApiId;
use sluice_contract::journal::Change;

use super::*;

#[test]
fn a_gateway_starts_from_disk_when_the_control_plane_is_down() {
    let mut control = FakeControl::start();
    let api = ApiId::generate();
    control.release(&part(api, 1));
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(data.path(), &control);
    eventually("it has begun", || gateway.revision(api) == Some(1));
    control.append(key_set("key"));
    control.append(key_set("revoked"));
    let (position, _) = control.release(&part(api, 2));
    let last = control.append(key_removed("revoked"));
    eventually("it is acknowledged", || control.state().acknowledged() == last);
    assert!(last > position);
    gateway.stop();

    control.down();
    let gateway = Gateway::start(data.path(), &control);
    assert!(gateway.shared.is_ready(), "at once");
    assert_eq!((gateway.revision(api), gateway.position()), (Some(2), last));
    assert!(gateway.accepts("key") && !gateway.accepts("revoked"));
    // And goes on from there when it is back.
    let next = control.append(key_set("next"));
    control.up();
    eventually("it has caught up", || control.state().acknowledged() == next);
    assert_eq!(control.state().snapshots_served, 1);
    gateway.stop();
}

#[test]
fn cached_responses_are_trusted_only_while_the_control_plane_speaks() {
    let mut control = FakeControl::start();
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(data.path(), &control);
    let is_stale = || gateway.shared.switches.link_stale.load(Ordering::Relaxed);
    eventually("it is fresh", || !is_stale());
    control.down();
    eventually("it is stale", is_stale);
    assert!(gateway.shared.is_ready(), "serving goes on");
    control.up();
    eventually("it is fresh again", || !is_stale());
    gateway.stop();
}

/// A purge of the time in between may be on its way still.
#[test]
fn cached_responses_are_trusted_only_when_all_is_known_that_the_control_plane_has_said_meanwhile() {
    let mut control = FakeControl::start();
    control.append(key_set("key"));
    let data = tempfile::tempdir().unwrap();
    let is_stale = |gateway: &Gateway| gateway.shared.switches.link_stale.load(Ordering::Relaxed);
    let mut gateway = Gateway::start(data.path(), &control);
    for restarted in [false, true] {
        eventually("it is fresh", || !is_stale(&gateway));
        control.down();
        if restarted {
            gateway.stop();
            gateway = Gateway::start(data.path(), &control);
            assert!(gateway.shared.is_ready());
        } else {
            eventually("it is stale", || is_stale(&gateway));
        }
        let missed = control.append(key_set("missed"));
        control.hold_entries(true);
        let beats = control.state().heartbeats.len();
        control.up();
        eventually("they speak again", || control.state().heartbeats.len() > beats);
        let until = Instant::now() + Duration::from_millis(1_500);
        while Instant::now() < until {
            assert!(is_stale(&gateway), "restarted: {restarted}");
            std::thread::sleep(Duration::from_millis(2));
        }
        control.hold_entries(false);
        eventually("it is fresh again", || !is_stale(&gateway));
        assert_eq!(gateway.position(), missed);
    }
    gateway.stop();
}

#[test]
fn past_the_longest_time_offline_nothing_is_served_until_the_control_plane_is_back() {
    let mut control = FakeControl::start();
    let settings = EnvironmentSettings { max_offline_s: Some(1), ..EnvironmentSettings::default() };
    control.append(Change::SettingsSet(Box::new(settings)));
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(data.path(), &control);
    eventually("it is ready", || gateway.shared.is_ready());
    control.down();
    eventually("it refuses calls", || !gateway.shared.is_ready());
    gateway.stop();

    // The time counts across restarts.
    std::thread::sleep(Duration::from_millis(1_100));
    let gateway = Gateway::start(data.path(), &control);
    assert!(!gateway.shared.is_ready());
    control.up();
    eventually("it is ready again", || gateway.shared.is_ready());
    gateway.stop();
}

#[test]
fn the_gateway_s_own_bound_holds_beside_the_environment_s() {
    let mut control = FakeControl::start();
    control.append(key_set("key"));
    let data = tempfile::tempdir().unwrap();
    let own = Some(Duration::from_millis(600));
    let gateway =
        Gateway::start_with(GatewaySettings { max_offline: own, ..settings(data.path(), &control) });
    eventually("it is ready", || gateway.shared.is_ready());
    control.down();
    eventually("it refuses calls", || !gateway.shared.is_ready());
    gateway.stop();
}

#[test]
fn a_damaged_configuration_is_taken_anew() {
    let control = FakeControl::start();
    let api = ApiId::generate();
    control.release(&part(api, 1));
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(data.path(), &control);
    eventually("it has begun", || gateway.revision(api) == Some(1));
    gateway.stop();
    std::fs::write(data.path().join("configuration/base.json"), b"garbage").unwrap();
    let gateway = Gateway::start(data.path(), &control);
    eventually("it has begun again", || gateway.revision(api) == Some(1));
    assert_eq!(control.state().snapshots_served, 2);
    gateway.stop();
}

#[test]
fn a_part_missing_on_disk_is_fetched_again_and_the_rest_serves_meanwhile() {
    let mut control = FakeControl::start();
    let (one, other) = (ApiId::generate(), ApiId::generate());
    let (_, lost) = control.release(&part(one, 1));
    control.release(&part(other, 1));
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(data.path(), &control);
    eventually("both are served", || gateway.revision(one) == Some(1) && gateway.revision(other) == Some(1));
    // So that the next life does not begin with nothing.
    let position = control.append(key_set("key"));
    eventually("it is acknowledged", || control.state().acknowledged() == position);
    gateway.stop();
    std::fs::remove_file(data.path().join(format!("parts/{lost}.json"))).unwrap();
    control.down();
    let gateway = Gateway::start(data.path(), &control);
    control.up();
    eventually("it is served again", || gateway.revision(one) == Some(1));
    assert_eq!(gateway.revision(other), Some(1));
    gateway.stop();
}
