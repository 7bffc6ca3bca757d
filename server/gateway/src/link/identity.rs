//! Who this gateway is: got once by enrolling, kept on disk where only this user can read it.

use std::fs;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sluice_contract::ids::{EnvironmentId, GatewayId};
use sluice_contract::link::{EnrolResponse, EnrolmentToken};
use sluice_contract::part::Sha256Hash;
use url::Url;

use super::failpoints::Failpoints;
use super::files;

/// An identity, and where it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) gateway: GatewayId,
    pub(super) secret: String,
    pub(super) environment: EnvironmentId,
    pub(super) control: ControlAddress,
}

/// Where the control plane is and how to know that it is the one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ControlAddress {
    pub(super) url: Url,
    pub(super) fingerprint: Option<Sha256Hash>,
}

/// The file that holds an identity.
pub(super) struct IdentityFile(PathBuf);

impl Identity {
    pub(super) fn new(enrolled: EnrolResponse, control: ControlAddress) -> Self {
        let EnrolResponse { gateway, secret, environment } = enrolled;
        Self { gateway, secret, environment, control }
    }
}

impl ControlAddress {
    /// The address in a token, unless `url` says otherwise.
    pub(super) fn of_token(token: &EnrolmentToken, url: Option<&Url>) -> Result<Self, url::ParseError> {
        let url = url.cloned().map_or_else(|| Url::parse(&token.url), Ok)?;
        Ok(Self { url, fingerprint: token.fingerprint })
    }
}

impl IdentityFile {
    pub(super) fn new(data: &std::path::Path) -> Self {
        Self(data.join("identity.json"))
    }

    /// None when this gateway has not enrolled yet.
    pub(super) fn read(&self) -> io::Result<Option<Identity>> {
        match fs::read(&self.0) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn write(&self, identity: &Identity) -> io::Result<()> {
        files::replace(&self.0, &serde_json::to_vec(identity)?, &Failpoints::default())
    }
}
