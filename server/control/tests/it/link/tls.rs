//! The link's own listener over TLS, and what its plain twin refuses.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use sluice_contract::link::{EnrolResponse, EnrolmentToken};
use sluice_contract::part::Sha256Hash;
use sluice_control::App;
use sluice_testkit::{TestApp, each_database};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use super::simulated::{Served, secret_of};

/// Accepts the one certificate with this fingerprint, as gateways do.
#[derive(Debug)]
struct Fingerprint(Sha256Hash, CryptoProvider);

impl ServerCertVerifier for Fingerprint {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if Sha256Hash::of(certificate) == self.0 {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::General("another certificate".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.1.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.1.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.1.signature_verification_algorithms.supported_schemes()
    }
}

fn connector(fingerprint: Sha256Hash) -> TlsConnector {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Fingerprint(fingerprint, (*provider).clone())))
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn a_gateway_enrols_over_tls_with_the_fingerprint_of_its_token_and_with_no_other() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let token = EnrolmentToken::decode(&served.token().await.token).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(sluice_control::link::serve(served.app.app.clone(), listener));
        let name = ServerName::try_from("control.example.com").unwrap();

        let wrong = connector(Sha256Hash::of(b"another"));
        let refused = wrong.connect(name.clone(), TcpStream::connect(address).await.unwrap()).await;
        assert!(refused.is_err());

        let right = connector(token.fingerprint.unwrap());
        let mut stream = right.connect(name, TcpStream::connect(address).await.unwrap()).await.unwrap();
        let body =
            serde_json::json!({"secret": token.secret, "name": "remote", "region": null, "protocol": 1});
        let body = body.to_string();
        let request = format!(
            "POST /gateway/v1/enrolments HTTP/1.1\r\nhost: control\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 201 "), "{answer}");
        let enrolled: EnrolResponse = serde_json::from_str(body).unwrap();
        assert_eq!(enrolled.environment, served.environment);
    })
    .await;
}

#[tokio::test]
async fn control_planes_on_one_database_have_one_certificate_and_need_one_master_key() {
    each_database(|app| async move {
        let served = Served::start(app).await;
        let app = &served.app.app;
        let store = app.store.clone();
        let mut settings = app.settings.clone();
        let same = App::new(settings.clone(), store.clone()).await.unwrap();
        assert_eq!(same.link_fingerprint(), app.link_fingerprint());
        settings.master_key = sluice_control::MasterKey::generate().unwrap();
        let error = App::new(settings, store).await.err().unwrap();
        assert!(format!("{error:#}").contains("master key"), "{error:#}");
    })
    .await;
}

#[tokio::test]
async fn without_tls_only_peers_on_this_machine_are_served() {
    each_database(|app: TestApp| async move {
        // The in-process client has no address, so it cannot prove where it is.
        let request = serde_json::json!({"secret": "x", "name": "x", "region": null, "protocol": 1});
        let refused = app.stranger().post("/gateway/v1/enrolments", &request).await;
        refused.expect_problem(403, "tls_required");
        let served = Served::start(app).await;
        let token = served.token().await;
        assert!(super::simulated::Simulated::enrol(&served.base, &secret_of(&token), "local").await.is_ok());
    })
    .await;
}
