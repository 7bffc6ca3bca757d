//! What a gateway knows at one position of the journal: immutable, swapped whole, shared where nothing changed.

mod apis;
mod credentials;

use std::sync::Arc;

use sluice_contract::ids::{ApiId, IncarnationId};
use sluice_contract::journal::{Change, Position};
use sluice_contract::part::Sha256Hash;

pub use apis::Apis;
pub use credentials::Credentials;

use crate::compile::{Api, CompileError, Compiler, Credential, Settings};

/// Everything that decides a call. Cloning copies a few pointers.
#[derive(Clone, Default)]
pub struct Snapshot {
    /// None until the gateway has heard from a control plane: it is not ready.
    pub incarnation: Option<IncarnationId>,
    pub position: Position,
    pub settings: Arc<Settings>,
    pub apis: Arc<Apis>,
    pub credentials: Credentials,
}

impl Snapshot {
    /// Makes one change of the journal true. `api` is the compiled part of [`Change::ApiReleased`]; None (it did not
    /// compile) leaves the API's previous version in place. Purges are not state: see [`crate::Shared::purge`].
    ///
    /// # Errors
    /// When a credential or the settings do not compile. A credential is then gone, so that it fails closed; settings
    /// stay as they were.
    pub fn apply(
        &mut self,
        change: &Change,
        api: Option<Arc<Api>>,
        compiler: &Compiler,
    ) -> Result<(), CompileError> {
        match change {
            Change::ApiReleased(_) => {
                if let Some(api) = api {
                    self.set_api(api);
                }
            }
            Change::ApiWithdrawn { api } => self.withdraw_api(*api),
            Change::CredentialSet(entry) => {
                self.credentials.remove(&entry.hash);
                self.credentials.set(Arc::new(compiler.credential(entry)?));
            }
            Change::CredentialRemoved { hash } => self.remove_credential(hash),
            Change::SettingsSet(settings) => self.settings = Arc::new(compiler.settings(settings)?),
            Change::Purge(_) => {}
        }
        Ok(())
    }

    /// Serves this API, instead of the version that was served.
    pub fn set_api(&mut self, api: Arc<Api>) {
        self.apis = Arc::new(self.apis.with(api));
    }

    /// Serves these APIs and no other: cheaper than one by one.
    pub fn set_apis(&mut self, apis: impl IntoIterator<Item = Arc<Api>>) {
        self.apis = Arc::new(Apis::of(apis));
    }

    /// Serves the API no more.
    pub fn withdraw_api(&mut self, api: ApiId) {
        self.apis = Arc::new(self.apis.without(api));
    }

    /// Accepts this key.
    pub fn set_credential(&mut self, credential: Arc<Credential>) {
        self.credentials.set(credential);
    }

    /// Accepts the key no more.
    pub fn remove_credential(&mut self, hash: &Sha256Hash) {
        self.credentials.remove(hash);
    }

    /// Whether there is anything to decide calls with.
    pub fn is_ready(&self) -> bool {
        self.incarnation.is_some()
    }
}
