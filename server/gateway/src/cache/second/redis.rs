//! Redis as second level, one server or a cluster: one hash for each URL, with all of its variants and callers in it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::cluster::{ClusterClient, ClusterConfig};
use redis::cluster_async::ClusterConnection;
use redis::{Client, Cmd, FromRedisValue, Pipeline, RedisError, RedisResult, TlsCertificates};
use sluice_contract::link::SecondLevelServer;

use super::Location;
use super::era::Era;
use super::server::{Failure, Found, Wrote};
use super::settings::SecondLevelSettings;

/// How long anything may take before the connection counts as lost. Calls wait for much less.
const PATIENCE: Duration = Duration::from_secs(1);
/// Copies of one URL, by callers and by `Vary`; past it all of them go.
const MAX_COPIES: u64 = 256;
/// Seconds for which it is remembered that a URL has changed: longer than any response is on its way here.
const REMEMBERED: u64 = 600;

/// Connections to one server for what calls wait for: a large value that is on its way holds up a part of them at most.
const QUESTIONS: usize = 4;

/// Connections that come back by themselves, those for questions apart from the one for orders: nobody waits for what is
/// written. Clones share them.
#[derive(Clone)]
pub(super) struct Redis {
    questions: Arc<[Connection]>,
    /// Whose turn it is.
    turn: Arc<AtomicUsize>,
    orders: Connection,
}

#[derive(Clone)]
enum Connection {
    One(ConnectionManager),
    /// Has one to each node.
    Cluster(ClusterConnection),
}

impl Redis {
    /// Connects when it is first used. Needs a runtime.
    pub(super) fn new(settings: &SecondLevelSettings) -> RedisResult<Self> {
        let (connect, count): (Box<dyn Fn() -> RedisResult<Connection>>, usize) = match &settings.urls[..] {
            [url] => {
                let client = client(url, settings)?;
                (Box::new(move || Connection::to_one(client.clone())), QUESTIONS)
            }
            _ => {
                let client = cluster(settings)?;
                (Box::new(move || Ok(Connection::to_cluster(&client))), 1)
            }
        };
        let questions: RedisResult<Vec<Connection>> = (0..count).map(|_| connect()).collect();
        Ok(Self { questions: questions?.into(), turn: Arc::default(), orders: connect()? })
    }

    /// A connection on which a call's question is put.
    fn question(&self) -> Connection {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.questions.len();
        self.questions[turn].clone()
    }

    pub(super) async fn read(&mut self, location: &Location, fields: &[&[u8]]) -> Result<Found, Failure> {
        let mut commands = redis::pipe();
        commands.cmd("GET").arg(changed(location)).cmd("HMGET").arg(&location.0[..]).arg(fields);
        let (era, values): (Option<Vec<u8>>, Vec<Option<Vec<u8>>>) =
            self.question().ask_all(&commands).await?;
        match era.map(|bytes| Era::decode(&bytes)) {
            // Something has changed, and nobody knows when.
            Some(None) => Ok(Found { era: None, values: vec![None; values.len()] }),
            era => Ok(Found { era: era.flatten(), values }),
        }
    }

    pub(super) async fn write(
        &mut self,
        location: &Location,
        fields: &[(&[u8], &[u8])],
        seconds: u64,
    ) -> Result<Wrote, Failure> {
        let place = &location.0[..];
        let mut commands = redis::pipe();
        commands.cmd("HSET").arg(place);
        for (field, value) in fields {
            commands.arg(*field).arg(*value);
        }
        commands.ignore().cmd("EXPIRE").arg(place).arg(seconds).ignore().cmd("HLEN").arg(place);
        let (copies,): (u64,) = self.orders.ask_all(&commands).await?;
        if copies > MAX_COPIES {
            self.forget(location).await?;
        }
        Ok(Wrote::Done)
    }

    pub(super) async fn forget(&mut self, location: &Location) -> Result<(), Failure> {
        Ok(self.orders.ask(redis::cmd("UNLINK").arg(&location.0[..])).await?)
    }

    /// The era stands beside the hash: one that expired with it would be gone before what is on its way arrives.
    pub(super) async fn begin(&mut self, location: &Location, era: &Era) -> Result<(), Failure> {
        let mut commands = redis::pipe();
        let of = changed(location);
        commands.atomic().cmd("SET").arg(of).arg(&era.encode()[..]).arg("EX").arg(REMEMBERED).ignore();
        commands.cmd("UNLINK").arg(&location.0[..]).ignore();
        Ok(self.orders.ask_all::<()>(&commands).await?)
    }

    /// Whether it answers on each connection.
    pub(super) async fn ping(&mut self) -> Result<(), Failure> {
        for connection in self.questions.iter() {
            connection.clone().ask::<()>(&redis::cmd("PING")).await?;
        }
        Ok(())
    }

    /// What the server says of itself; of a cluster, what all of its primaries say together.
    pub(super) async fn info(&mut self) -> Result<Option<SecondLevelServer>, Failure> {
        let info = redis::cmd("INFO");
        let said: Vec<String> = match &self.orders {
            Connection::One(_) => vec![self.orders.ask(&info).await?],
            Connection::Cluster(_) => {
                let by_address: HashMap<String, String> = self.orders.ask(&info).await?;
                by_address.into_values().collect()
            }
        };
        Ok(said.iter().map(|text| read_info(text)).reduce(SecondLevelServer::plus))
    }
}

impl Connection {
    fn to_one(client: Client) -> RedisResult<Self> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_max_delay(PATIENCE);
        Ok(Self::One(ConnectionManager::new_lazy_with_config(client, config)?))
    }

    fn to_cluster(client: &ClusterClient) -> Self {
        Self::Cluster(client.get_pending_async_connection_with_config(ClusterConfig::new()))
    }

    async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::One(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }

    async fn ask_all<T: FromRedisValue>(&mut self, commands: &Pipeline) -> RedisResult<T> {
        async fn query<T: FromRedisValue>(
            on: &mut impl ConnectionLike,
            commands: &Pipeline,
        ) -> RedisResult<T> {
            commands.query_async(on).await
        }
        match self {
            Self::One(connection) => query(connection, commands).await,
            Self::Cluster(connection) => query(connection, commands).await,
        }
    }
}

fn client(url: &str, settings: &SecondLevelSettings) -> RedisResult<Client> {
    match &settings.ca {
        Some(_) => Client::build_with_tls(url, certificates(settings)),
        None => Client::open(url),
    }
}

fn cluster(settings: &SecondLevelSettings) -> RedisResult<ClusterClient> {
    let mut builder = ClusterClient::builder(settings.urls.clone())
        .connection_timeout(PATIENCE)
        .response_timeout(PATIENCE)
        .retries(1);
    if settings.ca.is_some() {
        builder = builder.certs(certificates(settings));
    }
    builder.build()
}

fn certificates(settings: &SecondLevelSettings) -> TlsCertificates {
    TlsCertificates { client_tls: None, root_cert: settings.ca.clone() }
}

/// Where the era of a location stands: in the same slot of a cluster.
fn changed(location: &Location) -> Vec<u8> {
    [b"changed:{", &location.0[..], b"}"].concat()
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        use redis::ErrorKind::{Extension, Parse, Server, UnexpectedReturnType};
        match error.kind() {
            Server(_) | Extension | UnexpectedReturnType | Parse => Self::Refused(error.to_string()),
            _ => Self::Lost(error.to_string()),
        }
    }
}

fn read_info(text: &str) -> SecondLevelServer {
    let number = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.and_then(|value| value.trim().parse::<f64>().ok()).unwrap_or_default()
    };
    SecondLevelServer {
        memory_bytes: number("used_memory") as u64,
        max_memory_bytes: number("maxmemory") as u64,
        evicted: number("evicted_keys") as u64,
        operations_per_s: number("instantaneous_ops_per_sec") as u64,
        cpu_ms: ((number("used_cpu_user") + number("used_cpu_sys")) * 1_000.0) as u64,
        network_kbps: (number("instantaneous_input_kbps") + number("instantaneous_output_kbps")) as u64,
        connections: number("connected_clients") as u64,
        hits: number("keyspace_hits") as u64,
        misses: number("keyspace_misses") as u64,
    }
}

#[cfg(test)]
mod tests {
    use redis::{ErrorKind, ServerErrorKind};

    use super::*;

    #[test]
    fn a_server_that_refuses_is_there_and_one_that_does_not_answer_is_lost() {
        let is_there =
            |kind: ErrorKind| matches!(RedisError::from((kind, "said")).into(), Failure::Refused(_));
        let full = ErrorKind::Server(ServerErrorKind::ResponseError);
        for kind in [full, ErrorKind::Extension, ErrorKind::UnexpectedReturnType, ErrorKind::Parse] {
            assert!(is_there(kind), "{kind:?}");
        }
        for kind in [ErrorKind::Io, ErrorKind::AuthenticationFailed, ErrorKind::ClusterConnectionNotFound] {
            assert!(!is_there(kind), "{kind:?}");
        }
    }

    #[test]
    fn figures_are_read_from_what_redis_says_of_itself() {
        let said = "# Memory\r\nused_memory:1048576\r\nused_memory_rss:9\r\nmaxmemory:2097152\r\nmaxmemory_policy:x\r\n\
            evicted_keys:3\r\ninstantaneous_ops_per_sec:12\r\nused_cpu_sys:1.5\r\nused_cpu_user:2.25\r\n\
            instantaneous_input_kbps:1.60\r\ninstantaneous_output_kbps:2.70\r\nconnected_clients:4\r\n\
            keyspace_hits:8\r\nkeyspace_misses:2\r\n";
        let expected = SecondLevelServer {
            memory_bytes: 1 << 20,
            max_memory_bytes: 2 << 20,
            evicted: 3,
            operations_per_s: 12,
            cpu_ms: 3_750,
            network_kbps: 4,
            connections: 4,
            hits: 8,
            misses: 2,
        };
        assert_eq!(read_info(said), expected);
    }
}
