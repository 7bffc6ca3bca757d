//! What all handlers share.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};

use sluice_contract::part::Sha256Hash;
use sluice_store::telemetry::{self, Telemetry};
use sluice_store::{Store, environments};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::configuration::ControlSettings;
use crate::link::Link;
use crate::passwords::Passwords;
use crate::problem::ApiError;
use crate::seal::Sealer;
use crate::tail::Tail;

/// What all handlers share. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Shared>);

/// See [`App`].
pub struct Shared {
    pub store: Store,
    /// Calls and rollups, beside the management database.
    pub telemetry: Arc<dyn Telemetry>,
    pub settings: ControlSettings,
    pub sealer: Sealer,
    /// Cancelled when the control plane stops: long answers (streams) end then.
    pub stopping: CancellationToken,
    pub(crate) passwords: Passwords,
    pub(crate) link: Link,
    pub(crate) tail: Tail,
    /// Who plays recorded calls to caches holds it.
    pub(crate) advising: Semaphore,
    gateway_origins: RwLock<BTreeSet<String>>,
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl App {
    /// The control plane over a migrated database. Makes the first environment when there is none.
    ///
    /// # Errors
    /// When the database fails or the settings cannot be used.
    pub async fn new(settings: ControlSettings, store: Store) -> anyhow::Result<Self> {
        let passwords = Passwords::new(settings.password_cost)?;
        let sealer = Sealer::new(&settings.master_key);
        let tx = store.begin().await?;
        environments::ensure_one(&tx, settings.loopback_allowed).await?;
        tx.commit().await?;
        let link = Link::load(&store, &sealer).await?;
        let telemetry = telemetry::open(store.url()).await?;
        Ok(Self(Arc::new(Shared {
            store,
            telemetry,
            sealer,
            stopping: CancellationToken::new(),
            passwords,
            link,
            tail: Tail::default(),
            advising: Semaphore::new(1),
            gateway_origins: RwLock::default(),
            settings,
        })))
    }

    /// Lets the console call a gateway from the browser (try-it): its origin joins the console's `connect-src`.
    /// What is not an `http(s)` URL is ignored.
    pub fn learn_gateway(&self, public_url: &str) {
        let Ok(url) = url::Url::parse(public_url) else { return };
        if matches!(url.scheme(), "http" | "https") {
            let mut origins = self.gateway_origins.write().unwrap_or_else(PoisonError::into_inner);
            origins.insert(url.origin().ascii_serialization());
        }
    }

    /// Origins of all gateways that were learnt of.
    pub fn gateway_origins(&self) -> Vec<String> {
        self.gateway_origins.read().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// What gateways must see of the certificate of [`crate::link::serve`].
    pub fn link_fingerprint(&self) -> Sha256Hash {
        self.link.fingerprint()
    }

    /// Commits, so that a handler ends with `app.commit(tx).await?`.
    pub(crate) async fn commit(&self, tx: sluice_store::Tx) -> Result<(), ApiError> {
        Ok(tx.commit().await?)
    }
}
