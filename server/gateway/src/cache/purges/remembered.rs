//! What is known of purges as the next life of a gateway can use it.
//!
//! Hashes of URLs and prefixes are this process's own: their purges count for the whole API then, soft ones as hard ones. That is too
//! much, but never too little. What unsafe methods have changed is not in it: who keeps responses over a restart remembers that.

use serde::{Deserialize, Serialize};
use sluice_contract::ids::{ApiId, TenantId};
use sluice_contract::journal::Position;

use super::{ApiPurges, Purges, Stamp, Strength};
use crate::cache::labels::Label;

/// Positions of the newest purges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RememberedPurges {
    /// Every purge after it is known.
    known_from: Position,
    /// Of the newest that was for more than one API.
    wide: Option<Position>,
    pub(super) apis: Vec<RememberedApi>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct RememberedApi {
    api: ApiId,
    tenant: Option<TenantId>,
    /// Of the newest that counts for all of it; zero: there was none.
    all: Position,
    tags: Vec<(u64, Position)>,
}

impl Purges {
    /// What is known, for the next life.
    pub fn remember(&self) -> RememberedPurges {
        let known_from = self.known_from();
        let known = self.all.lock();
        let apis = known.apis.iter().map(|(api, purges)| purges.remember(*api));
        let apis = apis.filter(|api| api.all > 0 || !api.tags.is_empty()).collect();
        RememberedPurges { known_from, wide: known.wide.map(|stamp| stamp.position), apis }
    }

    /// Goes on with what the last life knew; it is `now` by the gateway's clock.
    pub fn recall(&self, remembered: RememberedPurges, now: u64) {
        let RememberedPurges { known_from, wide, apis } = remembered;
        for RememberedApi { api, tenant, all, tags } in apis {
            let purges = self.of(api);
            tenant.inspect(|tenant| _ = purges.tenant.set(*tenant));
            if all > 0 {
                purges.all(Strength::Hard, Stamp { position: all, at: now });
            }
            for (tag, position) in tags {
                purges.label(Label::Tag(tag), Strength::Hard, Stamp { position, at: now });
            }
        }
        wide.inspect(|position| self.note_wide(Stamp { position: *position, at: now }));
        self.know_from(known_from);
    }
}

impl ApiPurges {
    fn remember(&self, api: ApiId) -> RememberedApi {
        let mut tags = Vec::new();
        let all = [&self.hard, &self.soft].map(|table| table.positions(&mut tags));
        RememberedApi { api, tenant: self.tenant.get().copied(), all: all[0].max(all[1]), tags }
    }
}
