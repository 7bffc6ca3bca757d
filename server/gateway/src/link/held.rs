//! What a gateway holds on disk of its environment: the journal folded up to a position.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};
use sluice_contract::environment::EnvironmentSettings;
use sluice_contract::ids::{ApiId, IncarnationId};
use sluice_contract::journal::{Change, CredentialEntry, Entry, Position, ReleasedApi, Snapshot};
use sluice_contract::part::Sha256Hash;

/// The journal folded up to `position`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Held {
    pub(super) incarnation: IncarnationId,
    pub(super) position: Position,
    pub(super) settings: EnvironmentSettings,
    pub(super) apis: BTreeMap<ApiId, HeldApi>,
    pub(super) credentials: HashMap<Sha256Hash, CredentialEntry>,
}

/// An API, and what to serve while its newest version cannot be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct HeldApi {
    /// Where in the journal the newest version was released.
    pub(super) since: Position,
    /// Newest first. All but the first may be served when those before them are missing or do not compile.
    pub(super) versions: Vec<ReleasedApi>,
}

/// Which version of each API is served, to forget the others.
pub(super) type ServedParts = HashMap<ApiId, Sha256Hash>;

/// [`Held`] as it is written: maps whose keys are inside their values are lists.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredHeld {
    pub(super) incarnation: IncarnationId,
    pub(super) position: Position,
    settings: EnvironmentSettings,
    apis: Vec<HeldApi>,
    credentials: Vec<CredentialEntry>,
}

impl Held {
    /// Makes an entry true. Purges leave no trace: a cache does not outlive its process.
    pub(super) fn apply(&mut self, entry: Entry) {
        self.position = entry.position;
        match entry.change {
            Change::ApiReleased(released) => self.release(released, entry.position),
            Change::ApiWithdrawn { api } => _ = self.apis.remove(&api),
            Change::CredentialSet(credential) => _ = self.credentials.insert(credential.hash, *credential),
            Change::CredentialRemoved { hash } => _ = self.credentials.remove(&hash),
            Change::SettingsSet(settings) => self.settings = *settings,
            Change::Purge(_) => {}
        }
    }

    /// The state of a snapshot. Versions of `before` that are served stay at hand for APIs that are still released.
    pub(super) fn of_snapshot(snapshot: Snapshot, before: &BTreeMap<ApiId, HeldApi>) -> Self {
        let Snapshot { incarnation, position, settings, apis, credentials, purges: _, purges_from: _ } =
            snapshot;
        let mut held = Self {
            incarnation,
            position,
            settings,
            apis: before.clone(),
            credentials: credentials.into_iter().map(|entry| (entry.hash, entry)).collect(),
        };
        let released: HashSet<ApiId> = apis.iter().map(|released| released.api).collect();
        held.apis.retain(|api, _| released.contains(api));
        apis.into_iter().for_each(|released| held.release(released, position));
        held
    }

    /// Forgets versions that are neither the newest nor served.
    pub(super) fn forget_unserved(&mut self, served: &ServedParts) {
        for (api, held) in &mut self.apis {
            let mut newest = true;
            held.versions.retain(|version| {
                std::mem::replace(&mut newest, false) || served.get(api) == Some(&version.part)
            });
        }
    }

    /// Every part that may have to be served.
    pub(super) fn parts(&self) -> HashSet<Sha256Hash> {
        self.apis.values().flat_map(|api| &api.versions).map(|version| version.part).collect()
    }

    fn release(&mut self, released: ReleasedApi, since: Position) {
        let held = self.apis.entry(released.api).or_insert(HeldApi { since, versions: Vec::new() });
        held.since = since;
        held.versions.retain(|version| version.part != released.part);
        held.versions.insert(0, released);
    }
}

impl From<Held> for StoredHeld {
    fn from(held: Held) -> Self {
        let Held { incarnation, position, settings, apis, credentials } = held;
        Self {
            incarnation,
            position,
            settings,
            apis: apis.into_values().collect(),
            credentials: credentials.into_values().collect(),
        }
    }
}

impl From<StoredHeld> for Held {
    fn from(stored: StoredHeld) -> Self {
        let StoredHeld { incarnation, position, settings, apis, credentials } = stored;
        Self {
            incarnation,
            position,
            settings,
            apis: apis
                .into_iter()
                .filter_map(|held| Some((held.versions.first()?.api, held)))
                .collect(),
            credentials: credentials.into_iter().map(|entry| (entry.hash, entry)).collect(),
        }
    }
}
