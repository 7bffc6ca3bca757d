//! A model check of coalescing: the real waiting and boarding, with every order in which callers run, leave, and the origin
//! answers. In each of them the origin is asked no more often than somebody's leaving or its own failure makes necessary,
//! and nobody waits for ever.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::oneshot;

use super::*;
use crate::cache::purges::Stamp;
use crate::cache::rules::Audience;
use crate::cache::{Cache, CacheLimits};

/// What the origin says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// Something to store.
    Good,
    /// Something that cannot be stored.
    Private,
    /// Nothing: the request fails.
    Fails,
}

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Runs(usize),
    Leaves(usize),
    /// The origin answers its oldest request.
    Origin(Says),
    /// A body has arrived whole: what fetches it does not depend on who asked for it.
    Stored,
}

/// What callers, the origin and the store know together.
#[derive(Default)]
struct World {
    asked: Cell<usize>,
    requests: RefCell<Vec<oneshot::Sender<Says>>>,
    arriving: RefCell<Vec<Flight>>,
    stored: Cell<bool>,
    served: Cell<usize>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A caller that is there.
struct Caller {
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
    woken: Arc<Woken>,
}

/// As `Asked::fetch` goes on.
async fn call(world: Rc<World>, cache: Arc<Cache>, hash: u64) {
    let key = hash.to_le_bytes();
    match Flights::take_part(&cache, hash, &key).await {
        Part::Leads(flight) => {
            if !world.stored.get() {
                match ask(&world).await {
                    Says::Good => world.arriving.borrow_mut().push(flight),
                    Says::Private => {
                        cache.remember_uncacheable(hash);
                        flight.is_now(Stage::Uncacheable);
                    }
                    Says::Fails => {}
                }
            }
        }
        Part::Joins(Stage::Stored(_)) => {}
        Part::Joins(_) | Part::Alone => {
            ask(&world).await;
        }
    }
    world.served.set(world.served.get() + 1);
}

async fn ask(world: &World) -> Says {
    let (sender, receiver) = oneshot::channel();
    world.asked.set(world.asked.get() + 1);
    world.requests.borrow_mut().push(sender);
    receiver.await.unwrap()
}

/// One course of events, by the numbers of those that were chosen.
struct Course {
    callers: Vec<Caller>,
    world: Rc<World>,
    cache: Arc<Cache>,
    left: usize,
    failed: usize,
    private: usize,
}

impl Course {
    fn begin(cache: &Arc<Cache>, callers: usize, hash: u64) -> Self {
        let world = Rc::new(World::default());
        let caller = |_| Caller {
            future: Some(Box::pin(call(Rc::clone(&world), Arc::clone(cache), hash))),
            woken: Arc::new(Woken(AtomicBool::new(true))),
        };
        let callers = (0..callers).map(caller).collect();
        Self { callers, cache: Arc::clone(cache), world, left: 0, failed: 0, private: 0 }
    }

    /// Everything that can happen now.
    fn possible(&self, most_left: usize, most_failed: usize) -> Vec<Event> {
        let there = self.callers.iter().enumerate().filter(|(_, caller)| caller.future.is_some());
        let mut events = Vec::new();
        for (i, caller) in there {
            if caller.woken.0.load(Ordering::SeqCst) {
                events.push(Event::Runs(i));
            }
            if self.left < most_left {
                events.push(Event::Leaves(i));
            }
        }
        // Nobody reads the answers to requests of those who have left.
        self.world.requests.borrow_mut().retain(|request| !request.is_closed());
        if !self.world.requests.borrow().is_empty() {
            events.push(Event::Origin(Says::Good));
            events.push(Event::Origin(Says::Private));
            if self.failed < most_failed {
                events.push(Event::Origin(Says::Fails));
            }
        }
        if !self.world.arriving.borrow().is_empty() {
            events.push(Event::Stored);
        }
        events
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Runs(i) => {
                let caller = &mut self.callers[i];
                caller.woken.0.store(false, Ordering::SeqCst);
                let waker = Waker::from(Arc::clone(&caller.woken));
                let Some(future) = &mut caller.future else { return };
                if let Poll::Ready(()) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    caller.future = None;
                }
            }
            Event::Leaves(i) => {
                self.callers[i].future = None;
                self.left += 1;
            }
            Event::Origin(says) => {
                let request = self.world.requests.borrow_mut().remove(0);
                self.failed += usize::from(says == Says::Fails);
                self.private += usize::from(says == Says::Private);
                request.send(says).unwrap();
            }
            Event::Stored => {
                let flight = self.world.arriving.borrow_mut().remove(0);
                self.world.stored.set(true);
                let stamp = Stamp { position: 1, at: 1 };
                let stored = Stored::for_tests(HeaderMap::new(), Bytes::new(), stamp, Audience::Everyone);
                flight.is_now(Stage::Stored(Arc::new(stored)));
            }
        }
    }

    /// What holds at every moment.
    fn check(&self, history: &[Event]) {
        let waiting = self.world.requests.borrow().iter().filter(|request| !request.is_closed()).count();
        let fetching = waiting + self.world.arriving.borrow().len();
        assert!(fetching <= 1 || self.private > 0, "two fetches at once: {history:?}");
        let asked = self.world.asked.get();
        let excuse = self.left + self.failed;
        assert!(asked <= 1 + excuse || self.private > 0, "asked {asked} times: {history:?}");
    }

    /// What holds when nothing can happen any more but that callers leave.
    fn check_end(&self, history: &[Event]) {
        let waiting = self.callers.iter().filter(|caller| caller.future.is_some()).count();
        assert_eq!(waiting, 0, "somebody waits for ever: {history:?}");
        assert_eq!(self.world.served.get() + self.left, self.callers.len(), "{history:?}");
        assert_eq!(self.cache.flights.count(), 0, "a fetch is left behind: {history:?}");
    }
}

/// Goes through every course of so many callers, of whom so many leave, with so many failures. The number of courses.
fn explore(callers: usize, most_left: usize, most_failed: usize) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _context = runtime.enter();
    let cache = Arc::new(Cache::new(CacheLimits::new(1 << 20)));
    let mut choices: Vec<usize> = Vec::new();
    for number in 0.. {
        let mut course = Course::begin(&cache, callers, number as u64);
        let (mut history, mut widths) = (Vec::new(), Vec::new());
        loop {
            let events = course.possible(most_left, most_failed);
            let is_over = events.iter().all(|event| matches!(event, Event::Leaves(_)));
            if is_over {
                break;
            }
            let step = history.len();
            if step == choices.len() {
                choices.push(0);
            }
            widths.push(events.len());
            history.push(events[choices[step]]);
            course.happens(events[choices[step]]);
            course.check(&history);
        }
        course.check_end(&history);
        // The next course: the last choice that had another way.
        choices.truncate(widths.len());
        while choices.last().is_some_and(|last| last + 1 == widths[choices.len() - 1]) {
            choices.pop();
        }
        match choices.last_mut() {
            Some(last) => *last += 1,
            None => return number + 1,
        }
    }
    unreachable!()
}

#[test]
fn in_every_order_of_events_one_fetch_serves_all_and_nobody_waits_for_ever() {
    // Callers, of whom so many leave, and failures of the origin.
    for (callers, left, failed, at_least) in [(2, 2, 2, 100), (3, 0, 1, 500), (3, 1, 0, 500)] {
        let courses = explore(callers, left, failed);
        assert!(courses >= at_least, "{callers} {left} {failed}: only {courses} courses");
    }
}

#[tokio::test]
async fn who_has_waited_too_long_fetches_for_himself() {
    const PATIENCE: std::time::Duration = std::time::Duration::from_millis(100);
    let cache = Arc::new(Cache::new(CacheLimits::new(1 << 20)));
    let Part::Leads(slow) = Flights::take_part(&cache, 1, b"k").await else { panic!("nobody else fetches") };
    let begun = std::time::Instant::now();
    let waiting = Flights::take_part_within(PATIENCE, &cache, 1, b"k");
    let part = tokio::time::timeout(std::time::Duration::from_secs(5), waiting).await;
    assert!(matches!(part, Ok(Part::Alone)) && begun.elapsed() >= PATIENCE);
    drop(slow);
    assert_eq!(cache.flights.count(), 0);
}
