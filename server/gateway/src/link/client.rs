//! HTTP/1.1 to the control plane: a few kept connections, pinned TLS or plain on loopback, every wait bounded.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use sluice_contract::part::Sha256Hash;
use sluice_contract::problem::Problem;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::Url;

use super::error::LinkError;
use super::tls;

const CONNECT: Duration = Duration::from_secs(5);
/// Connections kept for the next request.
const IDLE_MAX: usize = 4;

type Sender = SendRequest<Full<Bytes>>;

/// Sends requests to one control plane.
pub(super) struct Client {
    host: String,
    port: u16,
    /// What `Host` says.
    authority: HeaderValue,
    /// Path of the base URL, without a slash at its end.
    prefix: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    idle: Mutex<Vec<Sender>>,
}

/// How long to wait for an answer, and how many bytes it may have.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) wait: Duration,
    pub(super) bytes: usize,
}

impl Bounds {
    /// For small answers.
    pub(super) const SMALL: Self = Self { wait: Duration::from_secs(10), bytes: 1 << 20 };
}

impl Client {
    /// A client for the control plane at `base`. https needs the certificate's fingerprint.
    pub(super) fn new(base: &Url, fingerprint: Option<Sha256Hash>) -> Result<Self, LinkError> {
        let protocol = |message: &str| LinkError::Protocol(format!("`{base}`: {message}"));
        let host = base.host_str().ok_or_else(|| protocol("no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = base.port_or_known_default().ok_or_else(|| protocol("no port"))?;
        let tls = match (base.scheme(), fingerprint) {
            ("http", _) => None,
            ("https", Some(fingerprint)) => {
                let connector = tls::pinned(fingerprint).map_err(|error| protocol(&error.to_string()))?;
                let name =
                    ServerName::try_from(host.clone()).map_err(|error| protocol(&error.to_string()))?;
                Some((connector, name))
            }
            _ => return Err(protocol("no certificate fingerprint for https")),
        };
        let authority = HeaderValue::from_str(&format!("{}:{port}", base.host_str().unwrap_or_default()))
            .map_err(|_| protocol("not a host name"))?;
        let prefix = base.path().trim_end_matches('/').to_owned();
        Ok(Self { host, port, authority, prefix, tls, idle: Mutex::default() })
    }

    /// Sends a request and waits for the head of an answer that is not an error. Its body may stream for ever.
    pub(super) async fn stream(
        &self,
        request: Request<Full<Bytes>>,
        wait: Duration,
    ) -> Result<Response<Incoming>, LinkError> {
        let exchange = async {
            let mut sender = self.connect().await?;
            let response = sender.send_request(self.addressed(&request)?).await?;
            succeed(response).await
        };
        timeout(wait, exchange).await.map_err(|_| LinkError::Timeout)?
    }

    /// Sends a request and waits for the whole of an answer that is not an error.
    pub(super) async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        bounds: Bounds,
    ) -> Result<Bytes, LinkError> {
        let exchange = async {
            loop {
                let (mut sender, kept) = match self.kept() {
                    Some(sender) => (sender, true),
                    None => (self.connect().await?, false),
                };
                match sender.send_request(self.addressed(&request)?).await {
                    // The other side closed a kept connection in the meantime: every request here may be repeated.
                    Err(_) if kept => continue,
                    Err(error) => return Err(error.into()),
                    Ok(response) => {
                        let body = read(succeed(response).await?, bounds.bytes).await?;
                        self.keep(sender);
                        return Ok(body);
                    }
                }
            }
        };
        timeout(bounds.wait, exchange).await.map_err(|_| LinkError::Timeout)?
    }

    fn addressed(&self, request: &Request<Full<Bytes>>) -> Result<Request<Full<Bytes>>, LinkError> {
        let mut request = request.clone();
        let path = format!("{}{}", self.prefix, request.uri());
        *request.uri_mut() = path.parse().map_err(|_| LinkError::Protocol(format!("`{path}` is no path")))?;
        request.headers_mut().insert(header::HOST, self.authority.clone());
        Ok(request)
    }

    fn kept(&self) -> Option<Sender> {
        let mut idle = self.idle.lock();
        while let Some(sender) = idle.pop() {
            if sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    fn keep(&self, sender: Sender) {
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_MAX && !sender.is_closed() {
            idle.push(sender);
        }
    }

    async fn connect(&self) -> Result<Sender, LinkError> {
        let tcp = timeout(CONNECT, self.open()).await.map_err(|_| LinkError::Timeout)??;
        match &self.tls {
            None => handshake(tcp).await,
            Some((connector, name)) => {
                let connecting = connector.connect(name.clone(), tcp);
                let connected = timeout(CONNECT, connecting).await.map_err(|_| LinkError::Timeout)?;
                handshake(connected.map_err(|source| self.unreachable(source))?).await
            }
        }
    }

    async fn open(&self) -> Result<TcpStream, LinkError> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await;
        let tcp = tcp.map_err(|source| self.unreachable(source))?;
        let address = tcp.peer_addr().map_err(|source| self.unreachable(source))?;
        if self.tls.is_none() && !address.ip().to_canonical().is_loopback() {
            return Err(LinkError::NotLoopback { address });
        }
        tcp.set_nodelay(true).map_err(|source| self.unreachable(source))?;
        Ok(tcp)
    }

    fn unreachable(&self, source: io::Error) -> LinkError {
        LinkError::Connect { authority: format!("{}:{}", self.host, self.port), source }
    }
}

async fn handshake<S>(stream: S) -> Result<Sender, LinkError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to the control plane ended");
        }
    });
    Ok(sender)
}

async fn succeed(response: Response<Incoming>) -> Result<Response<Incoming>, LinkError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = read(response, Bounds::SMALL.bytes).await?;
    let problem = serde_json::from_slice(&body).unwrap_or_else(|_| unnamed(status, &body));
    Err(LinkError::Refused(Box::new(problem)))
}

/// An error that somebody else than the control plane's handlers made, a proxy in between for example.
fn unnamed(status: StatusCode, body: &[u8]) -> Problem {
    let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
    Problem::new(status.as_u16(), "unknown", "Error without a problem document").detail(text)
}

async fn read(response: Response<Incoming>, limit: usize) -> Result<Bytes, LinkError> {
    let body = Limited::new(response.into_body(), limit).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|error| match error.downcast::<hyper::Error>() {
        Ok(error) => LinkError::Http(*error),
        Err(_) => LinkError::Protocol(format!("an answer is longer than {limit} bytes")),
    })
}
