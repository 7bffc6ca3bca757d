//! TLS towards upstreams.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

/// One connector for each protocol that is asked for by ALPN.
#[derive(Clone)]
pub(crate) struct TlsConnectors {
    pub(crate) http1: TlsConnector,
    pub(crate) http2: TlsConnector,
}

impl TlsConnectors {
    /// Trusts the certificate authorities that browsers trust, and these.
    pub(crate) fn new(roots: &[CertificateDer<'static>]) -> Result<Self, rustls::Error> {
        let mut store = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        for root in roots {
            store.add(root.clone())?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(store)
            .with_no_client_auth();
        let with = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            TlsConnector::from(Arc::new(config))
        };
        Ok(Self { http1: with(&[b"http/1.1"]), http2: with(&[b"h2", b"http/1.1"]) })
    }
}
