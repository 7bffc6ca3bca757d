//! What the loop that reads wants from whatever keeps a stream.

use sluice_contract::problem::FieldProblem;
use sluice_store::event_sources::Read;

use super::reader::Reader;

/// Largest event, in bytes: that of webhooks.
const EVENT_MAX: usize = 256 << 10;

/// Why reading ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// It is another's now, switched off, changed or gone.
    #[error("it is no longer read here")]
    NotOurs,
    /// The server, the network or the guard.
    #[error("{0}")]
    Source(String),
    #[error(transparent)]
    Store(#[from] sluice_store::Error),
}

/// An event as a stream has it.
pub(super) struct Event {
    /// What the stream calls it: never the same again for another event of this stream.
    pub id: String,
    pub body: Result<Vec<u8>, NoBody>,
}

/// Why there is nothing in it.
pub(super) enum NoBody {
    /// The entry has not this field.
    NoField(String),
    /// The stream was trimmed, or the entry deleted, before it was read.
    Gone,
}

impl Event {
    /// What the rules look at, or what is listed instead.
    pub(super) fn fitting(&self) -> Result<&[u8], FieldProblem> {
        let wrong = |code: &str, message: String| Err(FieldProblem::new("", code, message));
        match &self.body {
            Ok(body) if body.len() > EVENT_MAX => {
                wrong("too_large", format!("An event has at most {EVENT_MAX} bytes."))
            }
            Ok(body) => Ok(body),
            Err(NoBody::NoField(name)) => wrong("no_field", format!("The entry has no field `{name}`.")),
            Err(NoBody::Gone) => {
                wrong("gone", "It was taken out of the stream before it was read.".to_owned())
            }
        }
    }
}

/// What there is to do in a stream, where its server says.
#[derive(Default)]
pub(super) struct Backlog {
    pub waiting: Option<u64>,
    pub unacknowledged: Option<u64>,
}

/// A stream, connected. What it gives out stays its own until it is told that it is done; what was given out before and
/// never was is given out again.
pub(super) trait Feed: Sized + Send {
    fn connect(reader: &Reader, read: &Read) -> impl Future<Output = Result<Self, Ended>> + Send;

    /// The next events, oldest first; none when there are none for a few seconds.
    fn next(&mut self) -> impl Future<Output = Result<Vec<Event>, Ended>> + Send;

    /// It never comes again.
    fn done(&mut self, event: &Event) -> impl Future<Output = Result<(), Ended>> + Send;

    /// What was given out and is not done takes longer; it is not to be given out again meanwhile.
    fn hold(&mut self) -> impl Future<Output = Result<(), Ended>> + Send;

    fn backlog(&mut self) -> impl Future<Output = Backlog> + Send;
}
