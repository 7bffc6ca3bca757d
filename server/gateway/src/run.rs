//! A whole gateway from its settings: recording, link, data path; started in this order, stopped in the other.

use std::fs::{File, TryLockError};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sluice_contract::guard::Guard;
use sluice_contract::ids::BootId;

use crate::cache::{Cache, SecondLevel};
use crate::link::Link;
use crate::listen::{Gateway, GatewayOptions, Running};
use crate::settings::GatewaySettings;
use crate::shared::Shared;
use crate::telemetry::Telemetry;

/// How long the second level may take to be closed in order.
const CLOSING: Duration = Duration::from_secs(5);

/// A gateway that runs. Everything of it is on threads of its own.
pub struct RunningGateway {
    /// Where clients call.
    pub address: SocketAddr,
    /// Where `/healthz`, `/readyz` and `/metrics` answer.
    pub status_address: SocketAddr,
    data_path: Running,
    second_level: Option<Arc<SecondLevel>>,
    link: Link,
    telemetry: Arc<Telemetry>,
    drain: Duration,
    /// Held until the process ends or the gateway stops.
    _lock: File,
}

/// Why a gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{} cannot be used: {cause}. Set `data` to a directory that this user can write.", path.display())]
    Data { path: PathBuf, cause: io::Error },
    #[error("{} belongs to another running gateway. Give each gateway a `data` directory of its own.", path.display())]
    InUse { path: PathBuf },
    #[error("{address} cannot be listened on: {cause}. Set `{setting}` to a free address of this machine.")]
    Listen { setting: &'static str, address: SocketAddr, cause: io::Error },
    #[error("the second level of the cache cannot be used: {0}. Check `cache_l2_url`.")]
    SecondLevel(String),
    #[error("the gateway cannot start: {0}")]
    Other(io::Error),
}

impl RunningGateway {
    /// Starts. Returns once the last configuration, if there is one on disk, is served. Blocks for a moment.
    ///
    /// # Errors
    /// Says in one line what is wrong and what to do.
    pub fn start(settings: GatewaySettings) -> Result<Self, StartError> {
        let boot = BootId::generate();
        check_address("listen", settings.listen)?;
        check_address("status_listen", settings.status_listen)?;
        let data = |cause| StartError::Data { path: settings.data.clone(), cause };
        let lock = lock(&settings.data)?;
        let telemetry = Telemetry::start(&settings.data, settings.spool_max_bytes, boot).map_err(data)?;
        let telemetry = Arc::new(telemetry);
        let second_level = settings.cache_l2.as_ref().map(SecondLevel::start).transpose();
        let second_level = second_level.map_err(|error| StartError::SecondLevel(error.to_string()))?;
        let started = Self::start_with(settings, boot, lock, telemetry, second_level.clone());
        if let (Err(_), Some(second_level)) = (&started, second_level) {
            second_level.close(CLOSING);
        }
        started
    }

    fn start_with(
        settings: GatewaySettings,
        boot: BootId,
        lock: File,
        telemetry: Arc<Telemetry>,
        second_level: Option<Arc<SecondLevel>>,
    ) -> Result<Self, StartError> {
        let data = |cause| StartError::Data { path: settings.data.clone(), cause };
        let cache = Cache::new(settings.cache).with_second_level(second_level.clone());
        let guard = Guard::new(settings.allowed_networks.clone());
        let shared = Shared::new(Arc::clone(telemetry.recorders()), guard)
            .with_cache(cache)
            .with_plain_keys(settings.plain_keys);
        let shared = Arc::new(shared);
        let link =
            Link::start(settings.clone(), Arc::clone(&shared), Arc::clone(&telemetry), boot).map_err(data)?;
        let options = GatewayOptions {
            threads: settings.threads,
            public_url: settings.public_url.as_ref().map(url::Url::to_string),
            ..GatewayOptions::new(settings.listen, settings.status_listen)
        };
        match Gateway::start(options, shared) {
            Ok(data_path) => {
                let (address, status_address) = (data_path.address, data_path.status_address);
                tracing::info!(%address, status = %status_address, %boot, "gateway started");
                Ok(Self {
                    address,
                    status_address,
                    data_path,
                    second_level,
                    link,
                    telemetry,
                    drain: settings.drain,
                    _lock: lock,
                })
            }
            Err(error) => {
                link.stop();
                telemetry.close();
                Err(StartError::Other(error))
            }
        }
    }

    /// Stops accepting, lets calls in flight finish, sends the last records, ends. Blocks for as long as that takes.
    pub fn stop(self) {
        let Self { address: _, status_address: _, data_path, second_level, link, telemetry, drain, _lock } =
            self;
        data_path.stop(drain);
        // Every call is recorded now: collected, then sent.
        telemetry.stop();
        link.stop();
        if let Some(second_level) = second_level {
            second_level.close(CLOSING);
        }
        telemetry.close();
        tracing::info!("gateway stopped");
    }
}

/// Runs a gateway until `shutdown` is ready. For an asynchronous program, `sluice` for example.
///
/// # Errors
/// See [`RunningGateway::start`].
pub async fn run(settings: GatewaySettings, shutdown: impl Future<Output = ()>) -> Result<(), StartError> {
    let other = |error| StartError::Other(io::Error::other(error));
    let gateway = tokio::task::spawn_blocking(|| RunningGateway::start(settings)).await.map_err(other)??;
    shutdown.await;
    tokio::task::spawn_blocking(|| gateway.stop()).await.map_err(other)
}

fn check_address(setting: &'static str, address: SocketAddr) -> Result<(), StartError> {
    match TcpListener::bind(address) {
        Ok(_free) => Ok(()),
        Err(cause) => Err(StartError::Listen { setting, address, cause }),
    }
}

/// The directory is this gateway's alone for as long as the file is open.
fn lock(data: &Path) -> Result<File, StartError> {
    let unusable = |cause| StartError::Data { path: data.to_owned(), cause };
    std::fs::create_dir_all(data).map_err(unusable)?;
    let file = File::create(data.join("lock")).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::InUse { path: data.to_owned() }),
        Err(TryLockError::Error(cause)) => Err(unusable(cause)),
    }
}
