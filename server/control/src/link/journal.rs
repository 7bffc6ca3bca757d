//! `GET /gateway/v1/journal?from=<position>&incarnation=<id>`: the journal as it grows, one line for each entry, and questions
//! to gateways that know them.
//!
//! A stream reads as fast as its gateway does: what is recent comes from the follower's memory, what is older from the
//! database in pages, and nothing is queued for a gateway that has stopped reading.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use bytes::Bytes;
use serde::Deserialize;
use sluice_contract::ids::IncarnationId;
use sluice_contract::journal::{Frame, Position};
use sluice_store::journal::{self, Counter, StoredEntry};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use super::LinkedGateway;
use super::follower::{Tail, World};
use super::questions::{Listening, Questions};
use crate::extract::Query;
use crate::problem::ApiError;
use crate::state::App;

/// Longest silence on a stream.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Entries for each query.
const PAGE: u64 = 512;
/// A gateway that is further behind is quicker with a snapshot.
const FAR_BEHIND: u64 = 50_000;
/// Chunks that may wait for the connection: backpressure begins after them.
const CHUNKS: usize = 4;

/// Where a gateway is.
#[derive(Debug, Deserialize)]
pub(super) struct From {
    /// The position that it has; entries after it are sent.
    from: Position,
    /// Whose positions these are; none when it has none.
    incarnation: Option<IncarnationId>,
    /// Whether the gateway knows what to do with questions.
    #[serde(default)]
    questions: bool,
}

/// The journal of the gateway's environment from a position on, as it grows.
pub(super) async fn get_journal(
    State(app): State<App>,
    gateway: LinkedGateway,
    Query(from): Query<From>,
) -> Result<impl IntoResponse, ApiError> {
    app.link.run(&app);
    let mut incarnation = journal::incarnation(app.store.read()).await?;
    let counter = journal::counter(app.store.read(), gateway.environment).await?;
    if from.incarnation == Some(incarnation) && from.from > counter.head {
        // It has seen what this database has never had.
        incarnation = begin_new_incarnation(&app, incarnation).await?;
    }
    let (sender, receiver) = mpsc::channel(CHUNKS);
    let hello = line(&Frame::Hello { incarnation, head: counter.head })?;
    match snapshot_reason(&from, incarnation, counter) {
        Some(reason) => {
            let frame = line(&Frame::SnapshotRequired { reason: reason.to_owned() })?;
            // Fits: the channel is new.
            let _ = sender.try_send(Ok([hello, frame].concat().into()));
        }
        None => {
            let _ = sender.try_send(Ok(hello));
            let stream = JournalStream {
                tail: app.link.follower.tail(gateway.environment),
                world: app.link.follower.world(),
                questions: from.questions.then(|| Questions::listen(&app.link.questions, gateway)),
                position: from.from,
                incarnation,
                gateway,
                app,
                sender,
            };
            tokio::spawn(stream.run());
        }
    }
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(ReceiverStream::new(receiver))))
}

/// Why the gateway cannot go on from where it is, if it cannot.
fn snapshot_reason(at: &From, incarnation: IncarnationId, counter: Counter) -> Option<&'static str> {
    let is_new = at.incarnation.is_none() && at.from == 0;
    if !is_new && at.incarnation != Some(incarnation) {
        return Some("the position is of another life of the database");
    }
    if at.from < counter.compacted_to {
        return Some("the entries after the position are compacted away");
    }
    (counter.head - at.from > FAR_BEHIND).then_some("the position is far behind")
}

async fn begin_new_incarnation(app: &App, was: IncarnationId) -> Result<IncarnationId, ApiError> {
    let tx = app.store.begin().await?;
    let now = journal::new_incarnation(&tx, was).await?;
    app.commit(tx).await?;
    tracing::warn!(%was, %now, "a gateway is ahead of the database, which must come from a backup: new incarnation");
    Ok(now)
}

/// One gateway's stream.
struct JournalStream {
    app: App,
    gateway: LinkedGateway,
    tail: Arc<Tail>,
    world: watch::Receiver<World>,
    /// None: the gateway does not know them.
    questions: Option<Listening>,
    incarnation: IncarnationId,
    /// Sent up to here.
    position: Position,
    sender: mpsc::Sender<Result<Bytes, Infallible>>,
}

impl JournalStream {
    /// Sends until the gateway goes, is removed, needs a new session or a snapshot, or the control plane stops.
    async fn run(mut self) {
        let mut head = self.tail.head();
        while self.may_go_on() {
            let known = *head.borrow_and_update();
            let more =
                if self.position < known { self.next().await } else { self.wait(&mut head, known).await };
            let Some(bytes) = more else { return };
            if !bytes.is_empty() && self.sender.send(Ok(bytes)).await.is_err() {
                return;
            }
        }
    }

    fn may_go_on(&self) -> bool {
        let world = self.world.borrow();
        let same_life = world.incarnation.is_none_or(|now| now == self.incarnation);
        same_life
            && !world.removed.contains(&self.gateway.id)
            && self.gateway.until > chrono::Utc::now()
            && !self.app.stopping.is_cancelled()
    }

    /// Waits for an entry, at most as long as a stream may be silent.
    async fn wait(&mut self, head: &mut watch::Receiver<Position>, known: Position) -> Option<Bytes> {
        tokio::select! {
            changed = head.changed() => changed.ok().map(|()| Bytes::new()),
            changed = self.world.changed() => changed.ok().map(|()| Bytes::new()),
            question = asked(&mut self.questions) => Some(question),
            () = self.app.stopping.cancelled() => None,
            () = self.sender.closed() => None,
            () = tokio::time::sleep(HEARTBEAT) => line(&Frame::Heartbeat { head: known.max(self.position) }).ok(),
        }
    }

    /// The next entries, as lines.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some((last, lines)) = self.tail.after(self.position) {
            self.position = last;
            return Some(lines);
        }
        let entries =
            journal::entries_after(self.app.store.read(), self.gateway.environment, self.position, PAGE);
        let entries =
            entries.await.inspect_err(|error| tracing::warn!(%error, "a journal stream ends")).ok()?;
        let consecutive = entries.first().is_some_and(|first| first.position == self.position + 1);
        if !consecutive {
            // Compacted away meanwhile. The gateway comes back and is told.
            return None;
        }
        self.position = entries.last()?.position;
        let lines: Vec<_> = entries.iter().map(entry_line).collect();
        Some(lines.concat().into())
    }
}

/// The next question, as a line; never, where the gateway does not know them.
async fn asked(questions: &mut Option<Listening>) -> Bytes {
    match questions {
        Some(listening) => listening.next().await,
        None => std::future::pending().await,
    }
}

pub(super) fn line(frame: &Frame) -> Result<Bytes, ApiError> {
    let mut line = serde_json::to_vec(frame).map_err(ApiError::internal)?;
    line.push(b'\n');
    Ok(line.into())
}

/// An entry as a line. Its change is sent as it is stored, even when a newer control plane wrote it.
pub(super) fn entry_line(entry: &StoredEntry) -> Bytes {
    let json = entry.json();
    // The frame's fields are the entry's and its own name.
    format!("{{\"frame\":\"entry\",{}\n", json.trim_start_matches('{')).into()
}

#[cfg(test)]
mod tests {
    use sluice_contract::ids::ApiId;
    use sluice_contract::journal::Change;

    use super::*;

    #[test]
    fn a_line_reads_back_as_the_entry() {
        let change = Change::ApiWithdrawn { api: ApiId::generate() };
        let stored = StoredEntry {
            position: 7,
            at: sluice_store::now(),
            change: serde_json::to_string(&change).unwrap(),
        };
        let line = entry_line(&stored);
        assert!(line.ends_with(b"\n"));
        let Frame::Entry(entry) = serde_json::from_slice(&line).unwrap() else { panic!("not an entry") };
        assert_eq!(entry, stored.entry().unwrap());
    }
}
