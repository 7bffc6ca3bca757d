//! Enrolment, sessions, and who is trusted.

use std::os::unix::fs::PermissionsExt;

use sluice_contract::link::{GATEWAY_REMOVED, UNKNOWN_GATEWAY};

use super::*;

#[test]
fn a_gateway_enrols_once_and_keeps_its_identity_to_itself() {
    let control = FakeControl::start();
    control.append(key_set("key"));
    let data = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let gateway = Gateway::start(data.path(), &control);
        eventually("it is connected", || {
            control.state().sessions.last().is_some_and(|s| s.boot == gateway.boot)
        });
        gateway.stop();
    }
    let state = control.state();
    assert_eq!((state.enrolments.len(), state.enrolments[0].name.as_str()), (1, "tester"));
    assert_eq!(state.sessions[0].gateway, state.sessions[1].gateway);
    let mode = std::fs::metadata(data.path().join("identity.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn over_tls_only_the_certificate_of_the_token_is_trusted() {
    let control = FakeControl::start_tls();
    control.append(key_set("key"));
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(data.path(), &control);
    eventually("it is connected", || gateway.accepts("key"));
    gateway.stop();

    let mut token = control.token();
    token.fingerprint = Some(Sha256Hash::of(b"another certificate"));
    let other = tempfile::tempdir().unwrap();
    let gateway =
        Gateway::start_with(GatewaySettings { enrolment: Some(token), ..settings(other.path(), &control) });
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(control.state().enrolments.len(), 1, "the secret was not sent to the wrong one");
    assert!(!gateway.shared.is_ready());
    gateway.stop();
}

#[test]
fn an_expired_session_is_replaced_without_anything_noticing() {
    let control = FakeControl::start();
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(data.path(), &control);
    for round in 1..=5_u64 {
        let position = control.append(key_set(&round.to_string()));
        eventually("it is acknowledged", || control.state().acknowledged() == position);
        control.state().tokens.clear();
    }
    assert!(control.state().sessions.len() >= 5);
    gateway.stop();
}

#[test]
fn a_removed_gateway_serves_nothing() {
    let control = FakeControl::start();
    control.append(key_set("key"));
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(data.path(), &control);
    eventually("it is ready", || gateway.shared.is_ready());
    {
        let mut state = control.state();
        state.refuse_sessions = Some((403, GATEWAY_REMOVED));
        state.tokens.clear();
    }
    // The next word to the control plane finds out: an acknowledgement here.
    control.append(key_set("another"));
    eventually("it refuses calls", || !gateway.shared.is_ready());
    gateway.stop();
    // Nor does its next life, whatever is or was on its disk.
    let gateway = Gateway::start(data.path(), &control);
    assert!(!gateway.shared.is_ready());
    gateway.stop();
}

#[test]
fn a_gateway_that_a_restored_control_plane_does_not_know_enrols_again() {
    let control = FakeControl::start();
    control.append(key_set("key"));
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(data.path(), &control);
    eventually("it is connected", || gateway.accepts("key"));
    {
        let mut state = control.state();
        state.gateways.clear();
        state.tokens.clear();
    }
    control.append(key_set("another"));
    eventually("it is connected again", || control.state().acknowledged() == 2);
    assert_eq!(control.state().enrolments.len(), 2);
    gateway.stop();
    assert_eq!(UNKNOWN_GATEWAY, "unknown_gateway");
}

#[test]
fn without_a_token_and_an_identity_a_gateway_waits_without_serving() {
    let control = FakeControl::start();
    let data = tempfile::tempdir().unwrap();
    let gateway = Gateway::start_with(GatewaySettings { enrolment: None, ..settings(data.path(), &control) });
    std::thread::sleep(Duration::from_millis(200));
    assert!(!gateway.shared.is_ready());
    gateway.stop();
}
