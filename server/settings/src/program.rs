//! What every Sluice program does at its beginning and end.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Tells the person at the terminal why the program ends: one line, the causes on it.
#[expect(clippy::print_stderr, reason = "the one place where a program tells its user of an error")]
pub fn tell_error(program: &str, error: &anyhow::Error) {
    eprintln!("{program}: {error:#}");
}

/// Ctrl-C or SIGTERM, caught from the moment that this is made.
pub struct StopSignal {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignal {
    /// Catches the signals. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn new() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the first of them.
    pub async fn wait(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
