//! Slows down guessing: attempts to sign in are counted by account and by address, webhooks with wrong signatures by
//! source and address, for all control planes together.
//!
//! An attempt counts before its password is looked at, and is taken back when it was right: attempts at once are
//! counted like attempts one after the other.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use sluice_contract::ids::EventSourceId;
use sluice_store::{Store, sign_in_failures};

use crate::problem::ApiError;

/// How long failures are remembered after the first.
const WINDOW: TimeDelta = TimeDelta::minutes(15);
const PER_ACCOUNT: u64 = 10;
const PER_ADDRESS: u64 = 100;

/// An attempt that has been counted as a failure until it turns out not to be one.
#[must_use = "it stays a failure unless it is said to have succeeded"]
pub(crate) struct Attempt {
    account: String,
    address: String,
}

impl Attempt {
    /// Counts an attempt.
    ///
    /// # Errors
    /// 429 `throttled` when there were too many failures.
    pub(crate) async fn begin(store: &Store, account: &str, address: IpAddr) -> Result<Self, ApiError> {
        let attempt = Self { account: account_key(account), address: address_key(address) };
        let limits = [(&attempt.account, PER_ACCOUNT), (&attempt.address, PER_ADDRESS)];
        // Looked at first, so that who is refused neither writes nor waits for longer.
        for (key, limit) in limits {
            if sign_in_failures::count(store.read(), key, expired()).await? >= limit {
                return Err(throttled());
            }
        }
        for (key, limit) in limits {
            if sign_in_failures::add(store.read(), key, expired()).await? > limit {
                return Err(throttled());
            }
        }
        Ok(attempt)
    }

    /// The password was right: the account's owner is here, and the address has not failed.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn succeeded(self, store: &Store) -> Result<(), ApiError> {
        sign_in_failures::forget(store.read(), &self.account).await?;
        Ok(sign_in_failures::take_back(store.read(), &self.address).await?)
    }
}

/// Refuses who has sent too many webhooks to a source that it did not sign.
///
/// # Errors
/// 429 `throttled`.
pub(crate) async fn check_sender(
    store: &Store,
    source: EventSourceId,
    address: IpAddr,
) -> Result<(), ApiError> {
    let key = sender_key(source, address);
    let failed = sign_in_failures::count(store.read(), &key, expired()).await?;
    if failed >= PER_ADDRESS { Err(throttled()) } else { Ok(()) }
}

/// A webhook came that was not signed as it should be.
///
/// # Errors
/// When the database fails.
pub(crate) async fn wrong_sender(
    store: &Store,
    source: EventSourceId,
    address: IpAddr,
) -> Result<(), ApiError> {
    sign_in_failures::add(store.read(), &sender_key(source, address), expired()).await?;
    Ok(())
}

/// Counts that began at this time or before are over.
pub(crate) fn expired() -> DateTime<Utc> {
    sluice_store::now() - WINDOW
}

fn throttled() -> ApiError {
    let detail = "too many failed attempts; try again later";
    ApiError::too_many("throttled", detail, WINDOW.num_seconds().unsigned_abs())
}

fn account_key(account: &str) -> String {
    format!("account:{}", account.trim().to_lowercase())
}

fn sender_key(source: EventSourceId, address: IpAddr) -> String {
    format!("event-source:{source}:{}", address_key(address))
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
    fn an_account_is_one_however_it_is_typed_and_a_network_is_one_address() {
        assert_eq!(account_key(" Ada@example.com"), account_key("ada@Example.com "));
        let key = |address: &str| address_key(address.parse().unwrap());
        assert_eq!(key("2001:db8::1"), key("2001:db8::2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:1::1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }
}
