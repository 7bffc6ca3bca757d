//! Recorded calls as a cache would have met them: read page by page, and kept as little of as the advice needs.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher as _};

use chrono::{DateTime, Utc};
use sluice_advisor::risk::personal;
use sluice_contract::calls::{CacheOutcome, CacheSign, CacheSigns};
use sluice_contract::ids::{CallId, TenantId};
use sluice_contract::rest::apis::Api;
use sluice_store::telemetry::{TraceQuery, TracedCall};
use uuid::Uuid;

use crate::problem::ApiError;
use crate::state::App;

/// Calls of an API that are read, the newest.
const CALLS: u32 = 200_000;
/// Calls that are read at once.
const PAGE: u32 = 5_000;

/// What was read.
#[derive(Default)]
pub(super) struct Traces {
    pub(super) routes: HashMap<String, Trace>,
    /// `GET` calls.
    pub(super) calls: u64,
    pub(super) first: Option<DateTime<Utc>>,
    pub(super) last: Option<DateTime<Utc>>,
    pub(super) truncated: bool,
}

/// The calls of a route that came as far as a cache, in order of time.
#[derive(Default)]
pub(super) struct Trace {
    pub(super) calls: Vec<Seen>,
    /// A part of one of its URLs that looks like data of a person.
    pub(super) personal: Option<String>,
}

/// What is kept of a call: some 60 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// Milliseconds from any beginning.
    pub(super) at_ms: u64,
    /// Names what was asked for, of which gateway.
    pub(super) resource: u64,
    /// Names who asked: the application, or who brings credentials of their own.
    pub(super) caller: Option<u64>,
    pub(super) bytes: u64,
    pub(super) upstream_us: Option<u32>,
    pub(super) status: u16,
    pub(super) signs: CacheSigns,
    pub(super) has_application: bool,
}

/// Reads the calls of an API from then until then.
///
/// # Errors
/// When the database fails.
pub(super) async fn read(
    app: &App,
    tenant: TenantId,
    api: &Api,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Traces, ApiError> {
    let mut traces = Traces::default();
    let mut before = (to, CallId(Uuid::nil()));
    for _ in 0..CALLS / PAGE {
        let query = TraceQuery { api: api.id, from, before, most: PAGE };
        let page = app.telemetry.trace(tenant, &query).await?;
        page.calls.into_iter().for_each(|call| traces.add(call, from, &api.base_path));
        match page.next {
            Some(next) => before = next,
            None => return Ok(traces.in_order()),
        }
    }
    traces.truncated = true;
    Ok(traces.in_order())
}

impl Traces {
    fn add(&mut self, call: TracedCall, from: DateTime<Utc>, base: &str) {
        self.calls += 1;
        self.first = Some(call.at);
        self.last.get_or_insert(call.at);
        // What was refused before, or matched nothing, no cache would have met.
        let Some(route) = call.route.clone() else { return };
        if call.cache == CacheOutcome::Uncached && !call.has_target {
            return;
        }
        let trace = self.routes.entry(route).or_default();
        if trace.personal.is_none() {
            // The names of tenant and API are the same in all of its paths.
            let path = call.path.strip_prefix(base).unwrap_or(&call.path);
            trace.personal = personal(path, call.query.as_deref()).map(str::to_owned);
        }
        trace.calls.push(Seen::of(&call, from));
    }

    /// Pages come with the newest first.
    fn in_order(mut self) -> Self {
        self.routes.values_mut().for_each(|trace| trace.calls.reverse());
        self
    }
}

impl Seen {
    fn of(call: &TracedCall, from: DateTime<Utc>) -> Self {
        let who = (&call.client_ip, &call.user_agent);
        let own = call.signs.has(CacheSign::Personal).then_some(who);
        let is_somebody = call.application.is_some() || own.is_some();
        Self {
            at_ms: u64::try_from((call.at - from).num_milliseconds()).unwrap_or_default(),
            resource: hash((call.gateway, &call.host, &call.path, &call.query)),
            caller: is_somebody.then(|| hash((call.application, own))),
            bytes: call.bytes_out,
            upstream_us: call.upstream_us.map(|took| u32::try_from(took).unwrap_or(u32::MAX)),
            status: call.status,
            signs: call.signs,
            has_application: call.application.is_some(),
        }
    }
}

/// The same for the same, whoever asks and when.
pub(super) fn hash(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}
