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

/// The bytes of a secret as its owner reads it; none where it is another kind of secret.
pub(crate) fn bytes(secret: &str) -> Option<Vec<u8>> {
    STANDARD.decode(secret.strip_prefix(PREFIX)?).ok()
}

/// Whether a secret that says that it is one for signing can sign.
pub(crate) fn is_well_formed(secret: &str) -> bool {
    !secret.starts_with(PREFIX) || bytes(secret).is_some_and(|bytes| !bytes.is_empty())
}

/// The bytes that sign.
pub(super) fn open(sealer: &Sealer, source: EventSourceId, sealed: &str) -> Result<Vec<u8>, ApiError> {
    sealer.open(&about(source), &Sealed(sealed.to_owned())).map_err(ApiError::internal)
}

fn about(source: EventSourceId) -> String {
    format!("event-source/{source}")
}
