//! Holds back who is refused too often, by address. Secrets have 256 bits, so this spares the database, not them.

use std::net::IpAddr;
use std::time::Duration;

use moka::sync::Cache;

use crate::problem::ApiError;

const WINDOW: Duration = Duration::from_secs(60);
const PER_ADDRESS: u32 = 30;
/// Addresses remembered at once.
const REMEMBERED: u64 = 10_000;

/// Counts refusals of enrolments and sessions.
pub(super) struct Refusals {
    refused: Cache<IpAddr, u32>,
}

impl Refusals {
    pub(super) fn new() -> Self {
        Self { refused: Cache::builder().max_capacity(REMEMBERED).time_to_live(WINDOW).build() }
    }

    /// Turns an address away that was refused too often within the last minute.
    ///
    /// # Errors
    /// 429.
    pub(super) fn check(&self, address: IpAddr) -> Result<(), ApiError> {
        if self.refused.get(&address).unwrap_or(0) < PER_ADDRESS {
            return Ok(());
        }
        Err(ApiError::too_many("throttled", "refused too often; try again later", WINDOW.as_secs()))
    }

    /// Notes a refusal.
    pub(super) fn note(&self, address: IpAddr) {
        let count = self.refused.get(&address).unwrap_or(0);
        self.refused.insert(address, count + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_held_back_after_too_many_refusals_and_others_are_not() {
        let refusals = Refusals::new();
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        for _ in 0..PER_ADDRESS {
            assert!(refusals.check(address).is_ok());
            refusals.note(address);
        }
        assert_eq!(refusals.check(address).unwrap_err().code(), "throttled");
        assert!(refusals.check("192.0.2.2".parse().unwrap()).is_ok());
    }
}
