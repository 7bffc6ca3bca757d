//! What a second level can be: what is asked of it, and what can come of it.

use std::path::Path;
use std::sync::Arc;

use sluice_contract::link::{SecondLevelDisk, SecondLevelKind, SecondLevelServer};

use super::Location;
use super::disk::{Changes, Disk};
use super::era::Era;
use super::memcached::Memcached;
use super::redis::Redis;
use super::settings::SecondLevelSettings;
use super::wire::Origin;

/// A connection that comes back by itself, or a folder. Clones share it.
#[derive(Clone)]
pub(super) enum Server {
    Redis(Redis),
    Memcached(Memcached),
    Disk(Disk),
}

/// What one says of itself.
pub(super) enum Figures {
    Server(SecondLevelServer),
    Disk(SecondLevelDisk),
}

/// Why there is no answer, or none of use.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The server has answered, although not with what was asked for: full, say, or read-only.
    #[error("it refuses: {0}")]
    Refused(String),
    #[error("it takes no values of this size")]
    TooLarge,
    #[error("it does not answer: {0}")]
    Lost(String),
}

/// What stands at a location.
pub(super) struct Found {
    /// None: the URL is not known to have changed.
    pub(super) era: Option<Era>,
    /// One for each field that was asked for.
    pub(super) values: Vec<Option<Vec<u8>>>,
}

/// What became of a response that was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrote {
    Done,
    /// The URL has changed since its fetch began.
    Outdated,
}

impl Server {
    /// Connects when it is first used; opens a folder. Needs a runtime.
    pub(super) async fn new(settings: &SecondLevelSettings) -> Result<Self, String> {
        match settings.kind() {
            SecondLevelKind::Redis => {
                Redis::new(settings).map(Self::Redis).map_err(|error| error.to_string())
            }
            SecondLevelKind::Memcached => Memcached::new(settings).map(Self::Memcached),
            SecondLevelKind::Disk => Disk::open(settings, Path::new(settings.folder())).await.map(Self::Disk),
        }
    }

    /// Of a disk: where changes are noted.
    pub(super) fn changes(&self) -> Option<Arc<Changes>> {
        match self {
            Self::Disk(disk) => Some(Arc::clone(disk.changes())),
            Self::Redis(_) | Self::Memcached(_) => None,
        }
    }

    /// The values of fields of a location.
    pub(super) async fn read(&mut self, location: &Location, fields: &[&[u8]]) -> Result<Found, Failure> {
        match self {
            Self::Redis(redis) => redis.read(location, fields).await,
            Self::Memcached(memcached) => memcached.read(location, fields).await,
            Self::Disk(disk) => disk.read(location, fields).await,
        }
    }

    /// Sets fields of a location, which is forgotten after so many seconds.
    pub(super) async fn write(
        &mut self,
        location: &Location,
        fields: &[(&[u8], &[u8])],
        seconds: u64,
        origin: &Origin,
    ) -> Result<Wrote, Failure> {
        match self {
            Self::Redis(redis) => redis.write(location, fields, seconds).await,
            Self::Memcached(memcached) => memcached.write(location, fields, seconds, origin).await,
            Self::Disk(disk) => disk.write(location, fields, seconds, origin).await,
        }
    }

    /// Takes out all that stands at a location.
    pub(super) async fn forget(&mut self, location: &Location) -> Result<(), Failure> {
        match self {
            Self::Redis(redis) => redis.forget(location).await,
            Self::Memcached(memcached) => memcached.forget(location).await,
            // Nothing says which copies there are; what is purged stands there, for nobody, until it is overwritten.
            Self::Disk(_) => Ok(()),
        }
    }

    /// The same, and what began to be fetched before this era is not for it any more.
    pub(super) async fn begin(&mut self, location: &Location, era: &Era) -> Result<(), Failure> {
        match self {
            Self::Redis(redis) => redis.begin(location, era).await,
            Self::Memcached(memcached) => memcached.begin(location, era).await,
            // Has it among its changes.
            Self::Disk(_) => Ok(()),
        }
    }

    /// Whether the server of this index answers.
    pub(super) async fn ping(&mut self, node: usize) -> Result<(), Failure> {
        match self {
            Self::Redis(redis) => redis.ping().await,
            Self::Memcached(memcached) => memcached.ping(node).await,
            Self::Disk(disk) => disk.ping().await,
        }
    }

    /// What the server of this index says of itself; None of a Redis cluster, whose nodes each say something else.
    pub(super) async fn figures(&mut self, node: usize) -> Result<Option<Figures>, Failure> {
        match self {
            Self::Redis(redis) => Ok(redis.info().await?.map(Figures::Server)),
            Self::Memcached(memcached) => memcached.figures(node).await.map(Figures::Server).map(Some),
            Self::Disk(disk) => disk.figures().await.map(Figures::Disk).map(Some),
        }
    }

    /// Leaves a folder so that the next who opens it can go on.
    pub(super) async fn close(&self) -> Result<(), String> {
        match self {
            Self::Redis(_) | Self::Memcached(_) => Ok(()),
            Self::Disk(disk) => disk.close().await,
        }
    }
}
