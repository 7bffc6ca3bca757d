//! The certificate of the TLS listener. Nobody vouches for it: gateways know its fingerprint from their enrolment
//! token, which is stronger than a name.

use std::sync::Arc;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use sluice_contract::part::Sha256Hash;
use sluice_store::Store;

use super::keys;
use crate::seal::Sealer;

/// The certificate and its key.
pub(super) struct LinkCertificate {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

/// As it is kept: base64 of DER.
#[derive(Serialize, Deserialize)]
struct Kept {
    certificate: String,
    key: String,
}

impl LinkCertificate {
    /// Loads it, or makes it at the first start.
    ///
    /// # Errors
    /// See [`keys::load_or_make`].
    pub(super) async fn load(store: &Store, sealer: &Sealer) -> anyhow::Result<Self> {
        let kept = keys::load_or_make(store, sealer, "certificate", make).await?;
        let Kept { certificate, key } = serde_json::from_slice(&kept).context("the link's certificate")?;
        Ok(Self { certificate: STANDARD.decode(certificate)?.into(), key: STANDARD.decode(key)? })
    }

    /// SHA-256 of the certificate (DER).
    pub(super) fn fingerprint(&self) -> Sha256Hash {
        Sha256Hash::of(&self.certificate)
    }

    /// How the listener speaks TLS: 1.3 and 1.2, HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    /// When the key does not fit the certificate.
    pub(super) fn server_config(&self) -> anyhow::Result<Arc<ServerConfig>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn make() -> anyhow::Result<Vec<u8>> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec!["sluice-link".to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Sluice gateway link");
    let certificate = params.self_signed(&key)?;
    let kept =
        Kept { certificate: STANDARD.encode(certificate.der()), key: STANDARD.encode(key.serialize_der()) };
    Ok(serde_json::to_vec(&kept)?)
}
