//! What unsafe methods have changed on a gateway reaches the control plane, for the memory of the others.

use sluice_contract::link::ChangedUrl;

use super::warm::{Life, release, upstream};
use super::*;

#[test]
fn what_an_unsafe_method_has_changed_is_told_until_the_control_plane_takes_it_or_says_that_it_never_will() {
    let control = FakeControl::start();
    let api = release(&control, "first", upstream());
    let data = tempfile::tempdir().unwrap();
    let life = Life::begin(data.path(), &control);
    eventually("it serves", || life.trusts() && life.gateway.shared.is_ready());
    let told = |times: usize| {
        eventually("it is told", || control.state().changed.len() >= times);
        let state = control.state();
        let last = state.changed.last().unwrap();
        assert_eq!((state.changed.len(), last.by), (times, state.changed[0].by));
        last.urls.clone()
    };
    let url = |path: &str| vec![ChangedUrl { api, path: path.to_owned() }];

    life.ask("PUT", "/acme/first/red?x=1");
    assert_eq!(told(1), url("/red?x=1"));

    control.state().refuse_changed = vec![503];
    life.ask("PUT", "/acme/first/blue");
    assert_eq!(told(3), url("/blue"), "told anew");

    control.state().refuse_changed = vec![422];
    life.ask("PUT", "/acme/first/green");
    assert_eq!(told(4), url("/green"));
    life.ask("PUT", "/acme/first/white");
    assert_eq!(told(5), url("/white"), "what is refused for good is told once");
    life.stop();
}
