//! What can go wrong between a gateway and its control plane.

use std::io;
use std::net::SocketAddr;

use sluice_contract::problem::Problem;

/// An exchange with the control plane failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("the control plane at {authority} cannot be reached: {source}")]
    Connect { authority: String, source: io::Error },
    #[error("{address} is not this machine, and secrets are not sent over plain HTTP")]
    NotLoopback { address: SocketAddr },
    #[error("the control plane did not answer in time")]
    Timeout,
    #[error("the exchange with the control plane broke off: {0}")]
    Http(#[from] hyper::Error),
    #[error("the control plane answers {} {}: {}", .0.status, .0.code, .0.detail)]
    Refused(Box<Problem>),
    #[error("the control plane does not speak the protocol: {0}")]
    Protocol(String),
    #[error(
        "no usable enrolment token: give one by --enrolment-token-file (the console makes them, under Gateways)"
    )]
    NotEnrolled,
    #[error("{what}: {source}")]
    Disk { what: &'static str, source: io::Error },
}

impl LinkError {
    /// The session is over; the next one may do.
    pub(super) fn is_unauthorised(&self) -> bool {
        matches!(self, Self::Refused(problem) if problem.status == 401)
    }

    /// Whether this stable code is the reason.
    pub(super) fn has_code(&self, code: &str) -> bool {
        matches!(self, Self::Refused(problem) if problem.code == code)
    }

    /// The control plane will never take this, however often it is sent.
    pub(super) fn is_final(&self) -> bool {
        const PASSING: [u16; 5] = [401, 403, 408, 425, 429];
        matches!(self, Self::Refused(problem) if (400..500).contains(&problem.status) && !PASSING.contains(&problem.status))
    }
}

impl From<serde_json::Error> for LinkError {
    fn from(error: serde_json::Error) -> Self {
        Self::Protocol(error.to_string())
    }
}
