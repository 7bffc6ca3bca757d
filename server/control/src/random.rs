//! Secrets that nobody can guess.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::problem::ApiError;

/// `prefix` and 256 random bits as base64url.
///
/// # Errors
/// When the operating system has no random numbers.
pub(crate) fn secret(prefix: &str) -> Result<String, ApiError> {
    Ok(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes::<32>().map_err(ApiError::internal)?)))
}

/// Random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
