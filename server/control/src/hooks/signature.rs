//! Signatures of webhooks as Standard Webhooks 1.0 says: HMAC-SHA256 over `{webhook-id}.{webhook-timestamp}.{body}`, in
//! base64 after `v1,`, several of them apart by spaces while a sender changes its secret.

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How far a message's time may be from now, in seconds. What is within is told apart by its id.
const TOLERANCE: i64 = 300;
/// Longest id of a message, in bytes.
const ID_MAX: usize = 200;
/// Most signatures that are looked at.
const SIGNATURES: usize = 8;

/// The headers that sign a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Signed<'a> {
    pub id: &'a str,
    timestamp: &'a str,
    signatures: &'a str,
}

/// Why a message is not taken for its sender's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    Unsigned,
    Signature,
    Timestamp,
}

impl Wrong {
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::Signature => "wrong_signature",
            Self::Timestamp => "stale_timestamp",
        }
    }

    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Unsigned => {
                "send webhook-id (at most 200 visible characters), webhook-timestamp (seconds since 1970) and \
                 webhook-signature (v1,...) once each"
            }
            Self::Signature => "no secret of this source has made this signature",
            Self::Timestamp => {
                "webhook-timestamp is more than five minutes from now; send it again, signed anew"
            }
        }
    }
}

impl<'a> Signed<'a> {
    /// The headers, where each is there once and can be read.
    pub(super) fn read(headers: &'a HeaderMap) -> Result<Self, Wrong> {
        let only = |name: &str| {
            let mut values = headers.get_all(name).iter();
            let value =
                values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok());
            value.ok_or(Wrong::Unsigned)
        };
        let id = only("webhook-id")?;
        let is_visible = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_visible || id.len() > ID_MAX {
            return Err(Wrong::Unsigned);
        }
        let (timestamp, signatures) = (only("webhook-timestamp")?, only("webhook-signature")?);
        Ok(Self { id, timestamp, signatures })
    }

    /// The id of the message, when one of the secrets has signed it not long ago.
    pub(super) fn verify(
        self,
        secrets: &[Vec<u8>],
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<String, Wrong> {
        let is_v1 = |signature: &'a str| STANDARD.decode(signature.strip_prefix("v1,")?).ok();
        let signatures: Vec<_> = self.signatures.split(' ').filter_map(is_v1).take(SIGNATURES).collect();
        let by = |secret: &Vec<u8>| signatures.iter().any(|signature| self.is_by(secret, body, signature));
        if !secrets.iter().any(by) {
            return Err(Wrong::Signature);
        }
        // Digits only, so that there is one way to write what was signed.
        let digits = self.timestamp.bytes().all(|byte| byte.is_ascii_digit());
        let at = self.timestamp.parse::<i64>().ok().filter(|_| digits).ok_or(Wrong::Timestamp)?;
        if (now.timestamp() - at).abs() > TOLERANCE {
            return Err(Wrong::Timestamp);
        }
        Ok(self.id.to_owned())
    }

    /// Compared in constant time.
    fn is_by(self, secret: &[u8], body: &[u8], signature: &[u8]) -> bool {
        mac(secret, self.id, self.timestamp, body).is_some_and(|mac| mac.verify_slice(signature).is_ok())
    }
}

/// The signature of a message that is sent from here.
pub(crate) fn sign(secret: &[u8], id: &str, timestamp: &str, body: &[u8]) -> String {
    let mac = mac(secret, id, timestamp, body).map(|mac| mac.finalize().into_bytes());
    format!("v1,{}", STANDARD.encode(mac.unwrap_or_default()))
}

/// None never comes: HMAC takes keys of any length.
fn mac(secret: &[u8], id: &str, timestamp: &str, body: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        mac.update(part);
    }
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's libraries.
    const SECRET: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const AT: i64 = 1_614_265_330;

    fn verify(id: &str, timestamp: &str, signatures: &str, body: &[u8], now: i64) -> Result<String, Wrong> {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", signatures)]
        {
            headers.insert(name, value.parse().unwrap());
        }
        let secrets = [b"another".to_vec(), STANDARD.decode(SECRET).unwrap()];
        Signed::read(&headers)?.verify(&secrets, body, DateTime::from_timestamp(now, 0).unwrap())
    }

    #[test]
    fn the_example_of_the_specification_is_taken_within_five_minutes_and_only_unchanged() {
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", br#"{"test": 2432232314}"#);
        let at = AT.to_string();
        let several = format!("v1a,AAAA v1,AAAA {SIGNATURE}");
        assert_eq!(verify(id, &at, SIGNATURE, body, AT).as_deref(), Ok(id));
        assert_eq!(verify(id, &at, &several, body, AT + TOLERANCE).as_deref(), Ok(id));
        assert_eq!(verify(id, &at, SIGNATURE, body, AT + TOLERANCE + 1), Err(Wrong::Timestamp));
        assert_eq!(verify(id, &at, SIGNATURE, body, AT - TOLERANCE - 1), Err(Wrong::Timestamp));
        assert_eq!(verify("msg_other", &at, SIGNATURE, body, AT), Err(Wrong::Signature));
        assert_eq!(verify(id, &(AT + 1).to_string(), SIGNATURE, body, AT), Err(Wrong::Signature));
        assert_eq!(verify(id, &at, SIGNATURE, br#"{"test": 2432232315}"#, AT), Err(Wrong::Signature));
        for wrong in ["v1,", "v1,AAAA", "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "x"] {
            assert_eq!(verify(id, &at, wrong, body, AT), Err(Wrong::Signature), "{wrong}");
        }
        assert_eq!(verify(&"x".repeat(ID_MAX + 1), &at, SIGNATURE, body, AT), Err(Wrong::Unsigned));
    }

    #[test]
    fn a_message_that_says_something_twice_is_not_signed() {
        let mut headers = HeaderMap::new();
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            assert_eq!(Signed::read(&headers), Err(Wrong::Unsigned), "before {name}");
            headers.insert(name, "1".parse().unwrap());
        }
        assert!(Signed::read(&headers).is_ok());
        headers.append("webhook-id", "2".parse().unwrap());
        assert_eq!(Signed::read(&headers), Err(Wrong::Unsigned));
    }
}
