//! The frame around a value: a version, compression, and what tells a damaged, moved or foreign value from one of ours.
//!
//! `version | flags | check | payload`. The check is 16 bytes of SHA-256, or nonce and tag of AES-256-GCM where there is a key;
//! both cover the place where the value stands.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use sha2::{Digest as _, Sha256};

/// Raised with every change of the frame or of what is in it, so that gateways of two versions never misread each other.
const VERSION: u8 = 1;
const COMPRESSED: u8 = 1;
const ENCRYPTED: u8 = 2;
const CHECK: usize = 16;
const NONCE: usize = 12;
/// Bytes of a value once it is unpacked, at most.
const MOST: usize = super::MOST_BYTES + (1 << 20);
const LEVEL: i32 = 1;

/// Seals values and opens them again.
pub(super) struct Seal {
    cipher: Option<Aes256Gcm>,
    compress_over: usize,
}

/// Why a value cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    #[error("another version wrote it")]
    Version,
    #[error("it is encrypted and there is no key, or the other way round")]
    Key,
    #[error("it was changed, or stands where it does not belong")]
    Damaged,
}

impl Seal {
    pub(super) fn new(key: Option<&[u8; 32]>, compress_over: usize) -> Self {
        Self { cipher: key.map(|key| Aes256Gcm::new(&(*key).into())), compress_over }
    }

    /// None when that cannot be done: no random numbers, no memory.
    pub(super) fn close(&self, place: &[u8], payload: Vec<u8>) -> Option<Vec<u8>> {
        let mut flags = if self.cipher.is_some() { ENCRYPTED } else { 0 };
        let mut payload = payload;
        if payload.len() > self.compress_over {
            let compressed = zstd::bulk::compress(&payload, LEVEL).ok()?;
            if compressed.len() < payload.len() {
                (payload, flags) = (compressed, flags | COMPRESSED);
            }
        }
        let mut framed = vec![VERSION, flags];
        match &self.cipher {
            None => {
                framed.extend_from_slice(&check(place, [VERSION, flags], &payload));
                framed.extend_from_slice(&payload);
            }
            Some(cipher) => {
                let mut nonce = [0; NONCE];
                getrandom::fill(&mut nonce).ok()?;
                let about = [place, &[VERSION, flags]].concat();
                let sealed = cipher.encrypt(&Nonce::from(nonce), Payload { msg: &payload, aad: &about });
                framed.extend_from_slice(&nonce);
                framed.extend_from_slice(&sealed.ok()?);
            }
        }
        Some(framed)
    }

    /// The payload.
    pub(super) fn open(&self, place: &[u8], framed: &[u8]) -> Result<Vec<u8>, Unusable> {
        let [version, flags, rest @ ..] = framed else { return Err(Unusable::Damaged) };
        if *version != VERSION || flags & !(COMPRESSED | ENCRYPTED) != 0 {
            return Err(Unusable::Version);
        }
        let payload = match (&self.cipher, flags & ENCRYPTED != 0) {
            (None, false) => {
                let (found, payload) = rest.split_first_chunk::<CHECK>().ok_or(Unusable::Damaged)?;
                if *found != check(place, [*version, *flags], payload) {
                    return Err(Unusable::Damaged);
                }
                payload.to_vec()
            }
            (Some(cipher), true) => {
                let (nonce, sealed) = rest.split_first_chunk::<NONCE>().ok_or(Unusable::Damaged)?;
                let about = [place, &[*version, *flags]].concat();
                let opened = cipher.decrypt(&Nonce::from(*nonce), Payload { msg: sealed, aad: &about });
                opened.map_err(|_| Unusable::Damaged)?
            }
            _ => return Err(Unusable::Key),
        };
        if flags & COMPRESSED == 0 {
            return Ok(payload);
        }
        let size = zstd::bulk::Decompressor::upper_bound(&payload).ok_or(Unusable::Damaged)?;
        zstd::bulk::decompress(&payload, size.min(MOST)).map_err(|_| Unusable::Damaged)
    }
}

fn check(place: &[u8], head: [u8; 2], payload: &[u8]) -> [u8; CHECK] {
    let mut hash = Sha256::new();
    hash.update(head);
    hash.update((place.len() as u64).to_le_bytes());
    hash.update(place);
    hash.update(payload);
    let whole: [u8; 32] = hash.finalize().into();
    let mut check = [0; CHECK];
    check.copy_from_slice(&whole[..CHECK]);
    check
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn seals() -> [Seal; 3] {
        [Seal::new(None, 64), Seal::new(None, usize::MAX), Seal::new(Some(&KEY), 64)]
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens_in_its_place_and_nowhere_else(payload in prop::collection::vec(0..4_u8, 0..300)) {
            for seal in seals() {
                let framed = seal.close(b"here", payload.clone()).unwrap();
                prop_assert_eq!(seal.open(b"here", &framed), Ok(payload.clone()));
                prop_assert!(seal.open(b"else", &framed).is_err());
                prop_assert!(seal.open(b"elsewhere", &framed).is_err());
            }
        }

        #[test]
        fn a_changed_byte_or_a_missing_end_is_found(at in any::<prop::sample::Index>(), by in 1..=255_u8, cut in any::<prop::sample::Index>()) {
            for seal in seals() {
                let framed = seal.close(b"here", vec![b'x'; 200]).unwrap();
                let mut changed = framed.clone();
                changed[at.index(framed.len())] ^= by;
                prop_assert!(seal.open(b"here", &changed).is_err());
                prop_assert!(seal.open(b"here", &framed[..cut.index(framed.len())]).is_err());
            }
        }

        #[test]
        fn garbage_is_refused(garbage in prop::collection::vec(any::<u8>(), 0..100)) {
            for seal in seals() {
                prop_assert!(seal.open(b"here", &garbage).is_err());
            }
        }
    }

    #[test]
    fn large_payloads_are_compressed_and_secrets_do_not_show() {
        let [compressing, plain, encrypting] = seals();
        let payload = b"secret".repeat(100);
        let sizes = |seal: &Seal| seal.close(b"here", payload.clone()).unwrap();
        assert!(sizes(&compressing).len() < 200 && sizes(&plain).len() > 600);
        let small = b"a secret".to_vec();
        let encrypted = encrypting.close(b"here", small.clone()).unwrap();
        assert!(!encrypted.windows(6).any(|window| window == b"secret"));
        assert_ne!(encrypted, encrypting.close(b"here", small.clone()).unwrap(), "no nonce twice");
        assert_eq!(plain.open(b"here", &encrypted), Err(Unusable::Key));
        assert_eq!(encrypting.open(b"here", &plain.close(b"here", small).unwrap()), Err(Unusable::Key));
        assert_eq!(Seal::new(Some(&[8; 32]), 64).open(b"here", &encrypted), Err(Unusable::Damaged));
        assert_eq!(plain.open(b"here", &[VERSION + 1, 0]), Err(Unusable::Version));
    }

    #[test]
    fn only_what_is_long_enough_and_becomes_shorter_is_compressed() {
        let [seal, ..] = seals();
        let flags = |payload: Vec<u8>| seal.close(b"here", payload).unwrap()[1];
        assert_eq!((flags(vec![b'x'; 64]), flags(vec![b'x'; 65])), (0, COMPRESSED));
        let random: Vec<u8> = (0..4_u8).flat_map(|number| Sha256::digest([number])).collect();
        assert_eq!(flags(random), 0);
    }

    #[test]
    fn what_would_unpack_to_more_than_any_value_has_is_refused() {
        let [seal, ..] = seals();
        let opened = |size: usize| {
            let framed = seal.close(b"here", vec![0; size]).unwrap();
            assert!(framed.len() < size / 100);
            seal.open(b"here", &framed).map(|payload| payload.len())
        };
        assert_eq!((opened(MOST), opened(MOST + 1)), (Ok(MOST), Err(Unusable::Damaged)));
    }

    #[test]
    fn a_check_is_of_the_head_the_place_and_the_payload_and_of_where_each_ends() {
        let whole = check(b"ab", [VERSION, 0], b"c");
        for other in [
            check(b"ab", [VERSION, COMPRESSED], b"c"),
            check(b"xb", [VERSION, 0], b"c"),
            check(b"ab", [VERSION, 0], b"x"),
            check(b"a", [VERSION, 0], b"bc"),
        ] {
            assert_ne!(other, whole);
        }
    }

    #[test]
    fn a_flag_that_is_not_known_is_of_another_version() {
        let [_, plain, _] = seals();
        let flags = ENCRYPTED << 1;
        let framed = [&[VERSION, flags][..], &check(b"here", [VERSION, flags], b"x"), b"x"].concat();
        assert_eq!(plain.open(b"here", &framed), Err(Unusable::Version));
    }
}
