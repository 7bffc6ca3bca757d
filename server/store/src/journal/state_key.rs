//! What a change replaces: the one before it with the same key.

use sluice_contract::journal::Change;

/// How keys of released APIs begin.
pub(super) const APIS: &str = "api:";
/// How keys of credentials begin.
pub(super) const CREDENTIALS: &str = "credential:";
/// The key of the settings.
pub(super) const SETTINGS: &str = "settings";

/// The key of a change. A purge replaces nothing.
pub(super) fn state_key(change: &Change) -> Option<String> {
    match change {
        Change::ApiReleased(released) => Some(format!("{APIS}{}", released.api)),
        Change::ApiWithdrawn { api } => Some(format!("{APIS}{api}")),
        Change::CredentialSet(credential) => Some(format!("{CREDENTIALS}{}", credential.hash)),
        Change::CredentialRemoved { hash } => Some(format!("{CREDENTIALS}{hash}")),
        Change::SettingsSet(_) => Some(SETTINGS.to_owned()),
        Change::Purge(_) => None,
    }
}
