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
    pub(super) apis: HeldApis,
    pub(super) credentials: HashMap<Sha256Hash, CredentialEntry>,
}

/// The released APIs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct HeldApis(BTreeMap<ApiId, HeldApi>);

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
    /// Makes an entry true. Purges leave no trace: what a cache knows of them is [`super::purged`]'s.
    pub(super) fn apply(&mut self, entry: Entry) {
        self.position = entry.position;
        match entry.change {
            Change::ApiReleased(released) => self.apis.release(released, entry.position),
            Change::ApiWithdrawn { api } => self.apis.withdraw(api),
            Change::CredentialSet(credential) => _ = self.credentials.insert(credential.hash, *credential),
            Change::CredentialRemoved { hash } => _ = self.credentials.remove(&hash),
            Change::SettingsSet(settings) => self.settings = *settings,
            Change::Purge(_) => {}
        }
    }

    /// The state of a snapshot. Versions of `before` that are served stay at hand for APIs that are still released.
    pub(super) fn of_snapshot(snapshot: Snapshot, before: &HeldApis) -> Self {
        let Snapshot { incarnation, position, settings, apis, credentials, purges: _, purges_from: _ } =
            snapshot;
        Self {
            incarnation,
            position,
            settings,
            apis: before.replaced_by(apis, position),
            credentials: credentials.into_iter().map(|entry| (entry.hash, entry)).collect(),
        }
    }
}

impl HeldApis {
    pub(super) fn iter(&self) -> impl Iterator<Item = (ApiId, &HeldApi)> {
        self.0.iter().map(|(api, held)| (*api, held))
    }

    /// The part that is to be served.
    pub(super) fn wanted(&self, api: ApiId) -> Option<Sha256Hash> {
        Some(self.0.get(&api)?.versions.first()?.part)
    }

    /// This version is to be served from now on.
    pub(super) fn release(&mut self, released: ReleasedApi, since: Position) {
        let held = self.0.entry(released.api).or_insert(HeldApi { since, versions: Vec::new() });
        held.since = since;
        held.versions.retain(|version| version.part != released.part);
        held.versions.insert(0, released);
    }

    /// The API is not to be served any more.
    pub(super) fn withdraw(&mut self, api: ApiId) {
        self.0.remove(&api);
    }

    /// Forgets versions that are neither the newest nor served.
    pub(super) fn forget_unserved(&mut self, served: &ServedParts) {
        for (api, held) in &mut self.0 {
            let mut newest = true;
            held.versions.retain(|version| {
                std::mem::replace(&mut newest, false) || served.get(api) == Some(&version.part)
            });
        }
    }

    /// Every part that may have to be served.
    pub(super) fn parts(&self) -> HashSet<Sha256Hash> {
        self.0.values().flat_map(|api| &api.versions).map(|version| version.part).collect()
    }

    fn replaced_by(&self, apis: Vec<ReleasedApi>, since: Position) -> Self {
        let mut held = self.clone();
        let released: HashSet<ApiId> = apis.iter().map(|released| released.api).collect();
        held.0.retain(|api, _| released.contains(api));
        apis.into_iter().for_each(|released| held.release(released, since));
        held
    }
}

impl From<Held> for StoredHeld {
    fn from(held: Held) -> Self {
        let Held { incarnation, position, settings, apis, credentials } = held;
        Self {
            incarnation,
            position,
            settings,
            apis: apis.0.into_values().collect(),
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
            apis: HeldApis(
                apis.into_iter().filter_map(|held| Some((held.versions.first()?.api, held))).collect(),
            ),
            credentials: credentials.into_iter().map(|entry| (entry.hash, entry)).collect(),
        }
    }
}
