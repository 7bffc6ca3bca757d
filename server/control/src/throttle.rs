//! Slows down guessing: failed sign-ins are counted by account and by address, in this process and in bounded memory.

use std::net::IpAddr;
use std::time::Duration;

use moka::sync::Cache;

use crate::problem::ApiError;

/// How long failures are remembered after the first.
const WINDOW: Duration = Duration::from_secs(15 * 60);
const PER_ACCOUNT: u32 = 10;
const PER_ADDRESS: u32 = 100;
/// Accounts and addresses remembered at once.
const REMEMBERED: u64 = 100_000;

/// Counts failures.
pub(crate) struct Throttle {
    failures: Cache<String, u32>,
}

impl Throttle {
    pub(crate) fn for_sign_ins() -> Self {
        Self { failures: Cache::builder().max_capacity(REMEMBERED).time_to_live(WINDOW).build() }
    }

    /// Refuses when there were too many failures.
    pub(crate) fn check(&self, account: &str, address: IpAddr) -> Result<(), ApiError> {
        let failed = |key: &str| self.failures.get(key).unwrap_or(0);
        if failed(&account_key(account)) >= PER_ACCOUNT || failed(&address_key(address)) >= PER_ADDRESS {
            let detail = "too many failed attempts; try again later";
            return Err(ApiError::too_many("throttled", detail, WINDOW.as_secs()));
        }
        Ok(())
    }

    /// Notes a failure.
    pub(crate) fn failed(&self, account: &str, address: IpAddr) {
        for key in [account_key(account), address_key(address)] {
            let count = self.failures.get(&key).unwrap_or(0);
            self.failures.insert(key, count + 1);
        }
    }

    /// Forgets the failures of an account: its owner is here.
    pub(crate) fn succeeded(&self, account: &str) {
        self.failures.invalidate(&account_key(account));
    }
}

fn account_key(account: &str) -> String {
    format!("account:{}", account.trim().to_lowercase())
}

/// IPv6 clients have a /64 each.
fn address_key(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("address:{address}"),
        IpAddr::V6(address) => format!("network:{:x?}", &address.segments()[..4]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_closed_after_too_many_failures_and_opened_by_success() {
        let throttle = Throttle::for_sign_ins();
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        for _ in 0..PER_ACCOUNT {
            assert!(throttle.check("ada@example.com", address).is_ok());
            throttle.failed("Ada@example.com ", address);
        }
        assert!(throttle.check("ada@example.com", address).is_err());
        assert!(throttle.check("bob@example.com", address).is_ok());
        throttle.succeeded("ada@example.com");
        assert!(throttle.check("ada@example.com", address).is_ok());
    }

    #[test]
    fn an_address_is_closed_whatever_accounts_it_tries() {
        let throttle = Throttle::for_sign_ins();
        let address: IpAddr = "2001:db8::1".parse().unwrap();
        for n in 0..PER_ADDRESS {
            throttle.failed(&format!("{n}@example.com"), address);
        }
        assert!(throttle.check("new@example.com", "2001:db8::2".parse().unwrap()).is_err());
        assert!(throttle.check("new@example.com", "2001:db8:1::2".parse().unwrap()).is_ok());
    }
}
