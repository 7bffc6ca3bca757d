//! Reads one source: takes its lease, connects, carries out what comes, and begins anew when something fails.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use sluice_contract::ids::EventSourceId;
use sluice_contract::rest::event_sources::StreamKind;
use sluice_store::audit::Actor;
use sluice_store::event_sources::{self, Read, State, Taken};
use uuid::Uuid;

use super::about;
use super::feed::{Backlog, Ended, Event, Feed};
use super::nats::Nats;
use super::redis::Redis;
use crate::seal::Sealed;
use crate::state::App;

/// How often the lease is kept, of 15 seconds.
const KEEP: Duration = Duration::from_secs(3);
/// After how long a server that failed is tried again: twice as long each time, up to the last.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How soon an event is tried again that is one too many in its minute.
const AFTER_TOO_MANY: Duration = Duration::from_secs(1);

/// Reads one source until it is no longer this one's to read.
pub(super) async fn read(app: App, id: EventSourceId) {
    let mut reader = Reader { app, id, me: Uuid::now_v7(), state: State::default() };
    let stopping = reader.app.stopping.clone();
    let ended = tokio::select! {
        () = stopping.cancelled() => Ok(()),
        ended = reader.run() => ended,
    };
    if let Err(error) = ended {
        tracing::warn!(%error, source = %id, "a stream of events is not read for a moment");
    }
    if let Err(error) = reader.stop().await {
        tracing::warn!(%error, source = %id, "a stream of events could not be given back; its lease ends by itself");
    }
}

pub(super) struct Reader {
    pub(super) app: App,
    id: EventSourceId,
    /// Who holds the lease.
    me: Uuid,
    state: State,
}

impl Reader {
    async fn run(&mut self) -> Result<(), sluice_store::Error> {
        let tx = self.app.store.begin().await?;
        let begun = event_sources::begin_to_read(&tx, self.id, self.me).await?;
        tx.commit().await?;
        let Some(read) = begun else { return Ok(()) };
        self.state = read.state.clone();
        let mut pause = RETRY.0;
        loop {
            let followed = match read.stream.kind {
                StreamKind::Redis => self.follow::<Redis>(&read).await,
                StreamKind::Nats => self.follow::<Nats>(&read).await,
            };
            let error = match followed {
                Ok(never) => match never {},
                Err(Ended::NotOurs) => return Ok(()),
                Err(Ended::Store(error)) => return Err(error),
                Err(Ended::Source(error)) => error,
            };
            // It was connected: what is wrong is something new.
            if self.state.since.take().is_some() {
                pause = RETRY.0;
            }
            tracing::warn!(error, source = %self.id, "a stream of events cannot be read");
            self.state.error = Some(error);
            if !self.wait(&read, pause).await? {
                return Ok(());
            }
            pause = RETRY.1.min(pause * 2);
        }
    }

    /// Waits with the lease; false when it is no longer this one's.
    async fn wait(&self, read: &Read, pause: Duration) -> Result<bool, sluice_store::Error> {
        let until = Instant::now() + pause;
        while self.go_on(read).await? {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(true);
            }
            tokio::time::sleep(left.min(KEEP)).await;
        }
        Ok(false)
    }

    async fn follow<F: Feed>(&mut self, read: &Read) -> Result<Infallible, Ended> {
        let mut feed = F::connect(self, read).await?;
        self.state = State { since: Some(sluice_store::now()), error: None, ..self.state.clone() };
        let mut kept = None;
        loop {
            self.keep(read, &mut feed, &mut kept).await?;
            let events = feed.next().await?;
            for event in &events {
                while !self.take(read, event).await? {
                    tokio::time::sleep(AFTER_TOO_MANY).await;
                    feed.hold().await?;
                    self.keep(read, &mut feed, &mut kept).await?;
                }
                feed.done(event).await?;
                self.keep(read, &mut feed, &mut kept).await?;
            }
        }
    }

    /// Keeps the lease and says how it goes, when it is time to.
    async fn keep<F: Feed>(
        &mut self,
        read: &Read,
        feed: &mut F,
        kept: &mut Option<Instant>,
    ) -> Result<(), Ended> {
        if kept.is_some_and(|kept| kept.elapsed() < KEEP) {
            return Ok(());
        }
        let Backlog { waiting, unacknowledged } = feed.backlog().await;
        self.state = State { waiting, unacknowledged, ..self.state.clone() };
        *kept = Some(Instant::now());
        if self.go_on(read).await? { Ok(()) } else { Err(Ended::NotOurs) }
    }

    async fn go_on(&self, read: &Read) -> Result<bool, sluice_store::Error> {
        let tx = self.app.store.begin().await?;
        let ours = event_sources::go_on_reading(&tx, read, self.me, &self.state).await?;
        tx.commit().await?;
        Ok(ours)
    }

    async fn stop(&self) -> Result<(), sluice_store::Error> {
        let tx = self.app.store.begin().await?;
        event_sources::stop_reading(&tx, self.id, self.me).await?;
        tx.commit().await
    }

    pub(super) fn password(&self, read: &Read) -> Result<Option<String>, Ended> {
        let Some(sealed) = &read.password else { return Ok(None) };
        let opened = self.app.sealer.open(&about(self.id), &Sealed(sealed.clone()));
        let bytes = opened.map_err(|error| Ended::Source(error.to_string()))?;
        String::from_utf8(bytes).map(Some).map_err(|error| Ended::Source(error.to_string()))
    }

    /// Takes an event: when this returns true, it is carried out, or written down why it cannot be, and the stream may
    /// forget it; false when it is one too many in its minute. One that comes again is carried out once.
    async fn take(&self, read: &Read, event: &Event) -> Result<bool, Ended> {
        let source = &read.receiver;
        let actor = Actor { name: format!("stream:{}", source.name), address: None, request_id: None };
        let tx = self.app.store.begin().await?;
        // Not by rules that were just changed, nor beside another who has the lease by now.
        if !event_sources::go_on_reading(&tx, read, self.me, &self.state).await? {
            return Err(Ended::NotOurs);
        }
        let taken = match event.fitting() {
            Ok(body) => event_sources::take(&tx, &actor, source, &event.id, body).await,
            Err(wrong) => event_sources::unfit(&tx, source, &event.id, vec![wrong]).await,
        };
        match taken {
            Ok(Taken::TooMany) => Ok(false),
            Ok(_) => {
                tx.commit().await?;
                Ok(true)
            }
            Err(sluice_store::Error::NotFound) => Err(Ended::NotOurs),
            Err(error) => Err(error.into()),
        }
    }
}
