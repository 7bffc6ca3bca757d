//! Answers on their way out.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::{BufMut as _, Bytes};
use http::header::HeaderName;
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body as _, Frame};
use tokio::sync::oneshot;

use super::encode::{Delimited, Manner};
use super::head::Said;
use super::wire::Upgraded;
use super::{After, Http1, PLAIN, Written};
use crate::body::Body;
use crate::cache::Ready;
use crate::http1::chunked;
use crate::listen::linger::Linger;

impl Http1 {
    /// Writes an answer that is in memory and for which there is room, to a request that was read whole. Gives it back when it
    /// has to be waited for.
    pub(super) fn write(&self, mut answer: Response<Body>, manner: Manner) -> Written {
        let delimited = manner.delimit(answer.status(), answer.body().size_hint().exact());
        let is_at_hand = match delimited {
            Delimited::Length(_) => answer.body().is_in_memory(),
            Delimited::Unsent(_) => answer.body().is_end_stream(),
            Delimited::Chunks | Delimited::Close => false,
        };
        let switches = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        if !is_at_hand || switches || !self.wire.is_whole() || self.wire.out().is_full() {
            return Err(Box::new(answer));
        }
        let keep = self.keeps(manner, &answer);
        let whole = answer.body_mut().take_whole();
        self.write_head(&mut answer, Manner { keep, ..manner }, delimited);
        self.wire.out().push(whole.unwrap_or_default());
        Ok(self.departs(keep))
    }

    /// Writes an answer that is in memory to a request that was read whole, where there is room. Says how many bytes of its body
    /// are sent.
    pub(super) fn write_ready(&self, answer: Ready) -> (u64, After) {
        let Ready { status, lead, mut body } = answer;
        let manner = Manner { keep: !self.state.stopping.get(), ..PLAIN };
        let delimited = manner.delimit(status, Some(body.len() as u64));
        if matches!(delimited, Delimited::Unsent(_)) {
            body.clear();
        }
        let sent = body.len() as u64;
        let mut out = self.wire.out();
        manner.write(status, &HeaderMap::new(), Some(&lead), delimited, &[], out.end());
        out.push(body);
        drop(out);
        (sent, self.departs(manner.keep))
    }

    /// An answer was written whole: what becomes of the connection, which can be used for another request or not.
    fn departs(&self, keep: bool) -> After {
        if !keep {
            return After::Close { still_sending: false };
        }
        self.state.used_at.set(self.watch.tick.get());
        if !self.wire.out().is_full() {
            self.watch.departures.add(&self.wire);
        }
        After::NextRequest
    }

    /// Whether the connection can be used for another request after this answer.
    fn keeps(&self, manner: Manner, answer: &Response<Body>) -> bool {
        manner.keep && !self.state.stopping.get() && !closes(answer)
    }

    /// Writes the answer to a request, whose call ends with it.
    pub(super) async fn send(&self, mut answer: Box<Response<Body>>, manner: Manner, said: &Said) -> After {
        let keep = self.keeps(manner, &answer);
        let sent = self.respond(&mut answer, Manner { keep, ..manner }, said.trailers).await;
        // The call ends with its answer, not with what of the request nobody wanted.
        drop(answer);
        match sent {
            Err(_) => After::Gone,
            Ok(_) if !self.wire.is_whole() && !self.wire.skip_body().await => {
                After::Close { still_sending: true }
            }
            Ok(Delimited::Close) => After::Close { still_sending: false },
            Ok(_) if !keep || self.state.stopping.get() => After::Close { still_sending: false },
            Ok(_) => After::NextRequest,
        }
    }

    /// Writes an answer.
    async fn respond(
        &self,
        response: &mut Response<Body>,
        manner: Manner,
        takes_trailers: bool,
    ) -> io::Result<Delimited> {
        let status = response.status();
        let delimited = manner.delimit(status, response.body().size_hint().exact());
        let manner = Manner { keep: manner.keep && delimited != Delimited::Close, ..manner };
        let trailers = if takes_trailers && delimited == Delimited::Chunks {
            chunked::announced(response.headers())
        } else {
            Vec::new()
        };
        self.write_head(response, manner, delimited);
        let body = response.body_mut();
        let sent = match delimited {
            Delimited::Unsent(_) => Ok(()),
            Delimited::Length(length) => self.send_length(body, length).await,
            Delimited::Chunks => self.send_chunks(body, &trailers).await,
            Delimited::Close => self.send_length(body, u64::MAX).await,
        };
        let may_wait = sent.is_ok() && manner.keep && !self.wire.out().is_full();
        if may_wait && status != StatusCode::SWITCHING_PROTOCOLS {
            self.watch.departures.add(&self.wire);
        } else {
            // What there is of an answer that broke off is sent, too.
            self.flush().await?;
        }
        sent.map(|()| delimited)
    }

    /// Writes the head of an answer, whose map others may use again.
    fn write_head(&self, answer: &mut Response<Body>, manner: Manner, delimited: Delimited) {
        let (date, lead) = (self.watch.date(), answer.body().lead());
        manner.write(answer.status(), answer.headers(), lead, delimited, &date, self.wire.out().end());
        self.worker.spare.give(std::mem::take(answer.headers_mut()));
    }

    /// A body of this many bytes; no more, and an error when there are fewer.
    async fn send_length(&self, body: &mut Body, length: u64) -> io::Result<()> {
        let mut left = length;
        while !body.is_end_stream() {
            let Some(frame) = self.frame(body).await? else { break };
            let Ok(data) = frame.into_data() else { continue };
            if data.len() as u64 > left {
                return Err(io::ErrorKind::InvalidData.into());
            }
            left -= data.len() as u64;
            self.wire.out().push(data);
        }
        if left > 0 && length != u64::MAX { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// A body in chunks, with those trailers that were announced.
    async fn send_chunks(&self, body: &mut Body, announced: &[HeaderName]) -> io::Result<()> {
        let mut trailers = HeaderMap::new();
        while let Some(frame) = self.frame(body).await? {
            match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => {
                    let mut out = self.wire.out();
                    chunked::write_size(data.len(), out.end());
                    out.push(data);
                    out.end().put_slice(b"\r\n");
                }
                Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
            }
        }
        chunked::write_end(&trailers, announced, self.wire.out().end());
        Ok(())
    }

    /// The next frame of an answer, for which there is room. What is ready leaves before anybody waits for more.
    async fn frame(&self, body: &mut Body) -> io::Result<Option<Frame<Bytes>>> {
        if self.wire.out().is_full() {
            self.flush().await?;
        }
        poll_fn(|context| {
            if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(context) {
                return Poll::Ready(frame.transpose().map_err(io::Error::other));
            }
            if let Poll::Ready(Err(error)) = self.wire.poll_flush(context) {
                return Poll::Ready(Err(error));
            }
            self.wire.poll_gone(context).map(|()| Err(io::ErrorKind::ConnectionReset.into()))
        })
        .await
    }

    /// Sends what is to leave. The connection is in use meanwhile, however slowly the client takes it.
    pub(super) async fn flush(&self) -> io::Result<()> {
        let _busy = self.connection.busy();
        poll_fn(|context| self.wire.poll_flush(context)).await
    }

    /// Goes on in another protocol.
    pub(super) async fn switch(
        &self,
        mut response: Box<Response<Body>>,
        upgrade: Option<oneshot::Sender<Upgraded>>,
    ) -> After {
        // A body that is still to come would be taken for the other protocol.
        let sent = self.respond(&mut response, PLAIN, false).await;
        drop(response);
        if sent.is_ok()
            && self.wire.is_whole()
            && let Some(upgrade) = upgrade
        {
            let _ = upgrade.send(Upgraded::new(Rc::clone(&self.wire)));
        }
        After::Gone
    }

    /// Closes so that a client that is still sending gets the time to read the answer.
    pub(super) async fn close(&self, still_sending: bool) {
        if self.flush().await.is_err() {
            return;
        }
        let shut = poll_fn(|context| self.wire.poll_shutdown(context)).await;
        if shut.is_err() || !still_sending || self.wire.is_at_end() {
            return;
        }
        let mut linger = Linger::begin();
        poll_fn(|context| self.wire.poll_linger(&mut linger, context)).await;
    }
}

/// Whether an answer says that it is the last. One from the store does not.
fn closes(response: &Response<Body>) -> bool {
    if response.body().lead().is_some() {
        return false;
    }
    let lists = response.headers().get_all(http::header::CONNECTION);
    lists.iter().any(|list| list.as_bytes().eq_ignore_ascii_case(b"close"))
}
