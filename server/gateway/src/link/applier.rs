//! Makes the journal true, in its order. Everything takes effect at once but a new version of an API, which is got
//! ready beside; until then, and when it cannot be, the version before is served. The position that is acknowledged
//! lies before the first release that is not decided yet.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use chrono::Utc;
use sluice_contract::ids::{ApiId, IncarnationId};
use sluice_contract::journal::{Change, Entry, Position, ReleasedApi, Snapshot as JournalSnapshot};
use sluice_contract::link::{Acknowledgement, FailedPart};
use sluice_contract::part::Sha256Hash;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::disk::Disk;
use super::error::LinkError;
use super::failpoints::Step;
use super::held::{Held, HeldApis, ServedParts};
use super::obtain::{Failure, Obtained, Obtainer};
use crate::state::Snapshot;

/// Applies the journal.
pub(super) struct Applier {
    obtainer: Arc<Obtainer>,
    disk: Disk,
    folding: Option<JoinHandle<io::Result<(Held, u64)>>>,
    /// What is served, or will be with the next [`Self::publish`].
    snapshot: Snapshot,
    apis: HeldApis,
    served: ServedParts,
    /// Releases that are being got ready: where in the journal the oldest undecided one of each API stands.
    pending: HashMap<ApiId, Position>,
    failed: BTreeMap<ApiId, (Sha256Hash, Failure)>,
    acknowledgement: watch::Sender<Option<Acknowledgement>>,
}

impl Applier {
    /// Begins with what the last life left on disk, and serves it at once.
    pub(super) fn restore(
        obtainer: Arc<Obtainer>,
        disk: Disk,
        held: Option<Held>,
    ) -> (Self, watch::Receiver<Option<Acknowledgement>>) {
        let (acknowledgement, receiver) = watch::channel(None);
        let mut applier = Self {
            obtainer,
            disk,
            folding: None,
            snapshot: Snapshot::default(),
            apis: HeldApis::default(),
            served: ServedParts::default(),
            pending: HashMap::new(),
            failed: BTreeMap::new(),
            acknowledgement,
        };
        if let Some(held) = held {
            tracing::info!(position = held.position, "serving the last configuration from disk");
            applier.load(held);
            // With nothing at hand at all (killed before its first parts came) every API would be unknown.
            if applier.served.is_empty() { applier.publish() } else { applier.serve() }
        }
        (applier, receiver)
    }

    /// Whose journal has been applied up to where. None when nothing has.
    pub(super) fn position(&self) -> Option<(IncarnationId, Position)> {
        Some((self.snapshot.incarnation?, self.snapshot.position))
    }

    /// Whether the disk refused something, so that a new snapshot is needed to have a configuration there again.
    pub(super) fn needs_snapshot(&self) -> bool {
        !self.disk.is_current()
    }

    /// Leaves nothing on disk that a next life could serve.
    pub(super) fn forget_disk(&mut self) {
        self.disk.forget();
    }

    /// Applies consecutive entries. Those that are applied already are skipped.
    ///
    /// # Errors
    /// When entries are missing in between.
    pub(super) fn apply(&mut self, mut entries: Vec<Entry>) -> Result<(), LinkError> {
        entries.retain(|entry| entry.position > self.snapshot.position);
        for (entry, expected) in entries.iter().zip(self.snapshot.position + 1..) {
            if entry.position != expected {
                let found = entry.position;
                return Err(LinkError::Protocol(format!("entry {found} came instead of {expected}")));
            }
        }
        if entries.is_empty() {
            return Ok(());
        }
        // A disk that refuses must not keep a revocation from taking effect.
        if let Err(error) = self.disk.append(&entries) {
            tracing::error!(%error, "the journal cannot be written to disk: a restart will need the control plane");
        }
        for entry in entries {
            self.snapshot.position = entry.position;
            self.make_true(entry);
        }
        self.publish();
        self.fold_if_due();
        Ok(())
    }

    /// Takes the whole state, for a gateway that is new or too far behind.
    ///
    /// # Errors
    /// When it is older than what is applied already: a gateway never goes back within an incarnation.
    pub(super) async fn install(&mut self, taken: JournalSnapshot) -> Result<(), LinkError> {
        let before = self.position();
        let same_journal = before.filter(|(incarnation, _)| *incarnation == taken.incarnation);
        if let Some((_, position)) = same_journal.filter(|(_, position)| *position > taken.position) {
            let found = taken.position;
            return Err(LinkError::Protocol(format!("a snapshot at {found} came after position {position}")));
        }
        // A fold in the background must not put the state before over this one.
        if let Some(folding) = self.folding.take() {
            let _ = folding.await;
        }
        self.purge_missed(&taken, same_journal.map(|(_, position)| position));
        let held = Held::of_snapshot(taken, &self.apis);
        tracing::info!(position = held.position, apis = held.apis.iter().count(), "taking a snapshot");
        if let Err(error) = self.disk.replace(held.clone()) {
            tracing::error!(%error, "the configuration cannot be written to disk: a restart will need the control plane");
        }
        self.remove_unused_parts(&held.apis);
        self.load(held);
        self.publish();
        Ok(())
    }

    /// A part is ready, or is not going to be.
    pub(super) fn obtained(&mut self, obtained: Obtained) {
        let Obtained { api, part, outcome } = obtained;
        if self.apis.wanted(api) != Some(part) {
            // Released anew or withdrawn in the meantime.
            return;
        }
        self.pending.remove(&api);
        match outcome {
            Ok(compiled) => {
                self.failed.remove(&api);
                self.served.insert(api, part);
                self.snapshot.set_api(compiled);
            }
            Err(failure) => self.fail(api, part, failure),
        }
        self.publish();
    }

    /// Tries again what failed for a reason that may have passed.
    pub(super) fn retry(&self) {
        for (api, (part, failure)) in &self.failed {
            if failure.passing {
                self.obtainer.begin(*api, *part);
            }
        }
    }

    /// Finishes a fold that has run in the background.
    pub(super) async fn finish_fold(&mut self) {
        let Some(folding) = self.folding.take_if(|folding| folding.is_finished()) else { return };
        match folding.await {
            Ok(Ok((_, bytes))) => {
                self.disk.folded(bytes);
                let mut apis = self.apis.clone();
                apis.forget_unserved(&self.served);
                self.apis = apis;
                self.remove_unused_parts(&self.apis);
            }
            Ok(Err(error)) => tracing::warn!(%error, "the configuration on disk could not be folded"),
            Err(error) => tracing::error!(%error, "folding the configuration on disk died"),
        }
    }

    fn make_true(&mut self, entry: Entry) {
        let Entry { position, at: _, change } = entry;
        match &change {
            Change::ApiReleased(released) => return self.release(released, position),
            Change::ApiWithdrawn { api } => {
                self.apis.withdraw(*api);
                self.served.remove(api);
                self.pending.remove(api);
                self.failed.remove(api);
            }
            // Purges come before the position that covers them is published.
            Change::Purge(purge) => self.obtainer.shared.purge(purge, position),
            Change::CredentialSet(_) | Change::CredentialRemoved { .. } | Change::SettingsSet(_) => {}
        }
        if let Err(error) = self.snapshot.apply(&change, None, &self.obtainer.shared.compiler) {
            tracing::error!(%error, position, "an entry of the journal cannot be used");
        }
    }

    fn release(&mut self, released: &ReleasedApi, position: Position) {
        let ReleasedApi { api, part, .. } = *released;
        self.apis.release(released.clone(), position);
        if self.served.get(&api) == Some(&part) {
            self.pending.remove(&api);
            self.failed.remove(&api);
            return;
        }
        self.pending.entry(api).or_insert(position);
        self.obtainer.begin(api, part);
    }

    /// Replaces everything that is served by what is held.
    fn load(&mut self, held: Held) {
        let Held { incarnation, position, settings, apis, credentials } = held;
        let compiler = &self.obtainer.shared.compiler;
        let mut next = Snapshot { incarnation: Some(incarnation), position, ..Snapshot::default() };
        match compiler.settings(&settings) {
            Ok(settings) => next.settings = Arc::new(settings),
            Err(error) => {
                tracing::error!(%error, "the environment's settings cannot be used");
                next.settings = Arc::clone(&self.snapshot.settings);
            }
        }
        for entry in credentials.into_values() {
            match compiler.credential(&entry) {
                Ok(credential) => next.set_credential(Arc::new(credential)),
                Err(error) => tracing::error!(%error, credential = %entry.credential, "a key cannot be used"),
            }
        }
        self.load_apis(&mut next, &apis);
        self.snapshot = next;
        self.apis = apis;
    }

    /// Each API in its newest version that is at hand; what is newer is begun to be got.
    fn load_apis(&mut self, next: &mut Snapshot, apis: &HeldApis) {
        self.pending.clear();
        self.failed.clear();
        let before = std::mem::take(&mut self.served);
        let mut compiled = Vec::new();
        for (api, held) in apis.iter() {
            for (age, version) in held.versions.iter().enumerate() {
                let part = version.part;
                let at_hand = match self.snapshot.apis.get(api) {
                    Some(served) if before.get(&api) == Some(&part) => Some(Ok(Arc::clone(served))),
                    _ => self.obtainer.read_disk(api, &part),
                };
                match at_hand {
                    Some(Ok(ready)) => {
                        self.served.insert(api, part);
                        compiled.push(ready);
                        break;
                    }
                    Some(Err(failure)) if age == 0 => self.fail(api, part, failure),
                    None if age == 0 => {
                        self.pending.insert(api, held.since);
                        self.obtainer.begin(api, part);
                    }
                    _ => {}
                }
            }
        }
        next.set_apis(compiled);
    }

    fn fail(&mut self, api: ApiId, part: Sha256Hash, failure: Failure) {
        tracing::error!(%api, %part, reason = failure.reason, "a release cannot be served; the version before stays");
        self.failed.insert(api, (part, failure));
    }

    /// Cached responses that purges of the time in between cover.
    fn purge_missed(&self, taken: &JournalSnapshot, since: Option<Position>) {
        let shared = &self.obtainer.shared;
        match since {
            Some(since) if since >= taken.purges_from => {
                for entry in taken.purges.iter().filter(|entry| entry.position > since) {
                    if let Change::Purge(purge) = &entry.change {
                        shared.purge(purge, entry.position);
                    }
                }
            }
            _ => {
                // All that is in memory is older than this moment. What other gateways have stored and shared is judged by the
                // purges that the snapshot has, so that a gateway that is new need not begin cold.
                shared.drop_cache(taken.purges_from.max(1));
                for entry in &taken.purges {
                    if let Change::Purge(purge) = &entry.change {
                        shared.purge_unseen(purge, entry.position);
                    }
                }
                shared.know_purges_from(taken.purges_from);
            }
        }
    }

    fn publish(&self) {
        let shared = &self.obtainer.shared;
        // The very first configuration is served when its parts are there: before, every API would be unknown.
        if !shared.peek().is_ready() && !self.pending.is_empty() {
            return;
        }
        self.serve();
    }

    /// Serves what there is, even when parts are still missing: what the last life left on disk was served by it, and
    /// the control plane that has the missing parts may be away.
    fn serve(&self) {
        self.obtainer.failpoints.reach(Step::BeforeSwap);
        self.obtainer.shared.publish(self.snapshot.clone());
        self.acknowledge();
    }

    fn acknowledge(&self) {
        let Some((incarnation, applied)) = self.position() else { return };
        let undecided = self.pending.values().min();
        let position = undecided.map_or(applied, |position| applied.min(position.saturating_sub(1)));
        let failed = self.failed.iter().map(|(api, (part, failure))| FailedPart {
            api: *api,
            part: *part,
            reason: failure.reason.clone(),
        });
        let next =
            Acknowledgement { incarnation, position, applied_at: Utc::now(), failed: failed.collect() };
        self.acknowledgement.send_if_modified(|current| {
            let news = current.as_ref().is_none_or(|current| is_news(current, &next));
            if news {
                *current = Some(next);
            }
            news
        });
    }

    fn fold_if_due(&mut self) {
        if self.folding.is_some() {
            return;
        }
        match self.disk.fold_if_due(|| self.served.clone()) {
            Ok(None) => {}
            Ok(Some(fold)) => self.folding = Some(tokio::task::spawn_blocking(|| fold.run())),
            Err(error) => tracing::warn!(%error, "the configuration on disk could not be folded"),
        }
    }

    fn remove_unused_parts(&self, apis: &HeldApis) {
        let mut wanted = apis.parts();
        wanted.extend(self.served.values());
        if let Err(error) = self.obtainer.parts.retain(&wanted) {
            tracing::warn!(%error, "unused parts could not be removed from the disk");
        }
    }
}

/// Within an incarnation an acknowledged position only grows.
fn is_news(current: &Acknowledgement, next: &Acknowledgement) -> bool {
    current.incarnation != next.incarnation
        || next.position > current.position
        || next.position == current.position && next.failed != current.failed
}
