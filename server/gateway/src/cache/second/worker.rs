//! The thread that speaks to the server, or to the disk.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use http::HeaderMap;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::disk::Changes;
use super::era::Era;
use super::seal::{Seal, Unusable};
use super::server::{Failure, Figures, Found, Server, Wrote};
use super::settings::SecondLevelSettings;
use super::stats::count;
use super::wire::{self, Origin, Value};
use super::{Answer, Field, Location, Order, Question, Seen, State, What, field, variant};
use crate::cache::stored::Stored;
use crate::cache::vary::Selecting;

/// Writes that wait for their answers at the same time.
const WRITES: usize = 16;
/// How often it is looked whether an open breaker may close.
const PROBED: Duration = Duration::from_millis(250);
/// How often the server is asked for its figures.
const FIGURES: Duration = Duration::from_secs(5);
/// Bytes of a value above which sealing and opening it would keep other answers waiting.
const LARGE: usize = 64 << 10;

/// Starts the thread; it ends when nobody can ask any more. Returns when a folder is open, with where its changes are noted.
pub(super) fn start(
    settings: &SecondLevelSettings,
    questions: mpsc::Receiver<Question>,
    orders: mpsc::Receiver<Order>,
    state: Arc<State>,
) -> io::Result<Option<Arc<Changes>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let settings = settings.clone();
    let (opened, is_open) = std::sync::mpsc::channel();
    std::thread::Builder::new().name("cache-2".to_owned()).spawn(move || {
        runtime.block_on(async {
            match Server::new(&settings).await {
                Ok(server) => {
                    let _ = opened.send(Ok(server.changes()));
                    Worker::new(server, &settings, state).run(questions, orders).await;
                }
                Err(error) => _ = opened.send(Err(error)),
            }
        });
        runtime.shutdown_background();
    })?;
    is_open.recv().map_err(io::Error::other)?.map_err(io::Error::other)
}

#[derive(Clone)]
struct Worker {
    server: Server,
    seal: Arc<Seal>,
    state: Arc<State>,
    patience: Duration,
}

impl Worker {
    fn new(server: Server, settings: &SecondLevelSettings, state: Arc<State>) -> Self {
        let compress_over = usize::try_from(settings.compress_over).unwrap_or(usize::MAX);
        let seal = Arc::new(Seal::new(settings.key.as_ref(), compress_over));
        Self { server, seal, state, patience: super::patience(settings.budget) }
    }

    async fn run(self, mut questions: mpsc::Receiver<Question>, orders: mpsc::Receiver<Order>) {
        tokio::spawn(self.clone().carry_out(orders));
        let mut watches = JoinSet::new();
        for (index, _) in self.state.nodes.iter().enumerate() {
            watches.spawn(self.clone().watch(index));
        }
        while let Some(question) = questions.recv().await {
            let mut worker = self.clone();
            tokio::spawn(async move { worker.answer(question).await });
        }
    }

    /// Whoever has waited long enough already is not answered.
    async fn answer(&mut self, question: Question) {
        match question {
            Question::Call { location, fields, headers, reply } => {
                if reply.is_closed() {
                    return;
                }
                match self.look_up(&location, &fields, &headers).await {
                    Ok(answer) => _ = reply.send(answer),
                    Err(error @ (Failure::Refused(_) | Failure::TooLarge)) => {
                        count(&self.state.stats.errors);
                        tracing::debug!(%error, "the second level of the cache refuses");
                        let _ = reply.send(None);
                    }
                    Err(error) => tracing::debug!(%error, "the second level of the cache does not answer"),
                }
            }
            Question::Look { location, field, headers, reply } => {
                if reply.is_closed() {
                    return;
                }
                match self.look(&location, &field, &headers).await {
                    Ok(seen) => _ = reply.send(seen),
                    Err(error) => {
                        tracing::debug!(%error, "the second level of the cache cannot be looked at")
                    }
                }
            }
        }
    }

    /// The response of the first key that has one which answers these headers.
    async fn look_up(
        &mut self,
        location: &Location,
        fields: &[Field],
        headers: &HeaderMap,
    ) -> Result<Option<Answer>, Failure> {
        let names: Vec<&[u8]> = fields.iter().map(|field| &field[..]).collect();
        let Found { era, values } = self.server.read(location, &names).await?;
        for (index, (field, value)) in fields.iter().zip(values).enumerate() {
            match self.see(location, field, (era, value), headers).await?.what {
                What::Nothing => {}
                What::Damaged => count(&self.state.stats.damaged),
                What::Outdated(_) => count(&self.state.stats.outdated),
                What::Good(response) => return Ok(Some((index, response))),
            }
        }
        Ok(None)
    }

    /// What there is of one key, for people.
    async fn look(
        &mut self,
        location: &Location,
        field: &Field,
        headers: &HeaderMap,
    ) -> Result<Seen, Failure> {
        let Found { era, mut values } = self.server.read(location, &[field]).await?;
        self.see(location, field, (era, values.pop().flatten()), headers).await
    }

    /// What a value, or the one that it leads to, is for a request with these headers.
    async fn see(
        &mut self,
        location: &Location,
        field: &Field,
        (era, value): (Option<Era>, Option<Vec<u8>>),
        headers: &HeaderMap,
    ) -> Result<Seen, Failure> {
        let size = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len);
        let mut seen = Seen { what: What::Nothing, bytes: size(&value), varies_by: Vec::new() };
        let mut opened = self.open(location, field, value).await;
        if let Ok(Some(Value::Varies(names))) = opened {
            let variant = variant(field, &Selecting::of_request(&names, headers));
            let value = self.server.read(location, &[&variant]).await?.values.pop().flatten();
            (seen.bytes, seen.varies_by) = (size(&value), names);
            opened = self.open(location, &variant, value).await;
        }
        seen.what = match opened {
            Err(_) => What::Damaged,
            Ok(Some(Value::Response(response))) if era.is_some_and(|era| !era.allows(&response.origin)) => {
                What::Outdated(response)
            }
            Ok(Some(Value::Response(response))) if response.selecting.matches(headers) => {
                What::Good(response)
            }
            Ok(_) => What::Nothing,
        };
        Ok(seen)
    }

    async fn open(
        &self,
        location: &Location,
        field: &Field,
        value: Option<Vec<u8>>,
    ) -> Result<Option<Value>, Unusable> {
        let Some(value) = value else { return Ok(None) };
        let large = value.len() > LARGE;
        let (seal, place) = (Arc::clone(&self.seal), place(location, field));
        let open = move || wire::decode(seal.open(&place, &value)?).ok_or(Unusable::Damaged);
        let opened = match large {
            true => tokio::task::spawn_blocking(open).await.unwrap_or(Err(Unusable::Damaged)),
            false => open(),
        };
        opened.map(Some)
    }

    async fn carry_out(self, mut orders: mpsc::Receiver<Order>) {
        let free = Arc::new(Semaphore::new(WRITES));
        while let (Some(order), Ok(permit)) = (orders.recv().await, Arc::clone(&free).acquire_owned().await) {
            let mut worker = self.clone();
            if let Order::Close(closed) = order {
                drop(permit);
                return worker.close(&free, closed).await;
            }
            tokio::spawn(async move {
                worker.do_one(order).await;
                drop(permit);
            });
        }
    }

    /// When all that was to be written is.
    async fn close(&self, free: &Semaphore, closed: std::sync::mpsc::Sender<()>) {
        let _all = free.acquire_many(WRITES as u32).await;
        match self.server.close().await {
            Ok(()) => _ = closed.send(()),
            Err(error) => tracing::warn!(error, "the second level of the cache could not be closed"),
        }
    }

    async fn do_one(&mut self, order: Order) {
        let done = match order {
            Order::Forget(location) => self.server.forget(&location).await,
            Order::Begin(location, era) => self.server.begin(&location, &era).await,
            Order::Close(_) => return,
            Order::Write { location, stored, origin, seconds } => {
                let written = self.write(&location, &stored, origin, seconds).await;
                self.state.queued.fetch_sub(stored.weight() as u64, Ordering::Relaxed);
                match &written {
                    Ok(Some(Wrote::Done)) => count(&self.state.stats.written),
                    Ok(Some(Wrote::Outdated)) => count(&self.state.stats.outdated),
                    Ok(None) | Err(_) => {}
                }
                written.map(|_| ())
            }
        };
        if let Err(error) = done {
            let stats = &self.state.stats;
            count(if matches!(error, Failure::TooLarge) { &stats.too_large } else { &stats.refused });
            tracing::debug!(%error, "the second level of the cache did not take a response");
        }
    }

    /// None when the response cannot be packed.
    async fn write(
        &mut self,
        location: &Location,
        stored: &Arc<Stored>,
        origin: Origin,
        seconds: u64,
    ) -> Result<Option<Wrote>, Failure> {
        let large = stored.body.len() > LARGE;
        let (seal, at, packed) = (Arc::clone(&self.seal), location.clone(), Arc::clone(stored));
        let pack = move || pack(&seal, &at, &packed, origin);
        let packed = if large { tokio::task::spawn_blocking(pack).await.ok().flatten() } else { pack() };
        let Some(packed) = packed else { return Ok(None) };
        let fields: Vec<(&[u8], &[u8])> =
            packed.iter().map(|(field, value)| (&field[..], &value[..])).collect();
        self.server.write(location, &fields, seconds, &origin).await.map(Some)
    }

    /// Closes the breaker of a server that answers in time again, and asks it how it is.
    async fn watch(mut self, index: usize) {
        let state = Arc::clone(&self.state);
        let Some(node) = state.nodes.iter().nth(index) else { return };
        let (mut probes, mut figures) = (tokio::time::interval(PROBED), tokio::time::interval(FIGURES));
        loop {
            tokio::select! {
                _ = probes.tick() => {
                    if node.breaker.is_open() && self.answers_in_time(index).await {
                        node.breaker.close(Instant::now());
                        tracing::info!(server = node.name, "the second level of the cache answers again");
                    }
                }
                _ = figures.tick() => {
                    let said = self.server.figures(index).await.ok().flatten();
                    node.answering.store(said.is_some(), Ordering::Relaxed);
                    (*node.server.lock(), *node.disk.lock()) = match said {
                        Some(Figures::Server(server)) => (Some(server), None),
                        Some(Figures::Disk(disk)) => (None, Some(disk)),
                        None => (None, None),
                    };
                }
            }
        }
    }

    /// Several times: one quick answer among slow ones would only let calls wait again.
    async fn answers_in_time(&mut self, node: usize) -> bool {
        for _ in 0..3 {
            if !matches!(tokio::time::timeout(self.patience, self.server.ping(node)).await, Ok(Ok(()))) {
                return false;
            }
        }
        true
    }
}

/// The fields of a response and their values: with `Vary`, one that names the headers and one for these values of them.
fn pack(seal: &Seal, location: &Location, stored: &Stored, origin: Origin) -> Option<Vec<(Field, Vec<u8>)>> {
    let base = field(&stored.key);
    let close =
        |field: Field, payload: Vec<u8>| Some((field, seal.close(&place(location, &field), payload)?));
    let response = wire::encode_response(stored, origin)?;
    if stored.selecting.fields().next().is_none() {
        return Some(vec![close(base, response)?]);
    }
    let names = wire::encode_names(stored.selecting.fields().map(|(name, _)| name))?;
    Some(vec![close(base, names)?, close(variant(&base, &stored.selecting), response)?])
}

/// What a value is bound to.
fn place(location: &Location, field: &Field) -> Vec<u8> {
    [&location.0[..], field].concat()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use futures_util::FutureExt as _;
    use sluice_contract::ids::{ApiId, EnvironmentId};
    use tokio::net::TcpListener;
    use tokio::sync::oneshot;

    use super::super::nodes::Nodes;
    use super::super::stats::Stats;
    use super::*;

    #[tokio::test]
    async fn nothing_is_asked_for_whoever_has_stopped_waiting() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings =
            SecondLevelSettings::new(vec![format!("memcached://{}", listener.local_addr().unwrap())]);
        let nodes = Nodes::new(settings.names());
        let state = State { nodes, stats: Stats::default(), queued: AtomicU64::new(0) };
        let server = Server::new(&settings).await.unwrap();
        let mut worker = Worker::new(server, &settings, Arc::new(state));
        let location = || Location::new(EnvironmentId::generate(), ApiId::generate(), "/", b"");
        let (reply, headers) = (oneshot::channel().0, HeaderMap::new());
        worker.answer(Question::Call { location: location(), fields: vec![[0; 32]], headers, reply }).await;
        let (reply, headers) = (oneshot::channel().0, HeaderMap::new());
        worker.answer(Question::Look { location: location(), field: [0; 32], headers, reply }).await;
        assert!(listener.accept().now_or_never().is_none());
    }
}
