//! The secret of a source of events, as Standard Webhooks writes it: `whsec_` and base64. Only sealed ones are stored.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sluice_contract::ids::EventSourceId;

use crate::problem::ApiError;
use crate::random;
use crate::seal::{Sealed, Sealer};

const PREFIX: &str = "whsec_";

/// 256 random bits: as its owner reads them, and sealed.
pub(crate) fn generate(sealer: &Sealer, source: EventSourceId) -> Result<(String, String), ApiError> {
    let bytes = random::bytes::<32>().map_err(ApiError::internal)?;
    let Sealed(sealed) = sealer.seal(&about(source), &bytes).map_err(ApiError::internal)?;
    Ok((format!("{PREFIX}{}", STANDARD.encode(bytes)), sealed))
}

/// The bytes that sign.
pub(super) fn open(sealer: &Sealer, source: EventSourceId, sealed: &str) -> Result<Vec<u8>, ApiError> {
    sealer.open(&about(source), &Sealed(sealed.to_owned())).map_err(ApiError::internal)
}

fn about(source: EventSourceId) -> String {
    format!("event-source/{source}")
}
