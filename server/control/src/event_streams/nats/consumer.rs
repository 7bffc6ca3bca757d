//! The durable consumer by which a source reads its stream: the server keeps in it how far the source has come.

use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, FromConsumer, Info, PullConsumer, pull};
use async_nats::jetstream::context::{ConsumerInfoErrorKind, GetStreamError, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, RetentionPolicy, Stream};
use chrono::TimeDelta;
use sluice_contract::event_streams::meet;
use sluice_store::event_sources::Read;

use super::failed;
use crate::event_streams::feed::Ended;

/// After how long what was given out and not acknowledged is given out again.
const AGAIN: Duration = Duration::from_secs(30);
/// How much earlier than the source an event may be: clocks differ.
const BEFORE: TimeDelta = TimeDelta::minutes(1);

/// Makes the consumer where there is none: it begins with what came since the source was made. One that is there goes on
/// where it is, with the subject that the source has now.
pub(super) async fn join(context: &jetstream::Context, read: &Read) -> Result<PullConsumer, Ended> {
    let stream = &read.stream.stream;
    let stream = context.get_stream(stream).await.map_err(|error| not_had(stream, &error))?;
    let name = read.stream.group(read.receiver.id);
    let subject = read.stream.subject.clone().unwrap_or_default();
    let wanted = match stream.consumer_info(&name).await {
        Ok(there) if reads(&there, &subject) => return stream.get_consumer(&name).await.map_err(failed),
        Ok(there) => {
            let anew = pull::Config {
                filter_subject: subject,
                deliver_policy: after(&there, &stream),
                ack_policy: AckPolicy::Explicit,
                ..pull::Config::try_from_consumer_config(there.config).map_err(failed)?
            };
            check_subject(&stream, &anew.filter_subject)?;
            // Servers before 2.10 refuse to change one that began at a time.
            stream.delete_consumer(&name).await.map_err(failed)?;
            anew
        }
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => {
            check_subject(&stream, &subject)?;
            pull::Config {
                durable_name: Some(name),
                deliver_policy: since(read, &stream),
                ack_policy: AckPolicy::Explicit,
                ack_wait: AGAIN,
                filter_subject: subject,
                ..pull::Config::default()
            }
        }
        Err(error) => return Err(failed(error)),
    };
    stream.create_consumer(wanted).await.map_err(failed)
}

fn reads(consumer: &Info, subject: &str) -> bool {
    consumer.config.ack_policy == AckPolicy::Explicit && consumer.config.filter_subject == subject
}

/// Of what is given out to one consumer only, nothing was given out before.
fn since(read: &Read, stream: &Stream) -> DeliverPolicy {
    match stream.cached_info().config.retention {
        RetentionPolicy::WorkQueue => DeliverPolicy::All,
        _ => DeliverPolicy::ByStartTime { start_time: read.created_at - BEFORE },
    }
}

/// All that this one has not done: what it has done before it did all between is known when it comes again.
fn after(consumer: &Info, stream: &Stream) -> DeliverPolicy {
    match stream.cached_info().config.retention {
        RetentionPolicy::WorkQueue => DeliverPolicy::All,
        _ => DeliverPolicy::ByStartSequence { start_sequence: consumer.ack_floor.stream_sequence + 1 },
    }
}

/// A subject that no message of the stream can have is told: newer servers make a consumer of it, and nothing ever comes.
fn check_subject(stream: &Stream, subject: &str) -> Result<(), Ended> {
    let Config { name, subjects, mirror, sources, .. } = &stream.cached_info().config;
    let takes_others = mirror.is_some() || sources.is_some();
    if subject.is_empty() || takes_others || subjects.iter().any(|of_stream| meet(of_stream, subject)) {
        return Ok(());
    }
    let subjects = subjects.join(", ");
    Err(Ended::Source(format!("the stream `{name}` has no messages of `{subject}`, only of {subjects}")))
}

fn not_had(stream: &str, error: &GetStreamError) -> Ended {
    match error.kind() {
        GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
            Ended::Source(format!("there is no stream `{stream}`"))
        }
        GetStreamErrorKind::Request => Ended::Source(format!(
            "JetStream does not answer; is it switched on, and may this user ask for the stream? ({error})"
        )),
        _ => failed(error),
    }
}
