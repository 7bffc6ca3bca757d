//! Connects to a server of NATS behind the guard. The client would resolve names itself, follow what its server says of
//! others, and come back to all of them by itself: it is given addresses that were looked at, and nothing else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, ServerAddr};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sluice_contract::event_streams::servers;
use sluice_store::event_sources::Read;
use url::Url;

use super::failed;
use crate::event_streams::feed::Ended;
use crate::event_streams::reader::Reader;
use crate::outbound::OutboundGuard;

/// All servers and their addresses, of which each has the same part of it.
const CONNECT: Duration = Duration::from_secs(8);
const PORT: u16 = 4222;
const JWT: &str = "-----BEGIN NATS USER JWT-----";
const SEED_LENGTH: usize = 58;
const SEED: &str = "-----BEGIN USER NKEY SEED-----";

/// To the first of its servers that lets it in.
pub(super) async fn connect(reader: &Reader, read: &Read) -> Result<Client, Ended> {
    let guard = OutboundGuard::of_environment(&reader.app, read.receiver.environment).await;
    let guard = guard.map_err(failed)?;
    let password = reader.password(read)?;
    let mut last = Ended::Source("it names no server".to_owned());
    let servers: Vec<&str> = servers(&read.stream.url).collect();
    let each = CONNECT / u32::try_from(servers.len()).unwrap_or(u32::MAX).max(1);
    for url in servers {
        let late = |_| Err(Ended::Source(format!("{url} does not answer")));
        let connected = tokio::time::timeout(each, to(url, each, &guard, read, password.as_deref()));
        match connected.await.unwrap_or_else(late) {
            Ok(client) => return Ok(client),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn to(
    url: &str,
    within: Duration,
    guard: &OutboundGuard,
    read: &Read,
    password: Option<&str>,
) -> Result<Client, Ended> {
    let url = Url::parse(url).map_err(failed)?;
    let host = url.host_str().ok_or_else(|| failed("it has no host"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let found = tokio::net::lookup_host((host, url.port().unwrap_or(PORT))).await.map_err(failed)?;
    let found: Vec<SocketAddr> = found.collect();
    for socket in &found {
        guard.check(socket.ip()).map_err(failed)?;
    }
    let addresses = found.iter().map(|socket| format!("{}://{socket}", url.scheme()).parse());
    let addresses = addresses.collect::<Result<Vec<ServerAddr>, _>>().map_err(failed)?;
    let each = within / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let options = ConnectOptions::new()
        .name("sluice")
        .connection_timeout(each)
        .ignore_discovered_servers()
        .max_reconnects(addresses.len())
        .require_tls(url.scheme() == "tls")
        .tls_client_config(tls(host, read.stream.ca.as_deref()).map_err(failed)?);
    let options = signed_in(options, read.stream.user.as_deref(), password)?;
    options.connect(addresses).await.map_err(failed)
}

fn signed_in(
    options: ConnectOptions,
    user: Option<&str>,
    password: Option<&str>,
) -> Result<ConnectOptions, Ended> {
    Ok(match (user, password) {
        (None, None) => options,
        (Some(user), password) => {
            options.user_and_password(user.to_owned(), password.unwrap_or_default().to_owned())
        }
        (None, Some(text)) => match credentials(text) {
            Some(credentials) => options
                .credentials(&credentials)
                .map_err(|_| Ended::Source("these are no credentials of NATS".to_owned()))?,
            None if is_seed(text.trim()) => options.nkey(text.trim().to_owned()),
            None => options.token(text.to_owned()),
        },
    })
}

/// The seed of a user's nkey, which is never sent.
fn is_seed(text: &str) -> bool {
    let of_base32 = |byte: u8| byte.is_ascii_uppercase() || matches!(byte, b'2'..=b'7');
    text.len() == SEED_LENGTH && text.starts_with("SU") && text.bytes().all(of_base32)
}

/// What stands in a file of credentials, with the ends of lines that a field of one line has taken out.
fn credentials(text: &str) -> Option<String> {
    let part = |begin: &str| {
        let (_, rest) = text.split_once(begin)?;
        Some(rest.split_once("---")?.0.trim())
    };
    let (jwt, seed) = (part(JWT)?, part(SEED)?);
    Some(format!(
        "{JWT}\n{jwt}\n------END NATS USER JWT------\n\n{SEED}\n{seed}\n------END USER NKEY SEED------\n"
    ))
}

/// Trusts these certificates (PEM), or the authorities that browsers trust, to vouch for this name.
fn tls(host: &str, ca: Option<&str>) -> Result<ClientConfig, Box<dyn std::error::Error + Send + Sync>> {
    let mut roots = RootCertStore::empty();
    match ca {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                roots.add(certificate?)?;
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
    let named = Named { name: ServerName::try_from(host.to_owned())?, verifier };
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.dangerous().with_custom_certificate_verifier(Arc::new(named)).with_no_client_auth())
}

/// The client knows only the address that it connects to; what a certificate must be for is the name.
#[derive(Debug)]
struct Named {
    name: ServerName<'static>,
    verifier: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verifier.verify_server_cert(end_entity, intermediates, &self.name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
