//! Says every two seconds that this gateway is alive and how it does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sluice_contract::ids::BootId;
use sluice_contract::link::Heartbeat;
use tokio::time::MissedTickBehavior;

use super::session::Sessions;
use crate::shared::Shared;
use crate::telemetry::{SpoolHealth, Telemetry};

const EVERY: Duration = Duration::from_secs(2);
/// How many heartbeats there are to each that tells of routes, which takes longer.
const ROUTES_EVERY: u64 = 5;
/// Linux reports process times in hundredths of a second, whatever the kernel's own tick is.
const MS_PER_TICK: u64 = 10;
const PAGE: u64 = 4096;

/// What a heartbeat is made of.
pub(super) struct Pulse {
    pub(super) boot: BootId,
    pub(super) started: Instant,
    pub(super) shared: Arc<Shared>,
    pub(super) telemetry: Arc<Telemetry>,
}

/// Runs for ever.
pub(super) async fn run(sessions: Arc<Sessions>, pulse: Pulse) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0_u64.. {
        let connection = sessions.get().await;
        ticks.tick().await;
        match connection.control.heartbeat(&connection.session, &pulse.take(number)).await {
            Ok(()) => {}
            Err(error) if error.is_unauthorised() => sessions.end(&connection),
            Err(error) => tracing::debug!(%error, "a heartbeat did not arrive"),
        }
    }
}

impl Pulse {
    fn take(&self, number: u64) -> Heartbeat {
        let cache_routes = if number.is_multiple_of(ROUTES_EVERY) {
            self.shared.cache.held_by_route()
        } else {
            BTreeMap::new()
        };
        let SpoolHealth { batches, bytes, dropped_calls } = self.telemetry.health();
        Heartbeat {
            boot: self.boot,
            position: self.shared.peek().position,
            uptime_s: self.started.elapsed().as_secs(),
            memory_bytes: resident_bytes().unwrap_or_default(),
            cpu_ms: cpu_ms().unwrap_or_default(),
            connections: self.shared.stats.connections.load(Ordering::Relaxed),
            calls: self.shared.recorders.accepted(),
            cache_entries: self.shared.cache.entries(),
            cache_bytes: self.shared.cache.bytes(),
            spooled_batches: batches,
            spooled_bytes: bytes,
            dropped_calls,
            cache: Some(self.shared.cache.health()),
            cache_routes,
            second_level: self.shared.cache.second_level().map(|second| second.health()),
        }
    }
}

/// Second field of `/proc/self/statm`, in pages.
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(statm.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()? * PAGE)
}

/// User and system time: fields 14 and 15 of `/proc/self/stat`, counted after the name in parentheses.
fn cpu_ms() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) * MS_PER_TICK)
}
