//! The gateway's link to the control plane: enrols, follows the journal, acknowledges, beats, ships calls.
//!
//! It runs on a thread of its own, so that nothing it does delays a call: reading a large snapshot, syncing a disk.

mod acknowledge;
mod applier;
mod backoff;
mod changed;
mod client;
mod control;
mod disk;
mod error;
mod failpoints;
mod files;
mod freshness;
mod heartbeat;
mod held;
mod identity;
mod obtain;
mod parts;
mod purged;
mod questions;
mod session;
mod ship;
mod signals;
mod stream;
mod supervisor;
mod tls;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sluice_contract::ids::BootId;
use sluice_contract::link::Acknowledgement;
use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};

use crate::settings::GatewaySettings;
use crate::shared::Shared;
use crate::telemetry::Telemetry;
use applier::Applier;
use disk::Disk;
use failpoints::Failpoints;
pub use failpoints::{Failpoint, NotAFailpoint, Step};
use freshness::Freshness;
use heartbeat::Pulse;
use obtain::Obtainer;
use parts::Parts;
use questions::Questions;
use session::{SessionOpener, Sessions};
use supervisor::Supervisor;

/// How long a stopping gateway goes on sending calls; the rest is sent by its next life.
const LAST_CALLS: Duration = Duration::from_secs(5);

type NewestAcknowledgement = watch::Receiver<Option<Acknowledgement>>;

/// Whether this data directory belongs to a gateway that has enrolled.
pub(crate) fn has_identity(data: &std::path::Path) -> bool {
    matches!(identity::IdentityFile::new(data).read(), Ok(Some(_)))
}

/// A running link.
pub struct Link {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// What the link works with.
struct Work {
    settings: GatewaySettings,
    shared: Arc<Shared>,
    telemetry: Arc<Telemetry>,
    boot: BootId,
    failpoints: Arc<Failpoints>,
}

impl Link {
    /// Serves what is on disk, then keeps the link up on a thread of its own. Returns once what is on disk is served.
    ///
    /// # Errors
    /// When the data directory cannot be used or a thread cannot be made.
    pub fn start(
        settings: GatewaySettings,
        shared: Arc<Shared>,
        telemetry: Arc<Telemetry>,
        boot: BootId,
    ) -> io::Result<Self> {
        let failpoints = Arc::new(Failpoints::new(settings.failpoint));
        let work = Work { settings, shared, telemetry, boot, failpoints };
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let runtime = Builder::new_current_thread().enable_all().thread_name("sluice-link").build()?;
        let thread = std::thread::Builder::new().name("sluice-link".to_owned()).spawn(move || {
            runtime.block_on(work.run(stopped, &ready));
            runtime.shutdown_timeout(Duration::from_secs(1));
        })?;
        is_ready.recv().map_err(io::Error::other)??;
        Ok(Self { stop, thread })
    }

    /// Sends the calls that wait, for some seconds at most, and ends.
    pub fn stop(self) {
        // An error means that it has ended already.
        let _ = self.stop.send(());
        if self.thread.join().is_err() {
            tracing::error!("the link has died");
        }
    }
}

impl Work {
    async fn run(self, stopped: oneshot::Receiver<()>, ready: &std::sync::mpsc::Sender<io::Result<()>>) {
        signals::survive_file_size_limit();
        let sessions = Sessions::new();
        let (supervisor, newest) = match self.prepare(&sessions) {
            Ok(prepared) => prepared,
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        let _ = ready.send(Ok(()));
        let Self { settings: _, shared, telemetry, boot, failpoints } = self;
        let (changing, stopping) = (Arc::clone(&shared), Arc::clone(&shared));
        let pulse = Pulse { boot, started: Instant::now(), shared, telemetry: Arc::clone(&telemetry) };
        tokio::select! {
            // Each runs until the gateway stops.
            () = supervisor.run() => {}
            () = acknowledge::run(Arc::clone(&sessions), newest, failpoints) => {}
            () = heartbeat::run(Arc::clone(&sessions), pulse) => {}
            () = changed::run(Arc::clone(&sessions), changing) => {}
            () = ship::run(Arc::clone(&sessions), Arc::clone(&telemetry)) => {}
            _ = stopped => {}
        }
        purged::remember(&stopping);
        telemetry.put_back();
        let _ = tokio::time::timeout(LAST_CALLS, ship::flush(sessions, telemetry)).await;
    }

    /// Reads what is on disk and serves it.
    fn prepare(&self, sessions: &Arc<Sessions>) -> io::Result<(Supervisor, NewestAcknowledgement)> {
        let Self { settings, shared, telemetry, boot, failpoints } = self;
        files::create_directory(&settings.data)?;
        let parts = Parts::open(settings.directory("parts"))?;
        let (obtainer, obtained) =
            Obtainer::new(Arc::clone(shared), parts, Arc::clone(sessions), Arc::clone(failpoints));
        let (disk, held) = Disk::open(settings.directory("configuration"), Arc::clone(failpoints))?;
        if let Some(held) = &held {
            purged::recall(shared, held);
        }
        let (applier, newest) = Applier::restore(obtainer, disk, held);
        let freshness = Arc::new(Freshness::new(Arc::clone(shared), &settings.data, settings.max_offline));
        let opener = SessionOpener::new(
            settings.clone(),
            *boot,
            Arc::clone(shared),
            Arc::clone(telemetry),
            Arc::clone(sessions),
        );
        opener.recall_environment();
        let questions = Questions::new(Arc::clone(shared));
        let supervisor =
            Supervisor::new(Arc::clone(sessions), opener, applier, obtained, freshness, questions);
        Ok((supervisor, newest))
    }
}
