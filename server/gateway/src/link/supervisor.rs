//! Keeps the link up: session, snapshot, journal, again and again; everything it meets goes to the applier.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_contract::ids::IncarnationId;
use sluice_contract::journal::{Entry, Frame, Position};
use sluice_contract::link::GATEWAY_REMOVED;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::applier::Applier;
use super::backoff::Backoff;
use super::error::LinkError;
use super::freshness::Freshness;
use super::obtain::Obtained;
use super::questions::Questions;
use super::session::{Connection, SessionOpener, Sessions};
use super::stream::JournalStream;

/// Entries that are applied at a time: one write, one swap.
const BATCH: usize = 1_000;
/// How often what failed is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(10);
const HOUSEKEEPING_EVERY: Duration = Duration::from_millis(500);
/// A connection that held this long was a good one.
const GOOD: Duration = Duration::from_secs(2);
/// When the control plane itself says no, asking more often does not help.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);

/// Runs the link.
pub(super) struct Supervisor {
    pub(super) sessions: Arc<Sessions>,
    pub(super) opener: SessionOpener,
    pub(super) applier: Applier,
    pub(super) obtained: mpsc::UnboundedReceiver<Obtained>,
    pub(super) freshness: Arc<Freshness>,
    /// Where the journal ends, as far as the stream has told.
    head: Position,
    questions: Questions,
    housekeeping: Interval,
    retry: Interval,
}

/// What happens while a stream is open.
enum Event {
    Frame(Option<Frame>),
    Obtained(Obtained),
    SessionEnded,
    Housekeeping,
    Retry,
}

impl Supervisor {
    pub(super) fn new(
        sessions: Arc<Sessions>,
        opener: SessionOpener,
        applier: Applier,
        obtained: mpsc::UnboundedReceiver<Obtained>,
        freshness: Arc<Freshness>,
        questions: Questions,
    ) -> Self {
        let every = |period| {
            let mut interval = interval(period);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        };
        let (housekeeping, retry) = (every(HOUSEKEEPING_EVERY), every(RETRY_EVERY));
        let head = Position::MAX;
        Self { sessions, opener, applier, obtained, freshness, head, questions, housekeeping, retry }
    }

    /// Runs for ever.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::new();
        let mut last_message = String::new();
        loop {
            let begun = Instant::now();
            let error = self.connect_and_follow().await.err();
            if begun.elapsed() > GOOD {
                backoff.reset();
                last_message.clear();
            }
            let mut pause = backoff.pause();
            if let Some(error) = error {
                pause = pause.max(self.consider(&error, &mut last_message));
            }
            self.wait(pause).await;
        }
    }

    /// Says what is wrong, once, and how long to wait at least.
    fn consider(&mut self, error: &LinkError, last_message: &mut String) -> Duration {
        let message = error.to_string();
        if *last_message != message {
            tracing::warn!("no link to the control plane: {message}");
            *last_message = message;
        }
        if error.has_code(GATEWAY_REMOVED) {
            self.freshness.removed();
            self.applier.forget_disk();
        }
        match error {
            LinkError::Refused(problem) if problem.status < 500 => REFUSED_PAUSE,
            LinkError::NotEnrolled => REFUSED_PAUSE,
            _ => Duration::ZERO,
        }
    }

    /// Waits, but not with what needs no link.
    async fn wait(&mut self, pause: Duration) {
        let end = tokio::time::sleep(pause);
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return,
                Some(obtained) = self.obtained.recv() => self.applier.obtained(obtained),
                _ = self.housekeeping.tick() => self.keep_house().await,
            }
        }
    }

    async fn connect_and_follow(&mut self) -> Result<(), LinkError> {
        let connection = match self.sessions.current() {
            Some(connection) => connection,
            None => self.open().await?,
        };
        let followed = self.follow(&connection).await;
        if followed.as_ref().is_err_and(LinkError::is_unauthorised) {
            self.sessions.end(&connection);
            // An expired session is no trouble: the next one is opened at once.
            return Ok(());
        }
        followed
    }

    /// Opening may take long (a dead network): the switches are thrown in time all the same.
    async fn open(&mut self) -> Result<Arc<Connection>, LinkError> {
        let open = self.opener.open();
        tokio::pin!(open);
        loop {
            tokio::select! {
                opened = &mut open => return opened,
                _ = self.housekeeping.tick() => self.freshness.update(),
            }
        }
    }

    /// Applies the journal until the stream or the session ends.
    async fn follow(&mut self, connection: &Arc<Connection>) -> Result<(), LinkError> {
        let incarnation = connection.session.incarnation;
        let position = match self.applier.position() {
            Some((ours, position)) if ours == incarnation && !self.applier.needs_snapshot() => position,
            _ => self.take_snapshot(connection).await?,
        };
        // What failed while the control plane was away may do now.
        self.applier.retry();
        self.head = Position::MAX;
        let mut stream = connection.control.journal(&connection.session, incarnation, position).await?;
        loop {
            match self.next_event(&mut stream).await? {
                Event::Frame(None) => return Ok(()),
                Event::Frame(Some(frame)) => {
                    if !self.take(frame, &mut stream, connection).await? {
                        return Ok(());
                    }
                    // A purge of the time in between may be on its way still.
                    if self.applier.position().is_some_and(|(_, position)| position >= self.head) {
                        self.freshness.heard();
                    }
                }
                Event::Obtained(obtained) => self.applier.obtained(obtained),
                Event::SessionEnded => return Ok(()),
                Event::Housekeeping => self.keep_house().await,
                Event::Retry if self.applier.needs_snapshot() => return Ok(()),
                Event::Retry => self.applier.retry(),
            }
        }
    }

    async fn next_event(&mut self, stream: &mut JournalStream) -> Result<Event, LinkError> {
        // Dropping any of these before it is ready loses nothing.
        Ok(tokio::select! {
            frame = stream.next() => Event::Frame(frame?),
            Some(obtained) = self.obtained.recv() => Event::Obtained(obtained),
            () = self.sessions.ended() => Event::SessionEnded,
            _ = self.housekeeping.tick() => Event::Housekeeping,
            _ = self.retry.tick() => Event::Retry,
        })
    }

    /// Takes a frame. False when the stream is of no more use.
    async fn take(
        &mut self,
        frame: Frame,
        stream: &mut JournalStream,
        connection: &Arc<Connection>,
    ) -> Result<bool, LinkError> {
        match frame {
            Frame::Heartbeat { head } => {
                self.head = head;
                Ok(true)
            }
            Frame::Question(question) => {
                self.questions.take(*question, connection);
                Ok(true)
            }
            Frame::Hello { incarnation, head } => {
                self.head = head;
                self.check_hello(incarnation, head, connection)
            }
            Frame::SnapshotRequired { reason } => {
                tracing::info!(reason, "the journal does not reach back far enough");
                self.take_snapshot(connection).await?;
                Ok(false)
            }
            Frame::Entry(entry) => {
                let (entries, left) = gather(entry, stream)?;
                self.applier.apply(entries)?;
                match left {
                    None => Ok(true),
                    // Whatever it is, it ends the run of entries; it is rare, so one level deep is enough.
                    Some(frame) => Box::pin(self.take(frame, stream, connection)).await,
                }
            }
        }
    }

    fn check_hello(
        &self,
        incarnation: IncarnationId,
        head: Position,
        connection: &Arc<Connection>,
    ) -> Result<bool, LinkError> {
        if incarnation != connection.session.incarnation {
            // The database was restored since the session began.
            self.sessions.end(connection);
            return Ok(false);
        }
        match self.applier.position() {
            Some((_, position)) if position > head => Err(LinkError::Protocol(format!(
                "its journal ends at {head}, but {position} is applied here: was a backup restored without a new incarnation?"
            ))),
            _ => Ok(true),
        }
    }

    async fn take_snapshot(&mut self, connection: &Arc<Connection>) -> Result<Position, LinkError> {
        let snapshot = connection.control.snapshot(&connection.session).await?;
        let (incarnation, position) = (snapshot.incarnation, snapshot.position);
        if incarnation != connection.session.incarnation {
            self.sessions.end(connection);
            return Err(LinkError::Protocol("a snapshot of another incarnation".to_owned()));
        }
        self.applier.install(snapshot).await?;
        self.freshness.heard();
        Ok(position)
    }

    async fn keep_house(&mut self) {
        self.freshness.update();
        self.applier.finish_fold().await;
    }
}

/// Takes the entries that have arrived already along with the first, and the frame after them that is none.
fn gather(first: Entry, stream: &mut JournalStream) -> Result<(Vec<Entry>, Option<Frame>), LinkError> {
    let mut entries = vec![first];
    while entries.len() < BATCH {
        match stream.arrived()? {
            None => break,
            Some(Frame::Entry(entry)) => entries.push(entry),
            Some(other) => return Ok((entries, Some(other))),
        }
    }
    Ok((entries, None))
}
