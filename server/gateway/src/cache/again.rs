//! A question that was answered from the store before, asked again.

use std::rc::Rc;
use std::sync::Arc;

use http::HeaderMap;
use sluice_contract::calls::CacheOutcome;

use super::judge::{Asked, Found, Held};
use super::key::Keys;
use super::serve::Ready;
use super::stored::Stored;
use crate::pipeline::Authorised;
use crate::state::Snapshot;
use crate::worker::Worker;

/// What a plain request asks of the store that is answered with everybody's copy.
pub(crate) struct Question {
    keys: Keys,
    /// The client's, by which `Vary` selects.
    pub(crate) headers: HeaderMap,
}

/// A fresh response.
pub(crate) struct Hit<'q> {
    asked: Asked<'q>,
    stored: Arc<Stored>,
    /// Nanoseconds of the gateway's clock when it was found.
    now: u64,
}

impl Question {
    /// In no more memory than it needs: what a request has was made for others before it.
    pub(super) fn of(keys: &Keys, fields: &HeaderMap) -> Self {
        let mut headers = HeaderMap::with_capacity(fields.len());
        for (name, value) in fields {
            headers.append(name, value.clone());
        }
        Self { keys: keys.clone(), headers }
    }

    /// None: the store has nothing that is fresh.
    pub(crate) fn ask<'q>(
        &'q self,
        worker: &Rc<Worker>,
        snapshot: &'q Snapshot,
        authorised: &'q Authorised,
        now: u64,
    ) -> Option<Hit<'q>> {
        let rule = authorised.cache_rule()?;
        let asked = Asked::plainly(worker, snapshot, authorised, rule, Held::Lent(&self.keys));
        let Found::Fresh(stored) = asked.look_up(&self.headers, now) else { return None };
        Some(Hit { asked, stored, now })
    }
}

impl Hit<'_> {
    /// As it is recorded of the call.
    pub(crate) fn outcome(&self) -> CacheOutcome {
        self.asked.outcome(&self.stored, self.now)
    }

    /// None when it depends on the call which fields it gets.
    pub(crate) fn ready(&self) -> Option<Ready> {
        self.stored.hits.count();
        self.asked.ready(&self.stored, self.now, false)
    }
}
