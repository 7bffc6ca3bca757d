//! A response that is stored while it is read: its first reader, and those who joined, read along as it arrives.
//!
//! The upstream is read at its own pace, not at that of the slowest reader: what is being stored is bounded in size
//! anyway. A body that turns out too large to store loses its store, is joined by nobody any more, and is then read at the pace of
//! its slowest reader.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, response};
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use sluice_policies::cache::{CacheRule, Found};

use super::account::Account;
use super::arrivals::Room;
use super::flight::{Flight, Stage};
use super::key::ShortDigest;
use super::labels::Labels;
use super::made_tag::MadeTag;
use super::purges::Stamp;
use super::rules::Storable;
use super::second::Sharing;
use super::stored::{Hits, Stored, Written, tell};
use super::vary::Selecting;
use super::watch::Watch;
use crate::body::{BodyError, UpstreamBody};
use crate::clock::Clock;

/// Bytes that wait for the slowest reader of a body that is not stored any more.
const WINDOW: u64 = 256 << 10;

/// What took longer to fetch is not stored.
pub(crate) const LONGEST_FETCH: Duration = Duration::from_hours(24);

/// A body that is arriving.
pub(crate) struct Fill {
    /// What those who joined are told.
    pub(super) head: response::Parts,
    /// Which requests it answers.
    pub(super) selecting: Selecting,
    pub(super) labels: Labels,
    /// Of the key under which it is stored.
    pub(super) digest: ShortDigest,
    /// When its fetch began.
    pub(super) stamp: Stamp,
    /// Bytes that are announced.
    length: Option<u64>,
    limit: u64,
    state: Mutex<State>,
}

struct State {
    /// The memory that the pieces take.
    room: Room,
    pieces: Vec<Bytes>,
    /// Pieces that were dropped from the front since nothing is stored any more, and their bytes.
    dropped: usize,
    dropped_bytes: u64,
    bytes: u64,
    /// The body as it is stored, in place of the pieces.
    whole: Option<Bytes>,
    end: Option<Result<(), BodyError>>,
    /// Nothing is stored any more: it is too large, or has what must not be stored.
    unkept: bool,
    /// How many there are before each piece.
    readers: BTreeMap<usize, usize>,
    wakers: Vec<Waker>,
    source: Option<Waker>,
}

/// Why nothing is stored any more.
pub(super) enum Unkept {
    Forbidden(Found),
    /// For the policy, or for the room that there is.
    TooLarge,
}

/// Reads a fill from its beginning.
pub(crate) struct FillReader {
    fill: Arc<Fill>,
    next: usize,
    read: u64,
}

impl Fill {
    /// With its first reader.
    pub(super) fn new(
        mut head: response::Parts,
        recipe: &Recipe,
        (length, room): (Option<u64>, Room),
        rule: &CacheRule,
    ) -> (Arc<Self>, FillReader) {
        let limit = rule.max_body_bytes;
        let (selecting, stamp) = (recipe.selecting.clone(), recipe.stamp);
        let (labels, digest) = (recipe.labels.clone(), recipe.digest);
        head.headers.clone_from(&recipe.headers);
        tell(&mut head.headers, rule, &recipe.storable);
        let fill = Arc::new(Self {
            head,
            selecting,
            labels,
            digest,
            stamp,
            length,
            limit,
            state: Mutex::new(State::new(room)),
        });
        fill.state.lock().arrive(0);
        let reader = fill.at_its_beginning();
        (fill, reader)
    }

    /// Reads along with those who read already. None: nothing is stored any more.
    pub(super) fn join(self: &Arc<Self>) -> Option<FillReader> {
        let mut state = self.state.lock();
        let is_whole = !state.unkept;
        is_whole.then(|| {
            state.arrive(0);
            self.at_its_beginning()
        })
    }

    fn at_its_beginning(self: &Arc<Self>) -> FillReader {
        FillReader { fill: Arc::clone(self), next: 0, read: 0 }
    }

    /// Reads the upstream to its end. `keep` is called with the whole body, before any reader can see its end: who has read a
    /// response finds it stored. Or it is called with what `watch` has found in the body, or that it is too large, as soon as that is known.
    pub(super) async fn pump(
        &self,
        mut body: UpstreamBody,
        watch: Watch,
        keep: impl FnOnce(Result<(Bytes, Option<MadeTag>), Unkept>),
    ) {
        let mut keeping = Some((watch, keep));
        loop {
            let frame = body.next().await;
            let last = body.is_end_stream();
            match frame {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    let seen = keeping.as_mut().map_or(Ok(()), |(watch, _)| watch.see(&data));
                    let fits = self.push(data, last);
                    let why_not = seen.err().map(Unkept::Forbidden).or((!fits).then_some(Unkept::TooLarge));
                    if let Some(why_not) = why_not
                        && let Some((_, keep)) = keeping.take()
                    {
                        self.state.lock().unkept = true;
                        keep(Err(why_not));
                    }
                    if last {
                        break;
                    }
                    if !self.room().await {
                        return;
                    }
                }
                Some(Err(error)) => return self.end(Err(error)),
                None => break,
            }
        }
        if let (Some(whole), Some((watch, keep))) = (self.whole(), keeping) {
            keep(watch.finish().map(|tag| (whole.clone(), tag)).map_err(Unkept::Forbidden));
            self.is_here(whole);
        }
        self.end(Ok(()));
    }

    /// Nobody is told of the last piece until it is stored. False: it is too much to be stored.
    fn push(&self, data: Bytes, last: bool) -> bool {
        let mut state = self.state.lock();
        state.bytes += data.len() as u64;
        state.pieces.push(data);
        if !state.unkept {
            let bytes = state.bytes;
            state.unkept = bytes > self.limit || !state.room.holds(bytes);
        }
        if !last {
            state.wake();
        }
        !state.unkept
    }

    /// Who still reads takes it from what is stored, however slowly.
    fn is_here(&self, whole: Bytes) {
        let mut state = self.state.lock();
        state.pieces = Vec::new();
        state.room.shrink_to(0);
        state.whole = Some(whole);
    }

    /// In one piece of memory of its own: pieces point into larger buffers of the connection. None: it is too large.
    fn whole(&self) -> Option<Bytes> {
        let state = self.state.lock();
        (!state.unkept).then(|| Bytes::from(state.pieces.concat()))
    }

    fn end(&self, end: Result<(), BodyError>) {
        let mut state = self.state.lock();
        state.end = Some(end);
        state.wake();
    }

    /// Waits until there is room. False when nobody reads and nothing is stored.
    async fn room(&self) -> bool {
        std::future::poll_fn(|context| {
            let mut state = self.state.lock();
            if !state.unkept {
                return Poll::Ready(true);
            }
            if state.readers.is_empty() {
                return Poll::Ready(false);
            }
            if state.bytes - state.dropped_bytes < WINDOW {
                return Poll::Ready(true);
            }
            state.source = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl State {
    fn new(room: Room) -> Self {
        Self {
            room,
            pieces: Vec::new(),
            dropped: 0,
            dropped_bytes: 0,
            bytes: 0,
            whole: None,
            end: None,
            unkept: false,
            readers: BTreeMap::new(),
            wakers: Vec::new(),
            source: None,
        }
    }

    fn wake(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
    }

    /// A reader is before this piece.
    fn arrive(&mut self, at: usize) {
        *self.readers.entry(at).or_default() += 1;
    }

    /// A reader is no longer before this piece.
    fn leave(&mut self, at: usize) {
        if let Some(readers) = self.readers.get_mut(&at) {
            *readers -= 1;
            if *readers == 0 {
                self.readers.remove(&at);
            }
        }
        self.drop_read();
        if let Some(source) = self.source.take() {
            source.wake();
        }
    }

    /// What all have read is not needed where nothing is stored.
    fn drop_read(&mut self) {
        if !self.unkept {
            return;
        }
        let all = self.dropped + self.pieces.len();
        let slowest = self.readers.keys().next().copied().unwrap_or(all).max(self.dropped);
        let read = self.pieces.drain(..slowest - self.dropped).map(|piece| piece.len() as u64).sum::<u64>();
        (self.dropped, self.dropped_bytes) = (slowest, self.dropped_bytes + read);
        self.room.shrink_to(self.bytes - self.dropped_bytes);
    }
}

impl FillReader {
    pub(crate) fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut state = self.fill.state.lock();
        if let Some(whole) = &state.whole {
            let rest = whole.slice(usize::try_from(self.read).unwrap_or(usize::MAX).min(whole.len())..);
            self.read = whole.len() as u64;
            if !rest.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(rest))));
            }
        } else if let Some(piece) = state.pieces.get(self.next - state.dropped) {
            let piece = piece.clone();
            state.arrive(self.next + 1);
            state.leave(self.next);
            self.next += 1;
            self.read += piece.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match state.end {
            Some(Ok(())) => Poll::Ready(None),
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            None => {
                state.wakers.push(context.waker().clone());
                Poll::Pending
            }
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        let state = self.fill.state.lock();
        let has_all = match &state.whole {
            Some(whole) => self.read >= whole.len() as u64,
            None => self.next - state.dropped >= state.pieces.len(),
        };
        state.end == Some(Ok(())) && has_all
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self.fill.length {
            Some(length) => SizeHint::with_exact(length.saturating_sub(self.read)),
            None => SizeHint::default(),
        }
    }
}

impl Drop for FillReader {
    fn drop(&mut self) {
        self.fill.state.lock().leave(self.next);
    }
}

/// All of a stored response but its body.
pub(super) struct Recipe {
    pub(super) cache: Arc<super::Cache>,
    pub(super) hash: u64,
    pub(super) key: Box<[u8]>,
    pub(super) digest: ShortDigest,
    pub(super) labels: Labels,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) selecting: Selecting,
    pub(super) initial_age: Duration,
    pub(super) arrived: u64,
    pub(super) stamp: Stamp,
    pub(super) storable: Storable,
    pub(super) account: Arc<Account>,
    pub(super) clock: Clock,
    /// What the second level has to know of it, where there is one.
    pub(super) shared: Option<Sharing>,
}

impl Recipe {
    /// Stores it with its body, and hands it to those who wait.
    pub(super) fn store(self, body: Bytes, made_tag: Option<MadeTag>, flight: Option<&Flight>) {
        let Self {
            cache,
            hash,
            key,
            digest,
            labels,
            status,
            headers,
            selecting,
            initial_age,
            arrived,
            stamp,
            storable,
            account,
            clock,
            shared,
        } = self;
        // Purges are not remembered for ever.
        if Duration::from_nanos(clock.now().saturating_sub(stamp.at)) > LONGEST_FETCH {
            return;
        }
        let stored = Arc::new(Stored {
            key,
            digest,
            labels,
            status,
            headers,
            body,
            selecting,
            stamp,
            arrived,
            initial_age,
            storable,
            made_tag,
            hits: Hits::default(),
            written: Written::default(),
        });
        cache.put(hash, Arc::clone(&stored), account);
        if let (Some(second), Some(shared)) = (cache.second_level(), shared) {
            second.write(shared, &stored, clock.now());
        }
        if let Some(flight) = flight {
            flight.is_now(Stage::Stored(stored));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::cache::arrivals::Arrivals;

    fn fill() -> Arc<Fill> {
        Arc::new(Fill {
            head: http::Response::new(()).into_parts().0,
            selecting: Selecting::default(),
            labels: Labels { path: "/".into(), url: 0, tags: [].into(), names: None },
            digest: ShortDigest::of(&[]),
            stamp: Stamp::default(),
            length: None,
            limit: 1 << 10,
            state: Mutex::new(State::new(Arrivals::new(1 << 10).reserve(1 << 10).unwrap())),
        })
    }

    fn next(reader: &mut FillReader) -> Option<Bytes> {
        let frame = std::future::poll_fn(|context| reader.poll(context)).now_or_never().unwrap();
        frame.map(|frame| frame.unwrap().into_data().unwrap())
    }

    #[test]
    fn a_reader_is_at_the_end_when_it_has_read_all_that_there_ever_will_be() {
        let fill = fill();
        let mut readers: [_; 3] = std::array::from_fn(|_| fill.join().unwrap());
        let are_at_the_end = |readers: &[FillReader; 3]| readers.each_ref().map(FillReader::is_end_stream);
        fill.push(Bytes::from_static(b"one "), false);
        fill.push(Bytes::from_static(b"two"), true);
        assert_eq!(next(&mut readers[0]).unwrap(), "one ");
        assert_eq!(next(&mut readers[0]).unwrap(), "two");
        assert_eq!(next(&mut readers[1]).unwrap(), "one ");
        assert_eq!(are_at_the_end(&readers), [false; 3], "more may come");
        fill.is_here(fill.whole().unwrap());
        fill.end(Ok(()));
        assert_eq!(are_at_the_end(&readers), [true, false, false]);
        assert_eq!(next(&mut readers[1]).unwrap(), "two");
        assert_eq!(next(&mut readers[2]).unwrap(), "one two");
        assert_eq!(are_at_the_end(&readers), [true; 3]);
        assert!(readers.iter_mut().all(|reader| next(reader).is_none()));
    }
}
