//! The second level: responses in a Redis or in Memcached that gateways share, or on this gateway's own disk, asked when it has none
//! in memory.
//!
//! All of its work is done on a thread of its own. A call hands over a question and waits for the answer no longer than the
//! budget; a response that was fetched is handed over to be written and not waited for. What comes back may be old, damaged or
//! another's: [`seal`] and [`wire`] find that, and the journal position in each value tells what purges cover it.

mod breaker;
mod disk;
mod era;
mod memcached;
mod nodes;
mod redis;
mod seal;
mod server;
mod settings;
mod stats;
mod wire;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName};
use sha2::{Digest as _, Sha256};
use sluice_contract::ids::{ApiId, EnvironmentId, IncarnationId};
use sluice_contract::link::{SecondLevelHealth, SecondLevelKind};
use tokio::sync::{mpsc, oneshot};

use super::purges::{ApiPurges, Stamp, Verdict};
use super::stored::Stored;
use super::vary::Selecting;
use disk::Changes;
use era::Era;
use nodes::{Node, Nodes};
pub use settings::SecondLevelSettings;
use stats::Stats;
pub(super) use stats::count;
pub(super) use wire::Response;
use wire::{Origin, unix_ms};

/// Bytes of the largest body that is kept there: a larger one would not come back in time.
const MOST_BYTES: usize = 4 << 20;
/// Questions and writes that wait for the thread.
const QUEUE: usize = 1_024;
/// The longest time that a response is kept there.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);
/// How far the clocks of gateways may be apart.
const CLOCKS: Duration = Duration::from_secs(2);
/// What took longer to arrive is not handed on: nobody remembers for so long that its URL has changed meanwhile.
const LONGEST_FETCH: Duration = Duration::from_secs(60);
/// The runtime's clock counts milliseconds: by so much it may wake too late.
const LATE: Duration = Duration::from_millis(2);
/// What is waited for at least.
const LEAST: Duration = Duration::from_millis(1);

/// Where all copies of one URL stand, so that a purge of it is one command.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Location(Box<[u8]>);

/// The second level of a gateway.
pub struct SecondLevel {
    orders: mpsc::Sender<Order>,
    questions: mpsc::Sender<Question>,
    state: Arc<State>,
    /// Of a disk: what has changed is noted at once, since there is no other who would find out.
    changes: Option<Arc<Changes>>,
    kind: SecondLevelKind,
    /// How long a call waits by the runtime's clock, so that it waits no longer than the budget.
    patience: Duration,
    queue_max_bytes: u64,
    /// Names this life of the gateway.
    boot: u64,
}

/// What the thread and its callers share.
struct State {
    nodes: Nodes,
    stats: Stats,
    /// Bytes of responses that wait to be written.
    queued: AtomicU64,
}

/// What is asked of the thread.
enum Question {
    Call {
        location: Location,
        /// The fields of its keys, the more particular first.
        fields: Vec<Field>,
        headers: HeaderMap,
        reply: oneshot::Sender<Option<Answer>>,
    },
    /// For people.
    Look { location: Location, field: Field, headers: HeaderMap, reply: oneshot::Sender<Seen> },
}

/// It was late, or an error.
#[derive(Debug, PartialEq)]
pub(super) struct NoAnswer;

/// The index of the key that had a response.
type Answer = (usize, Box<Response>);
/// Names a key, and the headers by which its responses differ.
type Field = [u8; 32];

/// What stands there under a key for a request with some headers.
pub(super) struct Seen {
    pub(super) what: What,
    /// Bytes of the value.
    pub(super) bytes: usize,
    /// By which the responses of the key differ.
    pub(super) varies_by: Vec<HeaderName>,
}

/// Whether it can be used, as far as the second level tells.
pub(super) enum What {
    Nothing,
    Damaged,
    /// The URL has changed since it was fetched.
    Outdated(Box<Response>),
    Good(Box<Response>),
}

/// What is done when there is time.
enum Order {
    Write {
        location: Location,
        stored: Arc<Stored>,
        origin: Origin,
        seconds: u64,
    },
    Forget(Location),
    /// What was fetched before is not for this URL any more.
    Begin(Location, Era),
    /// Nothing comes after it.
    Close(std::sync::mpsc::Sender<()>),
}

/// What a gateway knows about the URL and the journal of a response that it is about to store.
#[derive(Clone)]
pub(super) struct Sharing {
    pub(super) location: Location,
    pub(super) incarnation: IncarnationId,
    pub(super) purges: Arc<ApiPurges>,
}

impl Location {
    /// `query` is the part that belongs to the key.
    pub(crate) fn new(environment: EnvironmentId, api: ApiId, path: &str, query: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(environment.0.as_bytes());
        hash.update(api.0.as_bytes());
        hash.update((path.len() as u64).to_le_bytes());
        hash.update(path);
        hash.update(query);
        let mut text = *b"sluice:0000000000000000000000000000000000000000";
        crate::hex::encode(&hash.finalize()[..20], &mut text[7..]);
        Self(text.into())
    }
}

impl SecondLevel {
    /// Starts its thread. The server need not be there yet; a folder is opened. Blocks meanwhile.
    ///
    /// # Errors
    /// When the settings or the folder cannot be used, or there is no thread.
    pub fn start(settings: &SecondLevelSettings) -> std::io::Result<Arc<Self>> {
        let (orders, order_receiver) = mpsc::channel(QUEUE);
        let (questions, question_receiver) = mpsc::channel(QUEUE);
        let nodes = Nodes::new(settings.names());
        let state = Arc::new(State { nodes, stats: Stats::default(), queued: AtomicU64::new(0) });
        let mut boot = [0; 8];
        getrandom::fill(&mut boot).map_err(std::io::Error::other)?;
        let changes = worker::start(settings, question_receiver, order_receiver, Arc::clone(&state))?;
        Ok(Arc::new(Self {
            orders,
            questions,
            state,
            changes,
            kind: settings.kind(),
            patience: patience(settings.budget),
            queue_max_bytes: settings.queue_max_bytes,
            boot: u64::from_le_bytes(boot),
        }))
    }

    /// Whether what is there is this gateway's own, and outlives it.
    pub(crate) fn is_own(&self) -> bool {
        self.changes.is_some()
    }

    /// Keeps what is known of purges for the next life, where [`Self::is_own`]: before it is closed.
    pub(crate) fn remember(&self, purges: Vec<u8>) {
        if let Some(changes) = &self.changes {
            changes.remember(purges);
        }
    }

    /// What the last life knew of purges when it closed what it had, once.
    pub(crate) fn remembered(&self) -> Option<Vec<u8>> {
        self.changes.as_ref()?.remembered()
    }

    /// How it is.
    pub fn health(&self) -> SecondLevelHealth {
        SecondLevelHealth {
            queued_bytes: self.state.queued.load(Ordering::Relaxed),
            queue_max_bytes: self.queue_max_bytes,
            ..self.state.stats.health(self.kind, &self.state.nodes)
        }
    }

    pub(super) fn stats(&self) -> &Stats {
        &self.state.stats
    }

    /// What is stored for one of the keys and answers these headers, and how long that took. Waits no longer than the budget. None: it
    /// is not asked at present.
    pub(super) async fn ask(
        &self,
        location: Location,
        keys: impl Iterator<Item = &[u8]>,
        headers: &HeaderMap,
    ) -> Option<(Result<Option<Answer>, NoAnswer>, Duration)> {
        let State { nodes, stats, .. } = &*self.state;
        let node = nodes.of(&location).filter(|node| !node.breaker.is_open())?;
        let begun = Instant::now();
        let (reply, answer) = oneshot::channel();
        let fields = keys.map(field).collect();
        let question = Question::Call { location, fields, headers: headers.clone(), reply };
        let heard = match self.questions.try_send(question) {
            Ok(()) => tokio::time::timeout(self.patience, answer).await.ok(),
            Err(_) => None,
        };
        let took = begun.elapsed();
        let answer = match heard {
            Some(Ok(answer)) => {
                stats.answered(took);
                node.answering.store(true, Ordering::Relaxed);
                node.breaker.succeeded();
                match &answer {
                    Some((_, response)) => stats.hit(response.body.len()),
                    None => count(&stats.misses),
                }
                Ok(answer)
            }
            // The connection broke, and the thread has said so.
            Some(Err(_)) => Err(self.failed(node, &stats.errors)),
            None => Err(self.failed(node, &stats.late)),
        };
        Some((answer, took))
    }

    /// What stands there under a key for these headers. Nothing is counted. None: it does not answer within the budget, refuses,
    /// or is not asked at present.
    pub(super) async fn look(&self, location: Location, key: &[u8], headers: HeaderMap) -> Option<Seen> {
        self.state.nodes.of(&location).filter(|node| !node.breaker.is_open())?;
        let (reply, seen) = oneshot::channel();
        let question = Question::Look { location, field: field(key), headers, reply };
        self.questions.try_send(question).ok()?;
        tokio::time::timeout(self.patience, seen).await.ok()?.ok()
    }

    fn failed(&self, node: &Node, counter: &AtomicU64) -> NoAnswer {
        count(counter);
        if node.breaker.failed(Instant::now()) {
            tracing::warn!(
                server = node.name,
                "the second level of the cache does not answer in time: calls go on without it"
            );
        }
        NoAnswer
    }

    /// Writes a response when there is time, unless a purge covers it.
    pub(super) fn write(&self, context: Sharing, stored: &Arc<Stored>, now: u64) {
        let Sharing { location, incarnation, purges } = context;
        let Some(seconds) = worth_keeping(stored, now) else { return };
        let Stamp { position, at } = stored.stamp;
        let position = purges.position_for_others(position);
        if purges.verdict(&stored.labels.as_ref(), stored.stamp) != Verdict::Good {
            return count(&self.state.stats.outdated);
        }
        let ago = Duration::from_nanos(now.saturating_sub(stored.stamp.at));
        let weight = stored.weight() as u64;
        if ago > LONGEST_FETCH
            || self.state.nodes.of(&location).is_none_or(|node| node.breaker.is_open())
            || self.state.queued.load(Ordering::Relaxed) + weight > self.queue_max_bytes
        {
            return count(&self.state.stats.dropped);
        }
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let origin = Origin {
            incarnation,
            position,
            boot: self.boot,
            at,
            begun_ms: unix_ms().saturating_sub(ms(ago)),
            made_ms: unix_ms().saturating_sub(ms(stored.age(now))),
        };
        self.state.queued.fetch_add(weight, Ordering::Relaxed);
        let order = Order::Write { location, stored: Arc::clone(stored), origin, seconds };
        if self.orders.try_send(order).is_err() {
            self.state.queued.fetch_sub(weight, Ordering::Relaxed);
            count(&self.state.stats.dropped);
        }
    }

    /// Takes every copy of a URL out, when there is time. Nothing depends on it: values that a purge covers are refused.
    pub(crate) fn forget(&self, location: Location) {
        if self.orders.try_send(Order::Forget(location)).is_err() {
            count(&self.state.stats.dropped);
        }
    }

    /// The same when the URL has changed at this time of the gateway's clock: what others fetched before, and hand on later, is
    /// refused too. Until then, and when this cannot be said there, they find out by the journal.
    pub(crate) fn changed(&self, location: Location, at: u64) {
        let era = Era::changed(self.boot, at);
        if let Some(changes) = &self.changes {
            return match era {
                Some(era) => changes.begin(&location, era),
                None => changes.begin_anew(),
            };
        }
        let order = era.map(|era| Order::Begin(location, era));
        if order.is_none_or(|order| self.orders.try_send(order).is_err()) {
            count(&self.state.stats.dropped);
        }
    }

    /// Closes a folder in order, so that the next life of the gateway can go on with it: what waits is written, unless that takes
    /// too long. Nobody may call or change anything any more. Blocks: not for an asynchronous thread.
    pub fn close(&self, within: Duration) {
        if self.kind != SecondLevelKind::Disk {
            return;
        }
        let until = Instant::now() + within;
        let (closed, is_closed) = std::sync::mpsc::channel();
        let mut order = Order::Close(closed);
        while let Err(mpsc::error::TrySendError::Full(back)) = self.orders.try_send(order) {
            if Instant::now() > until {
                break;
            }
            order = back;
            std::thread::sleep(Duration::from_millis(5));
        }
        if is_closed.recv_timeout(until.saturating_duration_since(Instant::now())).is_err() {
            tracing::warn!("the cache on disk could not be closed in order: it begins empty the next time");
        }
    }

    /// When a fetch began by this gateway's clock, and whether it was this gateway's. Of another's only the time of day is known,
    /// and clocks differ: it may have begun earlier.
    pub(super) fn stamp(&self, origin: &Origin, now: u64) -> (Stamp, bool) {
        if origin.boot == self.boot {
            return (Stamp { position: origin.position, at: origin.at }, true);
        }
        let ago = Duration::from_millis(unix_ms().saturating_sub(origin.begun_ms)) + CLOCKS;
        let ago = u64::try_from(ago.as_nanos()).unwrap_or(u64::MAX);
        (Stamp { position: origin.position, at: now.saturating_sub(ago) }, false)
    }
}

/// What is to be waited for by the runtime's clock so that it is no more than the budget; of a budget below three milliseconds
/// it may be.
fn patience(budget: Duration) -> Duration {
    budget.saturating_sub(LATE).max(LEAST)
}

/// For how many seconds a response is of use to other gateways; None: not at all.
fn worth_keeping(stored: &Stored, now: u64) -> Option<u64> {
    let storable = &stored.storable;
    if storable.no_cache || stored.body.len() > MOST_BYTES {
        return None;
    }
    let fresh = storable.lifetime.checked_sub(stored.age(now))?;
    let stale = storable.while_revalidate.max(storable.if_error.unwrap_or_default());
    let stale = if storable.must_revalidate { Duration::ZERO } else { stale };
    let seconds = fresh.saturating_add(stale).min(LONGEST).as_secs();
    (seconds > 0).then_some(seconds)
}

/// The field of a key's response, or of the headers by which its responses differ.
fn field(key: &[u8]) -> Field {
    Sha256::digest(key).into()
}

/// The field of a response for these values of the headers.
fn variant(base: &Field, selecting: &Selecting) -> Field {
    let mut hash = Sha256::new();
    hash.update(base);
    for (name, value) in selecting.fields() {
        hash.update((name.as_str().len() as u64).to_le_bytes());
        hash.update(name.as_str());
        hash.update(value.map_or(u64::MAX, |value| value.len() as u64).to_le_bytes());
        hash.update(value.unwrap_or_default());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests;
