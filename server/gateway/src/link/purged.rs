//! The purges that a gateway knows of, kept for its next life by a second level that is its own: what stands there was fetched at many
//! positions of the journal, and is judged by them. What gateways share is not: others may have changed it meanwhile, of which only the
//! journal would have told.

use serde::{Deserialize, Serialize};
use sluice_contract::ids::IncarnationId;
use sluice_contract::journal::Position;

use super::held::Held;
use crate::cache::RememberedPurges;
use crate::shared::Shared;

/// What is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    incarnation: IncarnationId,
    /// No purge up to here is missing.
    position: Position,
    purges: RememberedPurges,
}

/// For the next life. Nothing is applied any more.
pub(super) fn remember(shared: &Shared) {
    let snapshot = shared.snapshot();
    let second = shared.cache.second_level().filter(|second| second.is_own());
    let (Some(second), Some(incarnation)) = (second, snapshot.incarnation) else { return };
    let purges = shared.compiler.purges.remember();
    match serde_json::to_vec(&Kept { incarnation, position: snapshot.position, purges }) {
        Ok(kept) => second.remember(kept),
        Err(error) => tracing::warn!(%error, "the purges cannot be kept for the next life"),
    }
}

/// Which purges are known in a life that begins with this.
pub(super) fn recall(shared: &Shared, held: &Held) {
    let kept = shared.cache.second_level().and_then(|second| second.remembered());
    let kept = kept.and_then(|kept| serde_json::from_slice::<Kept>(&kept).ok());
    // What was kept by a life before the last one says nothing of the purges since.
    let is_whole = |kept: &Kept| kept.incarnation == held.incarnation && kept.position >= held.position;
    match kept.filter(is_whole) {
        Some(kept) => shared.compiler.purges.recall(kept.purges, shared.clock.now()),
        None => shared.know_purges_from(held.position),
    }
}
