//! The session with the control plane: opened by the link's supervisor, used by everything else.

use std::sync::Arc;

use sluice_contract::ids::BootId;
use sluice_contract::link::{EnrolRequest, PROTOCOL, SessionRequest, UNKNOWN_GATEWAY};
use tokio::sync::{Notify, watch};
use url::Url;

use super::control::{Control, Session};
use super::error::LinkError;
use super::identity::{ControlAddress, Identity, IdentityFile};
use crate::settings::GatewaySettings;
use crate::shared::Shared;
use crate::telemetry::Telemetry;

/// An open session and where it holds.
pub(super) struct Connection {
    pub(super) control: Control,
    pub(super) session: Session,
}

/// The current session, if there is one.
pub(super) struct Sessions {
    current: watch::Sender<Option<Arc<Connection>>>,
    ended: Notify,
}

impl Sessions {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { current: watch::Sender::new(None), ended: Notify::new() })
    }

    /// The current session, or the next one when there is none.
    pub(super) async fn get(&self) -> Arc<Connection> {
        let mut changes = self.current.subscribe();
        loop {
            let current = changes.borrow_and_update().clone();
            if let Some(connection) = current {
                return connection;
            }
            // The sender is `self`, so this never fails.
            let _ = changes.changed().await;
        }
    }

    /// The current session.
    pub(super) fn current(&self) -> Option<Arc<Connection>> {
        self.current.borrow().clone()
    }

    /// Told of every session that begins or ends.
    pub(super) fn subscribe(&self) -> watch::Receiver<Option<Arc<Connection>>> {
        self.current.subscribe()
    }

    /// This session is over: the control plane does not accept it any more.
    pub(super) fn end(&self, connection: &Arc<Connection>) {
        let ended = self.current.send_if_modified(|current| {
            let is_current = current.as_ref().is_some_and(|current| current.session.is(&connection.session));
            if is_current {
                *current = None;
            }
            is_current
        });
        if ended {
            self.ended.notify_one();
        }
    }

    /// Waits until a session ends.
    pub(super) async fn ended(&self) {
        self.ended.notified().await;
    }

    fn begin(&self, connection: Arc<Connection>) {
        self.current.send_replace(Some(connection));
    }
}

/// Opens sessions, enrolling first where needed.
pub(super) struct SessionOpener {
    file: IdentityFile,
    settings: GatewaySettings,
    boot: BootId,
    shared: Arc<Shared>,
    telemetry: Arc<Telemetry>,
    sessions: Arc<Sessions>,
}

impl SessionOpener {
    pub(super) fn new(
        settings: GatewaySettings,
        boot: BootId,
        shared: Arc<Shared>,
        telemetry: Arc<Telemetry>,
        sessions: Arc<Sessions>,
    ) -> Self {
        Self { file: IdentityFile::new(&settings.data), settings, boot, shared, telemetry, sessions }
    }

    /// Serves the environment of the last life at once: what changes before the first session has its place in the second level, too.
    pub(super) fn recall_environment(&self) {
        // Who cannot be read is told of when a session is opened.
        if let Ok(Some(identity)) = self.file.read() {
            self.shared.serve_environment(identity.environment);
        }
    }

    /// Opens a session for everybody to use.
    pub(super) async fn open(&self) -> Result<Arc<Connection>, LinkError> {
        let known = self.file.read().map_err(|source| LinkError::Disk { what: "identity.json", source })?;
        let connection = match known {
            None => self.open_as(self.enrol().await?).await?,
            Some(identity) => match self.open_as(identity).await {
                Err(error) if error.has_code(UNKNOWN_GATEWAY) && self.settings.enrolment.is_some() => {
                    tracing::warn!("the control plane does not know this gateway any more; it enrols again");
                    self.open_as(self.enrol().await?).await?
                }
                opened => opened?,
            },
        };
        let connection = Arc::new(connection);
        self.sessions.begin(Arc::clone(&connection));
        Ok(connection)
    }

    async fn enrol(&self) -> Result<Identity, LinkError> {
        let token = self.settings.enrolment.as_ref().ok_or(LinkError::NotEnrolled)?;
        let address = ControlAddress::of_token(token, self.settings.control_url.as_ref())
            .map_err(|error| LinkError::Protocol(format!("the token's URL: {error}")))?;
        let request = EnrolRequest {
            secret: token.secret.clone(),
            name: self.settings.name.clone(),
            region: self.settings.region.clone(),
            protocol: PROTOCOL,
        };
        let enrolled = Control::new(&address)?.enrol(&request).await?;
        tracing::info!(gateway = %enrolled.gateway, "enrolled");
        let identity = Identity::new(enrolled, address);
        self.file.write(&identity).map_err(|source| LinkError::Disk { what: "identity.json", source })?;
        Ok(identity)
    }

    async fn open_as(&self, identity: Identity) -> Result<Connection, LinkError> {
        let Identity { gateway, secret, environment, control } = identity;
        self.shared.serve_environment(environment);
        let control = Control::new(&self.current_address(control))?;
        let lost_before = self.telemetry.losses();
        let request = SessionRequest {
            gateway,
            secret,
            boot: self.boot,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL,
            public_url: self.settings.public_url.as_ref().map(Url::to_string),
            lost_before: lost_before.clone(),
        };
        let session = control.open_session(&request).await?;
        self.telemetry.losses_told(&lost_before);
        Ok(Connection { control, session })
    }

    /// Settings win over what was true at enrolment: control planes move and change certificates.
    fn current_address(&self, enrolled: ControlAddress) -> ControlAddress {
        let url = self.settings.control_url.as_ref();
        let token = self.settings.enrolment.as_ref();
        match token.and_then(|token| ControlAddress::of_token(token, url).ok()) {
            Some(address) => address,
            None => ControlAddress { url: url.cloned().unwrap_or(enrolled.url), ..enrolled },
        }
    }
}
