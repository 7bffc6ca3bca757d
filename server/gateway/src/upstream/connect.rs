//! Making a connection: resolve, ask the guard, connect, shake hands. Nothing of a request is sent here, so that each
//! failure may be followed by another target.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use sluice_contract::guard::Forbidden;
use tokio::net::TcpStream;

use super::http1::{Http1, Stream};
use super::pool::Http2;
use crate::compile::{HostName, PoolKey};
use crate::worker::{LocalExecutor, Worker};

/// A connection that can take a request.
pub(super) enum Connection {
    Http1(Box<Http1>),
    Http2(Http2),
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("the name `{name}` does not resolve: {reason}")]
    Unresolvable { name: Arc<str>, reason: String },
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    #[error("{0}")]
    Refused(io::Error),
    #[error("{0}")]
    Tls(String),
    #[error("no connection within {} ms", .0.as_millis())]
    TimedOut(Duration),
}

/// Connects within a time.
pub(super) async fn connect(
    worker: &Rc<Worker>,
    to: &PoolKey,
    within: Duration,
) -> Result<Connection, ConnectError> {
    tokio::time::timeout(within, connect_whole(worker, to))
        .await
        .unwrap_or(Err(ConnectError::TimedOut(within)))
}

async fn connect_whole(worker: &Rc<Worker>, to: &PoolKey) -> Result<Connection, ConnectError> {
    let stream = connect_tcp(worker, to).await?;
    // Small requests must not wait for more to send.
    let _ = stream.set_nodelay(true);
    if !to.tls {
        return begin(Stream::Plain(stream), to.http2).await;
    }
    let connector = if to.http2 { &worker.tls.http2 } else { &worker.tls.http1 };
    let name = server_name(&to.host)?;
    let stream =
        connector.connect(name, stream).await.map_err(|error| ConnectError::Tls(error.to_string()))?;
    // A server that does not speak HTTP/2 has chosen HTTP/1.1.
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    begin(Stream::Tls(Box::new(stream)), http2).await
}

/// Connects to the first address that is allowed and answers. The address that is checked is the one that is used: a
/// name that resolves to something else a moment later gains nothing.
async fn connect_tcp(worker: &Worker, to: &PoolKey) -> Result<TcpStream, ConnectError> {
    let mut last = None;
    for address in addresses(worker, &to.host).await? {
        if let Err(forbidden) = worker.may_connect(address) {
            last = Some(ConnectError::Forbidden(forbidden));
            continue;
        }
        match TcpStream::connect(SocketAddr::new(address, to.port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(ConnectError::Refused(error)),
        }
    }
    Err(last.unwrap_or_else(|| ConnectError::Refused(io::ErrorKind::AddrNotAvailable.into())))
}

async fn addresses(worker: &Worker, host: &HostName) -> Result<Vec<IpAddr>, ConnectError> {
    let name = match host {
        HostName::Address(address) => return Ok(vec![*address]),
        HostName::Name(name) => name,
    };
    let unresolvable = |reason: String| ConnectError::Unresolvable { name: Arc::clone(name), reason };
    let found = worker.resolver.resolve(name).await.map_err(|error| unresolvable(error.to_string()))?;
    if found.is_empty() { Err(unresolvable("it has no address".to_owned())) } else { Ok(found) }
}

fn server_name(host: &HostName) -> Result<ServerName<'static>, ConnectError> {
    match host {
        HostName::Address(address) => Ok(ServerName::IpAddress((*address).into())),
        HostName::Name(name) => {
            ServerName::try_from(name.to_string()).map_err(|error| ConnectError::Tls(error.to_string()))
        }
    }
}

async fn begin(stream: Stream, http2: bool) -> Result<Connection, ConnectError> {
    if !http2 {
        return Ok(Connection::Http1(Box::new(Http1::new(stream))));
    }
    let (sender, connection) = http2::Builder::new(LocalExecutor)
        .timer(hyper_util::rt::TokioTimer::new())
        .adaptive_window(true)
        .keep_alive_interval(Duration::from_secs(20))
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| ConnectError::Refused(io::Error::other(error)))?;
    tokio::task::spawn_local(connection);
    Ok(Connection::Http2(sender))
}
