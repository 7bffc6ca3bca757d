//! tower-sessions over our own database. Idle and absolute expiry are decided by the platform's settings at every read;
//! the expiry date that tower-sessions keeps is not used.

use sluice_contract::ids::UserId;
use sluice_contract::part::Sha256Hash;
use sluice_store::sessions::Lifetimes;
use sluice_store::{Store, sessions, settings};
use tower_sessions::cookie::time::{Duration, OffsetDateTime};
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::{Error, Result};
use tower_sessions::{SessionManagerLayer, SessionStore};

use crate::authorise::SESSION_USER;

/// `__Host-` makes browsers refuse it from subdomains, over plain HTTP (except loopback) and for other paths.
const COOKIE: &str = "__Host-sluice";

/// Takes the cookie away. tower-sessions does so too, but without `Secure`, which browsers ignore for `__Host-`.
pub(crate) const REMOVAL: &str = "__Host-sluice=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0";

/// Reads the session of a request and writes it back when it changed.
pub(crate) fn layer(store: Store) -> SessionManagerLayer<Sessions> {
    SessionManagerLayer::new(Sessions(store)).with_name(COOKIE)
}

/// Sessions in our own database.
#[derive(Clone, Debug)]
pub(crate) struct Sessions(Store);

#[async_trait::async_trait]
impl SessionStore for Sessions {
    async fn create(&self, record: &mut Record) -> Result<()> {
        let (user, data) = encode(record)?;
        while !sessions::create(self.0.read(), &key(&record.id), user, data.clone()).await.map_err(backend)? {
            record.id = Id::default();
        }
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        let (user, data) = encode(record)?;
        sessions::update(self.0.read(), &key(&record.id), user, data).await.map_err(backend)
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let (settings, _) = settings::get(self.0.read()).await.map_err(backend)?;
        let data =
            sessions::load(self.0.read(), &key(id), Lifetimes::from(&settings)).await.map_err(backend)?;
        let Some(data) = data else { return Ok(None) };
        let data = serde_json::from_value(data).map_err(|error| Error::Decode(error.to_string()))?;
        Ok(Some(Record { id: *id, data, expiry_date: OffsetDateTime::now_utc() + Duration::DAY }))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        sessions::delete(self.0.read(), &key(id)).await.map_err(backend)
    }
}

fn key(id: &Id) -> String {
    Sha256Hash::of(&id.0.to_le_bytes()).to_string()
}

fn encode(record: &Record) -> Result<(Option<UserId>, serde_json::Value)> {
    let user = record.data.get(SESSION_USER).and_then(|user| serde_json::from_value(user.clone()).ok());
    let data = serde_json::to_value(&record.data).map_err(|error| Error::Encode(error.to_string()))?;
    Ok((user, data))
}

fn backend(error: sluice_store::Error) -> Error {
    Error::Backend(error.to_string())
}
