//! The gateways' link: everything under `/gateway/v1`. See `sluice_contract::link` for the protocol.
//!
//! On loopback the console's listener serves it too; elsewhere gateways come over TLS to a listener of its own, whose
//! certificate they know by its fingerprint.

mod access;
mod acknowledgements;
mod calls;
mod certificate;
mod changed;
mod enrolments;
mod follower;
mod heartbeats;
mod journal;
mod keys;
mod listener;
mod parts;
mod plain;
pub(crate) mod questions;
mod refusals;
mod sessions;
mod snapshot;

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::{get, post};
use sluice_contract::link::{
    ACKNOWLEDGE_PATH, ANSWERS_PATH, CALLS_PATH, CHANGED_PATH, ENROL_PATH, HEARTBEAT_PATH, JOURNAL_PATH,
    PARTS_PATH, SESSION_PATH, SNAPSHOT_PATH,
};
use sluice_contract::part::Sha256Hash;
use sluice_store::Store;

use crate::seal::Sealer;
use crate::state::App;

pub(crate) use access::LinkedGateway;
pub use listener::serve;

/// Largest body of a gateway, in bytes; batches of calls have a limit of their own.
const BODY_LIMIT: usize = 1 << 20;
/// Largest body of who is not known yet, in bytes.
const STRANGER_LIMIT: usize = 16 << 10;

/// What the link's handlers share.
pub(crate) struct Link {
    certificate: certificate::LinkCertificate,
    tokens: access::AccessTokens,
    follower: Arc<follower::Follower>,
    heartbeats: Arc<heartbeats::Heartbeats>,
    acknowledgements: Arc<acknowledgements::Acknowledgements>,
    questions: Arc<questions::Questions>,
    refusals: refusals::Refusals,
    running: OnceLock<()>,
}

impl Link {
    /// Loads the link's keys, or makes them at the first start: several control planes share them.
    ///
    /// # Errors
    /// When the database fails, or the keys were sealed with another master key.
    pub(crate) async fn load(store: &Store, sealer: &Sealer) -> anyhow::Result<Self> {
        Ok(Self {
            certificate: certificate::LinkCertificate::load(store, sealer).await?,
            tokens: access::AccessTokens::load(store, sealer).await?,
            follower: Arc::default(),
            heartbeats: Arc::default(),
            acknowledgements: Arc::default(),
            questions: Arc::default(),
            refusals: refusals::Refusals::new(),
            running: OnceLock::new(),
        })
    }

    /// What gateways must see of the TLS listener's certificate.
    pub(crate) fn fingerprint(&self) -> Sha256Hash {
        self.certificate.fingerprint()
    }

    /// Asks gateways.
    pub(crate) fn questions(&self) -> &questions::Questions {
        &self.questions
    }

    /// Starts to follow the journals and to write what gateways tell, once; all end when the control plane stops.
    pub(crate) fn run(&self, app: &App) {
        self.running.get_or_init(|| {
            follower::start(app, &self.follower);
            heartbeats::start(app, &self.heartbeats);
            acknowledgements::start(app, &self.acknowledgements);
        });
    }
}

/// Paths of the link, for the TLS listener.
fn router() -> Router<App> {
    let strangers = Router::new()
        .route(ENROL_PATH, post(enrolments::create_enrolment))
        .route(SESSION_PATH, post(sessions::create_session))
        .layer(DefaultBodyLimit::max(STRANGER_LIMIT));
    let batches = Router::new()
        .route(CALLS_PATH, post(calls::create_calls))
        .layer(DefaultBodyLimit::max(calls::BODY_LIMIT));
    Router::new()
        .route(JOURNAL_PATH, get(journal::get_journal))
        .route(SNAPSHOT_PATH, get(snapshot::get_snapshot))
        .route(&format!("{PARTS_PATH}/{{hash}}"), get(parts::get_part))
        .route(ACKNOWLEDGE_PATH, post(acknowledgements::create_acknowledgement))
        .route(ANSWERS_PATH, post(questions::create_answer))
        .route(CHANGED_PATH, post(changed::create_changed))
        .route(HEARTBEAT_PATH, post(heartbeats::create_heartbeat))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .merge(batches)
        .merge(strangers)
}

/// Paths of the link, for the console's listener, which has no TLS: for peers on loopback only.
pub(crate) fn plain_router() -> Router<App> {
    router().layer(from_fn(plain::loopback_only))
}
