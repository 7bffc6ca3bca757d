//! A Redis stream, read as a consumer of a group: Redis keeps what was given out until it is acknowledged, so that
//! nothing is lost when a control plane, the network or Redis itself fails in between.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use chrono::Utc;
use redis::aio::MultiplexedConnection;
use redis::io::AsyncDNSResolver;
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, IntoConnectionInfo, RedisError, RedisFuture,
    RedisResult, TlsCertificates, Value, cmd,
};
use sluice_store::event_sources::Read;

use super::feed::{Backlog, Ended, Event, Feed, NoBody};
use super::reader::Reader;
use crate::outbound::OutboundGuard;

/// One for all control planes: who holds the lease goes on with what the one before was given.
const CONSUMER: &str = "sluice";
/// How long Redis waits for an event before it answers that there is none; the lease is kept in between.
const BLOCK: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(6);
const CONNECT: Duration = Duration::from_secs(5);
/// Few: each may be large, and there is no way to ask for less than whole ones.
const AT_ONCE: usize = 10;
/// How often it is looked for what other consumers of the group were given and have left.
const RECLAIM: Duration = Duration::from_secs(30);
/// After how long they have left it, in milliseconds.
const LEFT: u64 = 30_000;
/// How much earlier than the source an event may be, in milliseconds.
const BEFORE: i64 = 60_000;

/// An entry: its id, its fields and values; no fields where it is gone.
type Entry = (String, Option<Vec<Vec<u8>>>);

/// What is asked for next.
enum Phase {
    /// What this consumer was given before, after this id, and never acknowledged.
    Own { after: String },
    /// What other consumers have left, from this id.
    Left { from: String },
    /// New ones.
    New { since: Instant },
}

pub(super) struct Redis {
    connection: MultiplexedConnection,
    stream: String,
    group: String,
    field: String,
    phase: Phase,
}

impl Feed for Redis {
    async fn connect(reader: &Reader, read: &Read) -> Result<Self, Ended> {
        let it = Self {
            connection: connect(reader, read).await?,
            stream: read.stream.stream.clone(),
            group: read.stream.group(read.receiver.id),
            field: read.stream.field().to_owned(),
            phase: Phase::Own { after: "0".to_owned() },
        };
        it.join(Utc::now() - read.created_at).await?;
        Ok(it)
    }

    async fn next(&mut self) -> Result<Vec<Event>, Ended> {
        loop {
            let entries = match &self.phase {
                Phase::Own { after } => {
                    let entries = self.read_group(after.clone()).await?;
                    self.phase = match entries.last() {
                        Some((last, _)) => Phase::Own { after: last.clone() },
                        None => Phase::Left { from: "0-0".to_owned() },
                    };
                    entries
                }
                Phase::Left { from } => {
                    let (next, entries) = self.claim(from.clone()).await?;
                    self.phase = match &*next {
                        "0-0" => Phase::New { since: Instant::now() },
                        _ => Phase::Left { from: next },
                    };
                    entries
                }
                Phase::New { since } if since.elapsed() > RECLAIM => {
                    self.phase = Phase::Left { from: "0-0".to_owned() };
                    continue;
                }
                Phase::New { .. } => {
                    return Ok(self.events(self.read_group(">".to_owned()).await?));
                }
            };
            if !entries.is_empty() {
                return Ok(self.events(entries));
            }
        }
    }

    async fn done(&mut self, event: &Event) -> Result<(), Ended> {
        let mut ack = cmd("XACK");
        ack.arg(&self.stream).arg(&self.group).arg(&event.id);
        self.ask::<()>(&ack).await.map_err(|error| failed(&error))
    }

    /// They are this consumer's until it acknowledges them.
    async fn hold(&mut self) -> Result<(), Ended> {
        Ok(())
    }

    /// Whether Redis knows: `lag` there is since Redis 7, and the user may not be allowed to ask.
    async fn backlog(&mut self) -> Backlog {
        let mut ask = cmd("XINFO");
        ask.arg("GROUPS").arg(&self.stream);
        let groups: Vec<Value> = self.ask(&ask).await.unwrap_or_default();
        let named = |fields: &[(String, Value)]| {
            fields.iter().any(|(key, value)| key == "name" && text(value) == Some(self.group.clone()))
        };
        let Some(fields) = groups.into_iter().filter_map(pairs).find(|fields| named(fields)) else {
            return Backlog::default();
        };
        let number = |name: &str| {
            let (_, value) = fields.iter().find(|(key, _)| key == name)?;
            u64::from_redis_value_ref(value).ok()
        };
        Backlog { waiting: number("lag"), unacknowledged: number("pending") }
    }
}

impl Redis {
    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        command.query_async(&mut self.connection.clone()).await
    }

    /// Makes the group where there is none: it begins with what came since the source was made, this long ago by the
    /// clock of this machine, which the clock of Redis is asked for.
    async fn join(&self, ago: chrono::TimeDelta) -> Result<(), Ended> {
        let now = match self.ask::<(i64, i64)>(&cmd("TIME")).await {
            Ok((seconds, _)) => seconds.saturating_mul(1000),
            Err(error) if error.kind() == redis::ErrorKind::Io => return Err(failed(&error)),
            // It may not ask.
            Err(_) => Utc::now().timestamp_millis(),
        };
        let begin = now.saturating_sub(ago.num_milliseconds()).saturating_sub(BEFORE).max(0);
        let mut create = cmd("XGROUP");
        create.arg("CREATE").arg(&self.stream).arg(&self.group).arg(format!("{begin}-0")).arg("MKSTREAM");
        match self.ask::<()>(&create).await {
            Err(error) if error.code() != Some("BUSYGROUP") => Err(failed(&error)),
            _ => Ok(()),
        }
    }

    /// What this consumer was given after an id, or `>`, new ones.
    async fn read_group(&self, after: String) -> Result<Vec<Entry>, Ended> {
        let mut ask = cmd("XREADGROUP");
        ask.arg("GROUP").arg(&self.group).arg(CONSUMER).arg("COUNT").arg(AT_ONCE);
        if after == ">" {
            ask.arg("BLOCK").arg(u64::try_from(BLOCK.as_millis()).unwrap_or(u64::MAX));
        }
        ask.arg("STREAMS").arg(&self.stream).arg(after);
        let streams: Option<Vec<(String, Vec<Entry>)>> =
            self.ask(&ask).await.map_err(|error| failed(&error))?;
        Ok(streams.into_iter().flatten().flat_map(|(_, entries)| entries).collect())
    }

    /// Takes over what consumers that are no more were given, and where to go on with that.
    async fn claim(&self, from: String) -> Result<(String, Vec<Entry>), Ended> {
        let mut claim = cmd("XAUTOCLAIM");
        claim.arg(&self.stream).arg(&self.group).arg(CONSUMER).arg(LEFT).arg(from).arg("COUNT").arg(AT_ONCE);
        let answer: Vec<Value> = match self.ask(&claim).await {
            Ok(answer) => answer,
            // Redis before 6.2 has no such command.
            Err(error) if is_unknown_command(&error) => return Ok(("0-0".to_owned(), Vec::new())),
            Err(error) => return Err(failed(&error)),
        };
        let mut answer = answer.into_iter();
        let next = answer.next().and_then(|next| text(&next)).unwrap_or_else(|| "0-0".to_owned());
        // Before Redis 7, entries that are gone are nothing in between.
        let entries = answer.next().map(Vec::<Option<Entry>>::from_redis_value).transpose();
        let entries = entries.map_err(|error| Ended::Source(error.to_string()))?.unwrap_or_default();
        Ok((next, entries.into_iter().flatten().collect()))
    }

    fn events(&self, entries: Vec<Entry>) -> Vec<Event> {
        let body = |fields: Option<Vec<Vec<u8>>>| match fields {
            None => Err(NoBody::Gone),
            Some(fields) => value_of(fields, &self.field).ok_or_else(|| NoBody::NoField(self.field.clone())),
        };
        entries.into_iter().map(|(id, fields)| Event { id, body: body(fields) }).collect()
    }
}

fn value_of(fields: Vec<Vec<u8>>, name: &str) -> Option<Vec<u8>> {
    let mut fields = fields.into_iter();
    while let (Some(field), Some(value)) = (fields.next(), fields.next()) {
        if field == name.as_bytes() {
            return Some(value);
        }
    }
    None
}

fn text(value: &Value) -> Option<String> {
    String::from_redis_value_ref(value).ok()
}

/// Names and values that follow each other.
fn pairs(value: Value) -> Option<Vec<(String, Value)>> {
    Vec::<(String, Value)>::from_redis_value(value).ok()
}

fn is_unknown_command(error: &RedisError) -> bool {
    error.to_string().to_ascii_lowercase().contains("unknown command")
}

async fn connect(reader: &Reader, read: &Read) -> Result<MultiplexedConnection, Ended> {
    let guard = OutboundGuard::of_environment(&reader.app, read.receiver.environment).await;
    let guard = guard.map_err(|error| Ended::Source(error.to_string()))?;
    let place = read.stream.url.as_str().into_connection_info().map_err(|error| failed(&error))?;
    let mut settings = place.redis_settings().clone();
    if let Some(user) = &read.stream.user {
        settings = settings.set_username(user);
    }
    if let Some(password) = reader.password(read)? {
        settings = settings.set_password(password);
    }
    let place = place.set_redis_settings(settings);
    // Whoever was first has chosen the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = match &read.stream.ca {
        Some(ca) => {
            let root_cert = Some(ca.clone().into_bytes());
            Client::build_with_tls(place, TlsCertificates { client_tls: None, root_cert })
        }
        None => Client::open(place),
    };
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(ANSWER))
        .set_dns_resolver(GuardedNames(guard));
    let client = client.map_err(|error| failed(&error))?;
    client.get_multiplexed_async_connection_with_config(&config).await.map_err(|error| failed(&error))
}

/// Names and addresses lead to what the guard lets through; a name that leads anywhere else is refused as a whole.
struct GuardedNames(OutboundGuard);

impl AsyncDNSResolver for GuardedNames {
    fn resolve<'a, 'b: 'a>(
        &'a self,
        host: &'b str,
        port: u16,
    ) -> RedisFuture<'a, Box<dyn Iterator<Item = SocketAddr> + Send + 'a>> {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
            for socket in &found {
                self.0.check(socket.ip()).map_err(std::io::Error::other)?;
            }
            Ok(Box::new(found.into_iter()) as Box<dyn Iterator<Item = SocketAddr> + Send>)
        })
    }
}

/// In words; Redis names no secrets.
fn failed(error: &RedisError) -> Ended {
    Ended::Source(error.to_string())
}
