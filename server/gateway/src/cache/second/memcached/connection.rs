//! One connection to a Memcached that many share: what is asked is sent at once, and the answers come in the same order.
//!
//! An answer that does not come within [`PATIENCE`], or is not one, ends the connection with all that wait: whose answer the next
//! bytes are is not known any more. Then it is made anew, after a pause when that fails.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use percent_encoding::percent_decode_str;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::protocol::{self, Expect, Reply};
use crate::cache::second::server::Failure;

/// How long anything may take before the connection counts as lost. Calls wait for much less.
const PATIENCE: Duration = Duration::from_secs(1);
/// The pause after the first attempt to connect that fails; it doubles up to [`PATIENCE`].
const PAUSE: Duration = Duration::from_millis(50);
/// Questions that wait to be sent, and that were sent and wait for their answers.
const QUEUE: usize = 256;
/// Bytes that are read ahead.
const CHUNK: usize = 16 << 10;

/// Where the server is and how it is spoken to.
pub(super) struct Target {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// User and password, with white space between them.
    secret: Option<String>,
}

/// Clones speak over the same connection.
#[derive(Clone)]
pub(super) struct Connection {
    requests: mpsc::Sender<Request>,
}

struct Request {
    bytes: Vec<u8>,
    waiting: Waiting,
}

struct Waiting {
    expects: Vec<Expect>,
    reply: oneshot::Sender<Result<Vec<Reply>, Failure>>,
}

impl Target {
    /// Of a URL that settings have checked.
    pub(super) fn new(url: &str, ca: Option<&[u8]>) -> Result<Self, String> {
        let url = url::Url::parse(url).map_err(|error| error.to_string())?;
        let host = url.host_str().ok_or("it names no host")?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = (url.scheme() == "memcacheds").then(|| connector(&host, ca)).transpose()?;
        let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let secret = url.password().map(|word| format!("{} {}", decoded(url.username()), decoded(word)));
        Ok(Self { host, port: url.port().unwrap_or(11_211), tls, secret })
    }
}

/// Trusts these certificates (PEM), or the authorities that browsers trust.
fn connector(host: &str, ca: Option<&[u8]>) -> Result<(TlsConnector, ServerName<'static>), String> {
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    match ca {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| error.to_string())?;
                roots.add(certificate).map_err(|error| error.to_string())?;
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?.with_root_certificates(roots);
    Ok((TlsConnector::from(Arc::new(config.with_no_client_auth())), name))
}

impl Connection {
    /// Connects when it is first used. Needs a runtime.
    pub(super) fn start(target: Arc<Target>) -> Self {
        let (requests, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(run(target, receiver));
        Self { requests }
    }

    /// Sends commands, and waits for as many answers.
    pub(super) async fn ask(&self, bytes: Vec<u8>, expects: Vec<Expect>) -> Result<Vec<Reply>, Failure> {
        let (reply, answer) = oneshot::channel();
        let request = Request { bytes, waiting: Waiting { expects, reply } };
        self.requests.try_send(request).map_err(|_| lost("too much waits for it"))?;
        answer.await.unwrap_or_else(|_| Err(lost("the connection broke")))
    }
}

fn lost(why: &str) -> Failure {
    Failure::Lost(why.to_owned())
}

/// Until nobody can ask any more.
async fn run(target: Arc<Target>, mut requests: mpsc::Receiver<Request>) {
    let mut pause = PAUSE;
    while let Some(first) = requests.recv().await {
        match connect(&target).await {
            Ok(stream) => {
                pause = PAUSE;
                if let Err(error) = speak(stream, first, &mut requests).await {
                    tracing::debug!(%error, host = target.host, "a connection to Memcached ended");
                }
            }
            Err(error) => {
                refuse(first, &error);
                rest(pause, &mut requests, &error).await;
                pause = (pause * 2).min(PATIENCE);
            }
        }
    }
}

fn refuse(request: Request, error: &io::Error) {
    let _ = request.waiting.reply.send(Err(Failure::Lost(error.to_string())));
}

/// Nobody waits for a server that cannot be reached.
async fn rest(pause: Duration, requests: &mut mpsc::Receiver<Request>, error: &io::Error) {
    let refusing = async {
        while let Some(request) = requests.recv().await {
            refuse(request, error);
        }
    };
    let _ = tokio::time::timeout(pause, refusing).await;
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn connect(target: &Target) -> io::Result<Box<dyn Stream>> {
    let connecting = async {
        let plain = TcpStream::connect((target.host.as_str(), target.port)).await?;
        plain.set_nodelay(true)?;
        let mut stream: Box<dyn Stream> = match &target.tls {
            None => Box::new(plain),
            Some((connector, name)) => Box::new(connector.connect(name.clone(), plain).await?),
        };
        if let Some(secret) = &target.secret {
            authenticate(&mut stream, secret).await?;
        }
        Ok(stream)
    };
    tokio::time::timeout(PATIENCE, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// As `memcached -Y` wants it: the first thing that is stored is who one is.
async fn authenticate(stream: &mut Box<dyn Stream>, secret: &str) -> io::Result<()> {
    let command = format!("set sluice 0 0 {}\r\n{secret}\r\n", secret.len());
    stream.write_all(command.as_bytes()).await?;
    let mut bytes = BytesMut::new();
    match answer(stream, &mut bytes, Expect::Line).await? {
        Reply::Line(line) if *line == *"STORED" => Ok(()),
        _ => Err(io::Error::other("it does not know this user and password")),
    }
}

/// Sends what is asked and hands the answers out, until the connection ends or nobody can ask any more.
async fn speak(
    stream: Box<dyn Stream>,
    first: Request,
    requests: &mut mpsc::Receiver<Request>,
) -> io::Result<()> {
    let (mut reading, mut writing) = tokio::io::split(stream);
    let (sent, mut waiting) = mpsc::channel(QUEUE);
    let write = async {
        let mut next = Some(first);
        while let Some(Request { bytes, waiting }) = next {
            if sent.send((Instant::now() + PATIENCE, waiting)).await.is_err() {
                break;
            }
            writing.write_all(&bytes).await?;
            next = requests.recv().await;
        }
        io::Result::Ok(())
    };
    let read = async {
        let mut bytes = BytesMut::new();
        loop {
            // What nobody has asked for would be taken for the next answer.
            if waiting.is_empty() && !bytes.is_empty() {
                return Err(io::Error::other("the server speaks out of turn"));
            }
            let (until, Waiting { expects, reply }) = tokio::select! {
                biased;
                next = waiting.recv() => match next {
                    Some(next) => next,
                    None => return io::Result::Ok(()),
                },
                // Nothing was asked: the server goes.
                _ = reading.read_buf(&mut bytes) => return Err(io::ErrorKind::ConnectionAborted.into()),
            };
            let all = async {
                let mut replies = Vec::with_capacity(expects.len());
                for expect in expects {
                    replies.push(answer(&mut reading, &mut bytes, expect).await?);
                }
                io::Result::Ok(replies)
            };
            let replies = tokio::time::timeout_at(until, all).await;
            // Whoever asked may have gone.
            let _ = reply.send(Ok(replies.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??));
        }
    };
    tokio::select! { done = write => done, done = read => done }
}

async fn answer(
    stream: &mut (impl AsyncRead + Unpin),
    bytes: &mut BytesMut,
    expect: Expect,
) -> io::Result<Reply> {
    loop {
        if let Some((reply, taken)) = protocol::read(expect, bytes).map_err(io::Error::other)? {
            let _ = bytes.split_to(taken);
            return Ok(reply);
        }
        bytes.reserve(CHUNK);
        if stream.read_buf(bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
