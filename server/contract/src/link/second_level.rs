//! How the second level of a gateway's cache is, as its heartbeats tell.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How the second level of a gateway's cache is; counts are since start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SecondLevelHealth {
    #[serde(default)]
    pub kind: SecondLevelKind,
    pub state: SecondLevelState,
    /// Questions that were answered with a response, and without.
    pub hits: u64,
    pub misses: u64,
    /// Questions that were not answered within the time that a call waits.
    pub late: u64,
    /// Questions that were refused or broke off.
    pub errors: u64,
    /// Values that had been changed, cut off, or were another's.
    pub damaged: u64,
    /// Values that are older than a purge that covers them, or than what the gateway knows of purges.
    pub outdated: u64,
    /// Responses that were written; not written because too many waited; refused by the server.
    pub written: u64,
    pub dropped: u64,
    pub refused: u64,
    /// Not written because they are larger than what the server takes.
    #[serde(default)]
    pub too_large: u64,
    /// Bytes of the bodies that came from there.
    #[serde(default)]
    pub hit_bytes: u64,
    /// Bytes of responses that wait to be written, and how many may.
    #[serde(default)]
    pub queued_bytes: u64,
    #[serde(default)]
    pub queue_max_bytes: u64,
    /// Microseconds that an answer takes, the newest weighing most.
    pub latency_us: u64,
    /// Microseconds that all answers took together; gateways of before did not say.
    #[serde(default)]
    pub answer_us: u64,
    /// Milliseconds in which it was not asked since it had not answered in time; of several servers the mean.
    #[serde(default)]
    pub tripped_ms: u64,
    /// What the server says of itself; several Memcached together.
    pub server: Option<SecondLevelServer>,
    /// What a disk says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<SecondLevelDisk>,
    /// Of Memcached, each server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<SecondLevelNode>,
}

/// What a second level is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecondLevelKind {
    #[default]
    Redis,
    Memcached,
    /// A folder on the gateway's own disk.
    Disk,
}

/// One of the servers that share what is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecondLevelNode {
    /// Host and port.
    pub name: String,
    pub state: SecondLevelState,
}

/// Whether the second level is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecondLevelState {
    /// Nothing was heard of it lately.
    Unknown,
    Up,
    /// It did not answer in time: calls go on without it until it does.
    Tripped,
}

/// What is known of a folder that is the second level; counts are since start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecondLevelDisk {
    /// Bytes that it takes of the disk, of what is overwritten next too.
    pub held_bytes: u64,
    pub max_bytes: u64,
    /// Bytes of the blocks that were given up because there was no room for newer ones.
    pub evicted_bytes: u64,
    pub read_bytes: u64,
    pub written_bytes: u64,
}

/// What Redis (`INFO`) or Memcached (`stats`) says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecondLevelServer {
    pub memory_bytes: u64,
    /// Zero: as much as there is.
    pub max_memory_bytes: u64,
    /// Values that it dropped for want of memory, since its start.
    pub evicted: u64,
    pub operations_per_s: u64,
    /// User and system time since its start, in milliseconds.
    pub cpu_ms: u64,
    /// Kilobytes in and out each second.
    pub network_kbps: u64,
    pub connections: u64,
    /// Questions that it had a value for, and that it had none for, since its start: of all who use it.
    #[serde(default)]
    pub hits: u64,
    #[serde(default)]
    pub misses: u64,
}

impl SecondLevelServer {
    /// What two servers have together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            memory_bytes: self.memory_bytes + other.memory_bytes,
            max_memory_bytes: self.max_memory_bytes + other.max_memory_bytes,
            evicted: self.evicted + other.evicted,
            operations_per_s: self.operations_per_s + other.operations_per_s,
            cpu_ms: self.cpu_ms + other.cpu_ms,
            network_kbps: self.network_kbps + other.network_kbps,
            connections: self.connections + other.connections,
            hits: self.hits + other.hits,
            misses: self.misses + other.misses,
        }
    }
}
