//! Holds back who is refused too often: an address that wants to enrol, a gateway that wants a session. Secrets have
//! 256 bits, so this spares the database, not them.

use std::net::IpAddr;
use std::time::Duration;

use moka::sync::Cache;
use sluice_contract::ids::GatewayId;

use crate::problem::ApiError;

const WINDOW: Duration = Duration::from_secs(60);
const AT_MOST: u32 = 30;
/// Who is remembered at once.
const REMEMBERED: u64 = 10_000;

/// From where, and which gateway it says that it is.
pub(super) type Who = (IpAddr, Option<GatewayId>);

/// Counts refusals of enrolments and sessions.
pub(super) struct Refusals {
    refused: Cache<Who, u32>,
}

impl Refusals {
    pub(super) fn new() -> Self {
        Self { refused: Cache::builder().max_capacity(REMEMBERED).time_to_live(WINDOW).build() }
    }

    /// Turns away who was refused too often within the last minute.
    ///
    /// # Errors
    /// 429.
    pub(super) fn check(&self, who: Who) -> Result<(), ApiError> {
        if self.refused.get(&who).unwrap_or(0) < AT_MOST {
            return Ok(());
        }
        Err(ApiError::too_many("throttled", "refused too often; try again later", WINDOW.as_secs()))
    }

    /// Notes a refusal.
    pub(super) fn note(&self, who: Who) {
        let count = self.refused.get(&who).unwrap_or(0);
        self.refused.insert(who, count + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_refused_too_often_is_held_back_and_others_at_the_same_address_are_not() {
        let refusals = Refusals::new();
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let gateway = Some(GatewayId::generate());
        for _ in 0..AT_MOST {
            assert!(refusals.check((address, gateway)).is_ok());
            refusals.note((address, gateway));
        }
        assert_eq!(refusals.check((address, gateway)).unwrap_err().code(), "throttled");
        assert!(refusals.check((address, Some(GatewayId::generate()))).is_ok());
        assert!(refusals.check((address, None)).is_ok());
    }
}
