//! Other protocols on the same connection (WebSocket): a tunnel of bytes, once the upstream has agreed.

use std::time::Duration;

use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{Response, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::time::Instant;

use super::failure::{Kind, Outcome};
use super::forward::exchange;
use super::transform::Wish;
use super::{Authorised, Call, Outbound, headers};
use crate::body::{Body, Origin};
use crate::state::Snapshot;

/// Asks the upstream for the protocol. If it agrees, the call ends when the tunnel does.
pub(super) async fn tunnel(
    call: &mut Call,
    snapshot: &Snapshot,
    authorised: &Authorised,
    outbound: Outbound,
    wish: Wish,
) -> Outcome<Response<Body>> {
    let Wish { protocol, connection } = wish;
    let (sent, upstream) = exchange(call, snapshot, authorised, outbound, Some(&protocol)).await?;
    if sent.head.status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(declined(sent.into_parts(upstream.timeouts.idle)));
    }
    let Some(server) = sent.body.into_upgraded() else {
        return Err(Kind::BadResponse.because("It switches to another protocol where there is none."));
    };
    let mut head = sent.head;
    let chosen = head.headers.get(UPGRADE).cloned().unwrap_or(protocol);
    headers::strip_response(&mut head.headers);
    head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    head.headers.insert(UPGRADE, chosen);

    let idle = upstream.timeouts.idle;
    let mut tunnelled = call.hand_over(head.status);
    tokio::task::spawn_local(async move {
        let bytes = match connection.await {
            Ok(client) => copy(client, server, idle).await,
            Err(_) => Bytes { up: 0, down: 0 },
        };
        tunnelled.body_in.bytes.set(tunnelled.body_in.bytes.get() + bytes.up);
        tunnelled.end(bytes.down);
    });
    Ok(Response::from_parts(head, Body::empty()))
}

/// The upstream goes on in HTTP. The bytes that follow on the client's connection were not watched, so it is closed.
fn declined((mut head, body): (http::response::Parts, crate::body::UpstreamBody)) -> Response<Body> {
    headers::strip_response(&mut head.headers);
    headers::add_via(&mut head.headers, head.version);
    head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Response::from_parts(head, Body::new(Origin::Upstream(Box::new(body))))
}

struct Bytes {
    up: u64,
    down: u64,
}

/// Copies both ways until both sides have ended, or nothing moves for a while.
async fn copy<C, S>(client: C, server: S, idle: Duration) -> Bytes
where
    C: AsyncRead + AsyncWrite,
    S: AsyncRead + AsyncWrite,
{
    let (client_read, client_write) = tokio::io::split(client);
    let (server_read, server_write) = tokio::io::split(server);
    let moved = std::cell::Cell::new(Instant::now());
    let (up, down) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let both = async {
        tokio::join!(
            one_way(client_read, server_write, &moved, &up),
            one_way(server_read, client_write, &moved, &down)
        )
    };
    let quiet = async {
        while moved.get().elapsed() < idle {
            tokio::time::sleep_until(moved.get() + idle).await;
        }
    };
    tokio::select! {
        _ = both => {}
        () = quiet => {}
    }
    Bytes { up: up.get(), down: down.get() }
}

async fn one_way<F, T>(
    mut from: ReadHalf<F>,
    mut to: WriteHalf<T>,
    moved: &std::cell::Cell<Instant>,
    count: &std::cell::Cell<u64>,
) where
    F: AsyncRead + AsyncWrite,
    T: AsyncRead + AsyncWrite,
{
    let mut buffer = vec![0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        moved.set(Instant::now());
        if to.write_all(&buffer[..length]).await.is_err() {
            break;
        }
        count.set(count.get() + length as u64);
    }
    // The other direction may go on: only this one has ended.
    let _ = to.shutdown().await;
}

impl Call {
    /// The call goes on in the tunnel; what is left here records nothing.
    fn hand_over(&mut self, status: StatusCode) -> Box<Call> {
        self.status = status.as_u16();
        Box::new(self.take())
    }
}
