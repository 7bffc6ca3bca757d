//! What a gateway says of itself every two seconds.

use super::warm::{Life, release, upstream};
use super::*;

#[test]
fn every_fifth_heartbeat_tells_what_routes_hold_of_the_cache() {
    let control = FakeControl::start();
    let api = release(&control, "first", upstream());
    let data = tempfile::tempdir().unwrap();
    let life = Life::begin(data.path(), &control);
    eventually("it serves", || life.trusts() && life.gateway.shared.is_ready());
    assert!(!life.is_from_disk("/acme/first/red"));
    eventually("seven are heard", || control.state().heartbeats.len() >= 7);
    let told: Vec<_> = control.state().heartbeats.iter().map(|beat| beat.cache_routes.clone()).collect();
    // The first, which is to tell too, may have come before anything was stored.
    let tell: Vec<_> = told[1..7].iter().map(|routes| !routes.is_empty()).collect();
    assert_eq!(tell, [false, false, false, false, true, false]);
    assert_eq!((told[5][&api][0].route.as_str(), told[5][&api][0].entries), ("get", 1));
    life.stop();
}
