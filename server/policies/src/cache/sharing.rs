//! Settings that show one caller's data to others. Each has to be said twice: as a setting, and by its name in `confirmed`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sluice_contract::problem::FieldProblem;

use super::origin::OriginSays;
use super::spec::{Cache, Separate};
use super::words::parsed;

/// A setting that shows one caller's data to others, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sharing {
    /// *Share between callers* is on.
    Shared,
    /// *Copies of their own for* applications: their users are not told apart.
    Separate,
    /// *Store cookies of responses* is on.
    StoreSetCookie,
    /// *What the upstream says* is ignored, `private` too.
    Origin,
}

/// What shares data in the settings of a policy of this kind; nothing for other kinds and settings that are not whole.
pub fn sharing_of(kind: &str, settings: &Value) -> Vec<Sharing> {
    parsed(kind, settings).map(|cache| cache.sharing()).unwrap_or_default()
}

impl Sharing {
    /// What would be shared, and with whom.
    pub fn means(self) -> &'static str {
        match self {
            Self::Shared => {
                "Every caller gets the answers that were made for other callers, whatever key, Authorization or \
                 cookie they send."
            }
            Self::Separate => {
                "All users of one application get each other's answers: their Authorization and cookies are not \
                 part of the key."
            }
            Self::StoreSetCookie => {
                "Cookies that the upstream sets for one caller, sessions too, are stored and set for every caller \
                 who gets the copy."
            }
            Self::Origin => {
                "Answers that the upstream marks private or no-store are stored; callers without key, \
                 Authorization and cookie get each other's."
            }
        }
    }

    /// Its name in `confirmed`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Separate => "separate",
            Self::StoreSetCookie => "store_set_cookie",
            Self::Origin => "origin",
        }
    }
}

impl Cache {
    /// What these settings share between callers.
    pub fn sharing(&self) -> Vec<Sharing> {
        if self.strong_consistency {
            return Vec::new();
        }
        let taken = [
            (self.shared, Sharing::Shared),
            // Where everybody shares, applications do.
            (self.separate == Separate::Application && !self.shared, Sharing::Separate),
            (self.store_set_cookie, Sharing::StoreSetCookie),
            (self.origin == OriginSays::Ignore, Sharing::Origin),
        ];
        taken.into_iter().filter_map(|(taken, sharing)| taken.then_some(sharing)).collect()
    }

    /// A problem for each setting that has been said once only.
    pub(super) fn said_once(&self) -> Vec<FieldProblem> {
        let once = self.sharing().into_iter().filter(|sharing| !self.confirmed.contains(sharing));
        once.map(|sharing| {
            let (name, means) = (sharing.name(), sharing.means());
            let message = format!("`{name}` has to be said twice: name it in `confirmed` too. {means}");
            FieldProblem::new("/confirmed", "unconfirmed", message)
        })
        .collect()
    }
}
