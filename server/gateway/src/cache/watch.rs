//! What is learnt of a body on its way into the store: the tag that it is known by, and whether it has something that must
//! not be stored.

use std::sync::atomic::{AtomicU64, Ordering};

use http::response;
use sluice_policies::cache::{CacheRule, Found};

use super::decode::Decoding;
use super::made_tag::{MadeTag, Making};

/// Sees a body pass.
pub(super) struct Watch {
    making: Option<Making>,
    looking: Option<Decoding>,
}

impl Watch {
    /// Of the body behind this head; `makes_tag` says whether it may get one.
    ///
    /// # Errors
    /// When it cannot be looked at although it has to.
    pub(super) fn new(rule: &CacheRule, head: &response::Parts, makes_tag: bool) -> Result<Self, Found> {
        let look = match &rule.forbidden {
            Some(forbidden) => forbidden.look_at_body(&head.headers)?,
            None => None,
        };
        let looking = look.map(|look| Decoding::new(&head.headers, look)).transpose()?;
        let makes_tag = makes_tag && rule.make_etags;
        let making = makes_tag.then(|| Making::begin(head.status, &head.headers)).flatten();
        Ok(Self { making, looking })
    }

    /// Whether it is not known before the end that the body may be stored.
    pub(super) fn is_looking(&self) -> bool {
        self.looking.is_some()
    }

    pub(super) fn see(&mut self, bytes: &[u8]) -> Result<(), Found> {
        if let Some(making) = &mut self.making {
            making.add(bytes);
        }
        self.looking.as_mut().map_or(Ok(()), |looking| looking.see(bytes))
    }

    /// The whole body has passed.
    pub(super) fn finish(self) -> Result<Option<MadeTag>, Found> {
        self.looking.map_or(Ok(()), Decoding::finish)?;
        Ok(self.making.map(Making::finish))
    }

    /// All of it at once.
    pub(super) fn whole(mut self, body: &[u8]) -> Result<Option<MadeTag>, Found> {
        self.see(body)?;
        self.finish()
    }
}

/// Responses that were not stored for what they have, by what that was.
#[derive(Debug, Default)]
pub(super) struct Refusals([AtomicU64; Found::ALL.len()]);

impl Refusals {
    pub(super) fn count(&self, found: Found) {
        // Never what it was in: only that it was there.
        tracing::debug!(target: "sluice::cache", reason = found.name(), "a response is not stored");
        self.0[found as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Found::ALL.iter().zip(&self.0).map(|(found, count)| (found.name(), count.load(Ordering::Relaxed)))
    }
}
