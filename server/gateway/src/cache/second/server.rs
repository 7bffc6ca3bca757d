//! The connection to Redis, one server or a cluster, and the few commands that are sent.

use std::time::Duration;

use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::cluster::{ClusterClient, ClusterConfig};
use redis::cluster_async::ClusterConnection;
use redis::{Client, Cmd, FromRedisValue, Pipeline, RedisError, RedisResult, TlsCertificates};
use sluice_contract::link::SecondLevelServer;

use super::settings::SecondLevelSettings;

/// How long anything may take before the connection counts as lost. Calls wait for much less.
const PATIENCE: Duration = Duration::from_secs(1);
/// Copies of one URL, by callers and by `Vary`; past it all of them go.
const MAX_COPIES: u64 = 256;

/// A connection that comes back by itself. Clones share it.
#[derive(Clone)]
pub(super) enum Server {
    One(ConnectionManager),
    Cluster(ClusterConnection),
}

impl Server {
    /// Connects when it is first used. Needs a runtime.
    pub(super) fn new(settings: &SecondLevelSettings) -> RedisResult<Self> {
        let SecondLevelSettings { urls, ca, .. } = settings;
        let certificates = || TlsCertificates { client_tls: None, root_cert: ca.clone() };
        if let [url] = &urls[..] {
            let client = match ca {
                Some(_) => Client::build_with_tls(url.as_str(), certificates())?,
                None => Client::open(url.as_str())?,
            };
            let config = ConnectionManagerConfig::new()
                .set_connection_timeout(Some(PATIENCE))
                .set_response_timeout(Some(PATIENCE))
                .set_max_delay(PATIENCE);
            return Ok(Self::One(ConnectionManager::new_lazy_with_config(client, config)?));
        }
        let mut builder = ClusterClient::builder(urls.clone())
            .connection_timeout(PATIENCE)
            .response_timeout(PATIENCE)
            .retries(1);
        if ca.is_some() {
            builder = builder.certs(certificates());
        }
        Ok(Self::Cluster(builder.build()?.get_pending_async_connection_with_config(ClusterConfig::new())))
    }

    /// The values of fields of a location.
    pub(super) async fn read(
        &mut self,
        location: &[u8],
        fields: &[&[u8]],
    ) -> RedisResult<Vec<Option<Vec<u8>>>> {
        self.ask(redis::cmd("HMGET").arg(location).arg(fields)).await
    }

    /// Sets fields of a location, which is forgotten after so many seconds.
    pub(super) async fn write(
        &mut self,
        location: &[u8],
        fields: &[(&[u8], &[u8])],
        seconds: u64,
    ) -> RedisResult<()> {
        let mut commands = redis::pipe();
        commands.cmd("HSET").arg(location);
        for (field, value) in fields {
            commands.arg(*field).arg(*value);
        }
        commands.ignore().cmd("EXPIRE").arg(location).arg(seconds).ignore().cmd("HLEN").arg(location);
        let (copies,): (u64,) = self.ask_all(&commands).await?;
        if copies > MAX_COPIES {
            self.forget(location).await?;
        }
        Ok(())
    }

    pub(super) async fn forget(&mut self, location: &[u8]) -> RedisResult<()> {
        self.ask(redis::cmd("UNLINK").arg(location)).await
    }

    pub(super) async fn ping(&mut self) -> RedisResult<()> {
        self.ask(&redis::cmd("PING")).await
    }

    /// What the server says of itself; None of a cluster, whose nodes each say something else.
    pub(super) async fn info(&mut self) -> RedisResult<Option<SecondLevelServer>> {
        if matches!(self, Self::Cluster(_)) {
            return Ok(None);
        }
        let text: String = self.ask(&redis::cmd("INFO")).await?;
        Ok(Some(read_info(&text)))
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

/// Whether the server has answered, although not with what was asked for: full, say, or read-only.
pub(super) fn is_answer(error: &RedisError) -> bool {
    use redis::ErrorKind::{Extension, Parse, Server, UnexpectedReturnType};
    matches!(error.kind(), Server(_) | Extension | UnexpectedReturnType | Parse)
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_what_redis_says_of_itself() {
        let said = "# Memory\r\nused_memory:1048576\r\nused_memory_rss:9\r\nmaxmemory:2097152\r\nmaxmemory_policy:x\r\n\
            evicted_keys:3\r\ninstantaneous_ops_per_sec:12\r\nused_cpu_sys:1.5\r\nused_cpu_user:2.25\r\n\
            instantaneous_input_kbps:1.60\r\ninstantaneous_output_kbps:2.70\r\nconnected_clients:4\r\n";
        let expected = SecondLevelServer {
            memory_bytes: 1 << 20,
            max_memory_bytes: 2 << 20,
            evicted: 3,
            operations_per_s: 12,
            cpu_ms: 3_750,
            network_kbps: 4,
            connections: 4,
        };
        assert_eq!(read_info(said), expected);
    }
}
