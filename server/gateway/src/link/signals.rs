//! Signals that must not end a gateway.

use tokio::signal::unix::{SignalKind, signal};

/// SIGXFSZ on Linux.
const FILE_SIZE_LIMIT: i32 = 25;

/// A file that grows past a limit on file sizes becomes an error of the write, not the end of the process. tokio's
/// handler stays for the life of the process once it has been asked for.
pub(super) fn survive_file_size_limit() {
    if let Err(error) = signal(SignalKind::from_raw(FILE_SIZE_LIMIT)) {
        tracing::warn!(%error, "a limit on file sizes would end this process");
    }
}
