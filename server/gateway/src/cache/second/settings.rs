//! Where the second level is and how it is used.

use std::fmt;
use std::time::Duration;

use sluice_contract::link::SecondLevelKind;

/// What stands before the path of a folder.
const DISK: &str = "disk:";

/// Settings of the second level.
#[derive(Clone)]
pub struct SecondLevelSettings {
    /// `redis://` or `rediss://`, with user and password where there are some; several are nodes of one cluster. Or
    /// `memcached://host:port`, each a node of its own. Or one `disk:` and the path of a folder.
    pub urls: Vec<String>,
    /// Certificates (PEM) that the server's must come from, instead of those that everybody trusts.
    pub ca: Option<Vec<u8>>,
    /// Encrypts what is stored there.
    pub key: Option<[u8; 32]>,
    /// How long a call waits for an answer.
    pub budget: Duration,
    /// Bytes of a value above which it is compressed.
    pub compress_over: u64,
    /// Bytes of responses that wait to be written.
    pub queue_max_bytes: u64,
    /// Bytes of a folder on disk.
    pub disk_max_bytes: u64,
}

impl SecondLevelSettings {
    /// With what is not said as it usually is.
    pub fn new(urls: Vec<String>) -> Self {
        Self {
            urls,
            ca: None,
            key: None,
            budget: Duration::from_millis(5),
            compress_over: 1 << 10,
            queue_max_bytes: 32 << 20,
            disk_max_bytes: 1 << 30,
        }
    }

    /// What the URLs name.
    pub(super) fn kind(&self) -> SecondLevelKind {
        let any = |scheme: &str| self.urls.iter().any(|url| url.starts_with(scheme));
        if any("memcached") {
            SecondLevelKind::Memcached
        } else if any(DISK) {
            SecondLevelKind::Disk
        } else {
            SecondLevelKind::Redis
        }
    }

    /// Of a disk.
    pub(super) fn folder(&self) -> &str {
        self.urls.iter().find_map(|url| url.strip_prefix(DISK)).unwrap_or_default()
    }

    /// The servers by the names that people know them by, which show no password.
    pub(super) fn names(&self) -> Vec<String> {
        match self.kind() {
            SecondLevelKind::Redis => vec!["redis".to_owned()],
            SecondLevelKind::Disk => vec!["disk".to_owned()],
            SecondLevelKind::Memcached => self.urls.iter().map(|url| name(url)).collect(),
        }
    }
}

/// What stands behind the scheme, user and password.
fn name(url: &str) -> String {
    let behind = url.split_once("://").map_or(url, |(_, behind)| behind);
    behind.rsplit_once('@').map_or(behind, |(_, host)| host).trim_end_matches('/').to_owned()
}

/// Shows neither passwords nor keys.
impl fmt::Debug for SecondLevelSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { urls, ca, key, budget, compress_over, queue_max_bytes, disk_max_bytes } = self;
        f.debug_struct("SecondLevelSettings")
            .field("nodes", &urls.len())
            .field("ca", &ca.is_some())
            .field("encrypted", &key.is_some())
            .field("budget", budget)
            .field("compress_over", compress_over)
            .field("queue_max_bytes", queue_max_bytes)
            .field("disk_max_bytes", disk_max_bytes)
            .finish()
    }
}
