//! A stream of NATS JetStream, read by a durable consumer: the server keeps what was given out until it is acknowledged,
//! and gives it out again when that does not happen in time.

mod connect;
mod consumer;

use std::time::Duration;

use async_nats::Client;
use async_nats::connection::State;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::{self, AckKind, Message};
use sluice_store::event_sources::Read;
use tokio_stream::StreamExt;

use super::feed::{Backlog, Ended, Event, Feed};
use super::reader::Reader;

/// How long the server waits for an event before it answers that there is none; the lease is kept in between.
const BLOCK: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(6);
/// All of connecting: shorter than the lease.
const CONNECT: Duration = Duration::from_secs(12);

pub(super) struct Nats {
    client: Client,
    consumer: PullConsumer,
    /// What was given out and is not done.
    given: Option<Message>,
    /// Why the consumer is no longer there.
    lost: Option<String>,
}

impl Feed for Nats {
    async fn connect(reader: &Reader, read: &Read) -> Result<Self, Ended> {
        let connected = async {
            let client = connect::connect(reader, read).await?;
            let consumer = consumer::join(&jetstream::new(client.clone()), read).await?;
            Ok(Self { client, consumer, given: None, lost: None })
        };
        let late = |_| Err(Ended::Source("it took too long to connect".to_owned()));
        tokio::time::timeout(CONNECT, connected).await.unwrap_or_else(late)
    }

    /// One at a time: what waits here until its turn would be given out again meanwhile.
    async fn next(&mut self) -> Result<Vec<Event>, Ended> {
        if let Some(lost) = self.lost.take() {
            return Err(Ended::Source(lost));
        }
        if self.client.connection_state() != State::Connected {
            return Err(Ended::Source("the connection was lost".to_owned()));
        }
        let asked = self.consumer.batch().max_messages(1).expires(BLOCK).messages().await;
        let mut asked = asked.map_err(failed)?;
        let answer = tokio::time::timeout(ANSWER, asked.next()).await;
        let answer = answer.map_err(|_| Ended::Source("it does not answer".to_owned()))?;
        let Some(message) = answer.transpose().map_err(failed)? else { return Ok(Vec::new()) };
        let event = event(&message)?;
        self.given = Some(message);
        Ok(vec![event])
    }

    async fn done(&mut self, _: &Event) -> Result<(), Ended> {
        match self.given.take() {
            Some(message) => message.double_ack().await.map_err(failed),
            None => Ok(()),
        }
    }

    async fn hold(&mut self) -> Result<(), Ended> {
        match &self.given {
            Some(message) => message.ack_with(AckKind::Progress).await.map_err(failed),
            None => Ok(()),
        }
    }

    async fn backlog(&mut self) -> Backlog {
        match self.consumer.get_info().await {
            Ok(info) => Backlog {
                waiting: Some(info.num_pending),
                unacknowledged: u64::try_from(info.num_ack_pending).ok(),
            },
            Err(error) => {
                self.lost = Some(error.to_string());
                Backlog::default()
            }
        }
    }
}

/// Numbers begin anew when a stream is made again; with the time none is there twice.
fn event(message: &Message) -> Result<Event, Ended> {
    let info = message.info().map_err(failed)?;
    let id = format!("{}-{}", info.stream_sequence, info.published.timestamp_micros());
    Ok(Event { id, body: Ok(message.payload.to_vec()) })
}

/// In words; the client names no secrets.
fn failed(error: impl std::fmt::Display) -> Ended {
    Ended::Source(error.to_string())
}
