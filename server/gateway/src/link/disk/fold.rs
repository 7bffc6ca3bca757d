//! Folding logs into a new base, in the background.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::base::{read_base, write_base};
use super::log::{remove_logs_before, replay};
use crate::link::failpoints::Failpoints;
use crate::link::held::{Held, ServedParts};

/// A base to be folded.
pub(in crate::link) struct Fold {
    pub(super) directory: PathBuf,
    pub(super) failpoints: Arc<Failpoints>,
    pub(super) until_log: u64,
    pub(super) served: ServedParts,
}

impl Fold {
    /// Folds the logs before the current one into the base. Returns the state up to there and the base's bytes.
    ///
    /// # Errors
    /// When the disk refuses; then everything stays as it was.
    pub(in crate::link) fn run(self) -> io::Result<(Held, u64)> {
        let (base, _) = read_base(&self.directory)?.ok_or(io::ErrorKind::NotFound)?;
        let (first, mut held) = (base.log, Held::from(base.held));
        for number in first..self.until_log {
            replay(&self.directory, number, &mut held)?;
        }
        held.apis.forget_unserved(&self.served);
        let bytes = write_base(&self.directory, self.until_log, held.clone(), &self.failpoints)?;
        remove_logs_before(&self.directory, self.until_log)?;
        Ok((held, bytes))
    }
}
